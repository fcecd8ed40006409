import { budgetRows, type Rendering } from '../../checks';
import { changed, renderedHomelab } from '../homelab';

const homelab = changed(() => undefined);
const container = { name: 'own', resources: { requests: { memory: '1Gi', cpu: '1' } } };
const pod = { containers: [container] };
const own = (kind: string, spec: object): Rendering[number] => ({
  chart: 'services',
  construct: `services/${kind}`,
  file: `services/${kind}.yaml`,
  object: { apiVersion: 'v1', kind, metadata: { name: 'own', namespace: 'services' }, spec },
});
/** Pods of an own workload by node, without and with a rollout. */
const placesOf = (...objects: Rendering[number][]) =>
  budgetRows([...renderedHomelab(), ...objects], homelab)
    .filter(({ workload }) => workload === 'services/own')
    .map(({ node, pods, surge, memory, cpu }) => [node, pods, surge, memory / 1024 ** 3, cpu]);

test.each<[string, object, [string, number, number][]]>([
  ['CronJob', { jobTemplate: { spec: { template: { spec: pod } } } }, [['talos-worker-01', 1, 1]]],
  ['Pod', pod, [['talos-worker-01', 1, 0]]],
  [
    'ReplicaSet',
    { replicas: 3, template: { spec: pod } },
    [
      ['talos-worker-01', 2, 0],
      ['talos-worker-02', 1, 0],
    ],
  ],
  ['Pod', { ...pod, nodeSelector: { 'storage-type': 'mongodb' } }, [['talos-worker-02', 1, 0]]],
  ['Pod', { ...pod, nodeSelector: { 'kubernetes.io/hostname': 'talos-worker-02' } }, [['talos-worker-02', 1, 0]]],
  [
    'Pod',
    {
      ...pod,
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [
              {
                matchExpressions: [
                  { key: 'storage-type', operator: 'Exists' },
                  { key: 'storage-type', operator: 'NotIn', values: ['cassandra'] },
                ],
              },
            ],
          },
        },
      },
    },
    [['talos-worker-02', 1, 0]],
  ],
])('%s %j adds its requests to its nodes', (kind, spec, places) => {
  expect(placesOf(own(kind, spec))).toEqual(places.map((place) => [...place, 1, 1000]));
});

test('an autoscaled workload counts with its largest size', () => {
  const scaler = own('HorizontalPodAutoscaler', {
    maxReplicas: 6,
    scaleTargetRef: { kind: 'Deployment', name: 'own' },
  });
  const deployment = own('Deployment', { template: { spec: pod } });
  const pods = (...objects: Rendering[number][]) =>
    placesOf(...objects).reduce((sum, [, each]) => sum + Number(each), 0);
  expect([pods(deployment), pods(deployment, scaler)]).toEqual([1, 6]);
});
