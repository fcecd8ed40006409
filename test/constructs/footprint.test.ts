import { footprint, POD_KINDS } from '../../constructs/footprint';

const GIB = 1024 ** 3;
const container = (memory: string, cpu = '100m') => ({ name: 'c', resources: { requests: { memory, cpu } } });
const pod = { containers: [container('1Gi')] };
const object = (kind: string, spec: object) => ({ kind, metadata: { name: 'a', namespace: 'n' }, spec });
const template = { template: { spec: pod } };

test.each<[string, any, number, number]>([
  ['Deployment', template, 1, 1],
  ['Deployment', { ...template, replicas: 5 }, 5, 2],
  ['Deployment', { ...template, replicas: 5, strategy: { rollingUpdate: { maxSurge: 0 } } }, 5, 0],
  ['Deployment', { ...template, replicas: 5, strategy: { rollingUpdate: { maxSurge: 2 } } }, 5, 2],
  ['Deployment', { ...template, replicas: 8, strategy: { rollingUpdate: { maxSurge: 1 } } }, 8, 1],
  ['Deployment', { ...template, replicas: 4, strategy: { rollingUpdate: { maxSurge: '50%' } } }, 4, 2],
  ['Deployment', { ...template, replicas: 3, strategy: { type: 'Recreate' } }, 3, 0],
  ['StatefulSet', { ...template, replicas: 3 }, 3, 0],
  ['ReplicaSet', { ...template, replicas: 2 }, 2, 0],
  ['ReplicationController', { ...template, replicas: 2 }, 2, 0],
  ['DaemonSet', template, 7, 0],
  ['Job', template, 1, 0],
  ['Job', { ...template, parallelism: 4 }, 4, 0],
  ['CronJob', { jobTemplate: { spec: template } }, 1, 1],
  ['CronJob', { jobTemplate: { spec: { ...template, parallelism: 2 } }, concurrencyPolicy: 'Forbid' }, 2, 0],
  ['Pod', pod, 1, 0],
])('%s %j runs %i pods, and %i more during a rolling update', (kind, spec, pods, surge) => {
  expect(footprint(object(kind, spec), 7)).toEqual({ memory: GIB, memoryLimit: 0, cpu: 0.1, pods, surge });
});

test('every kind that runs pods is counted, and nothing else', () => {
  for (const kind of POD_KINDS) {
    const spec = { ...pod, ...template, jobTemplate: { spec: template } };
    expect([kind, footprint(object(kind, spec), 1)?.memory]).toEqual([kind, GIB]);
  }
  expect(footprint({ kind: 'Service', metadata: {}, spec: {} }, 1)).toBeUndefined();
  expect(footprint({ kind: 'ConfigMap', metadata: {} }, 1)).toBeUndefined();
});

test('counts maxReplicas of an autoscaler, only for its own target', () => {
  const scaler = (name: string, namespace: string, kind = 'Deployment') => ({
    kind: 'HorizontalPodAutoscaler',
    metadata: { name, namespace },
    spec: { maxReplicas: 8, scaleTargetRef: { kind, name } },
  });
  const deployment = object('Deployment', { ...template, strategy: { rollingUpdate: { maxSurge: 1 } } });
  const pods = (...others: any[]) => footprint(deployment, 1, others)!.pods;
  expect(pods(scaler('a', 'n'))).toBe(8);
  expect(pods(scaler('b', 'n'), scaler('a', 'm'), scaler('a', 'n', 'StatefulSet'))).toBe(1);
});

describe('a pod asks for', () => {
  const memoryOf = (spec: object) => footprint(object('Pod', spec), 1)!.memory / GIB;

  test('its limit when it has no request, as Kubernetes does', () => {
    expect(memoryOf({ containers: [{ name: 'c', resources: { limits: { memory: '2Gi' } } }] })).toBe(2);
  });

  test('the largest init container if that is more than all containers', () => {
    expect(memoryOf({ ...pod, initContainers: [container('3Gi'), container('2Gi')] })).toBe(3);
  });

  test('each resource separately', () => {
    const spec = { containers: [container('1Gi', '500m'), container('1Gi', '1')], initContainers: [container('3Gi')] };
    expect(footprint(object('Pod', spec), 1)).toMatchObject({ memory: 3 * GIB, cpu: 1.5 });
    const none = { containers: [{ name: 'c' }, { name: 'd', resources: {} }] };
    expect(footprint(object('Pod', none), 1)).toMatchObject({ memory: 0, cpu: 0 });
  });

  test('all containers and the sidecar init containers', () => {
    const beside = { ...container('2Gi'), restartPolicy: 'Always' };
    expect(memoryOf({ ...pod, initContainers: [beside] })).toBe(3);
    expect(memoryOf({ ...pod, initContainers: [beside, container('4Gi')] })).toBe(6);
    expect(memoryOf({ ...pod, initContainers: [container('4Gi'), beside] })).toBe(4);
  });
});
