import { Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import {
  CassandraStatefulSet,
  DataStorage,
  ExternalLlmService,
  LlmEndpoint,
  MicroserviceDeployment,
  MongoReplicaSet,
  type ManifestOverride,
} from '../../constructs';
import { chartIn, objectOf } from './render';

/** As docs/escape-hatches.md shows them. */
const storage = DataStorage.storageClass(Size.gibibytes(10), 'standard');
const resources = { memory: Size.gibibytes(4), cpu: Cpu.units(1) };
const sleep: ManifestOverride = (object) => {
  if (object.kind === 'Deployment')
    object.spec.template.spec.containers[0].lifecycle = { preStop: { sleep: { seconds: 5 } } };
  return object;
};
const podOf = (chart: ReturnType<typeof chartIn>, kind: string, name?: string) =>
  objectOf(chart, kind, name).spec.template.spec;

test('MicroserviceDeployment: a toleration, and a pause before the end that the 1.28 types would drop', () => {
  const chart = chartIn();
  new MicroserviceDeployment(chart, 'documents', {
    image: 'documents:1',
    overridePodSpec: (spec) => ({ ...spec, tolerations: [{ key: 'spot', operator: 'Exists' }] }),
    overrideManifest: sleep,
  });
  const pod = podOf(chart, 'Deployment');
  expect(pod.tolerations).toEqual([{ key: 'spot', operator: 'Exists' }]);
  expect(pod.containers[0].lifecycle).toEqual({ preStop: { sleep: { seconds: 5 } } });
});

test('CassandraStatefulSet: another scheduler in every rack, and a newer field of its Services', () => {
  const chart = chartIn();
  new CassandraStatefulSet(chart, 'cassandra', {
    clusterName: 'c',
    storage,
    resources,
    overridePodSpec: (spec) => ({ ...spec, schedulerName: 'my-scheduler' }),
    overrideManifest: (object) => {
      if (object.kind === 'Service') object.spec.trafficDistribution = 'PreferClose';
      return object;
    },
  });
  for (const rack of ['r1', 'r2', 'r3'])
    expect(podOf(chart, 'StatefulSet', `cassandra-${rack}`).schedulerName).toBe('my-scheduler');
  expect(objectOf(chart, 'Service', 'cassandra').spec.trafficDistribution).toBe('PreferClose');
});

test('MongoReplicaSet: a host name, and a newer field of the security context', () => {
  const chart = chartIn();
  new MongoReplicaSet(chart, 'mongodb', {
    storage,
    resources,
    overridePodSpec: (spec) => ({ ...spec, hostAliases: [{ ip: '192.168.1.60', hostnames: ['backup'] }] }),
    overrideManifest: (object) => {
      if (object.kind === 'StatefulSet') object.spec.template.spec.securityContext.supplementalGroupsPolicy = 'Strict';
      return object;
    },
  });
  const pod = podOf(chart, 'StatefulSet');
  expect(pod.hostAliases).toHaveLength(1);
  expect(pod.securityContext).toMatchObject({ supplementalGroupsPolicy: 'Strict', runAsNonRoot: true });
});

test('ExternalLlmService: the pod of its proxy', () => {
  const chart = chartIn();
  new ExternalLlmService(chart, 'llm-service', {
    endpoint: LlmEndpoint.tcpProxy({ address: '192.168.1.30' }),
    models: { chat: { tag: 'a:1' } },
    overridePodSpec: (spec) => ({ ...spec, dnsPolicy: 'Default' }),
    overrideManifest: sleep,
  });
  const pod = podOf(chart, 'Deployment');
  expect(pod.dnsPolicy).toBe('Default');
  expect(pod.containers[0].lifecycle).toEqual({ preStop: { sleep: { seconds: 5 } } });
});
