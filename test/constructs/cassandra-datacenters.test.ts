import { Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { BackupTarget } from '../../constructs/backup-target';
import { CassandraStatefulSet, type CassandraStatefulSetProps } from '../../constructs/cassandra-stateful-set';
import { MicroserviceDeployment } from '../../constructs/microservice-deployment';
import { DeclaredSecret } from '../../constructs/secrets';
import { DataStorage } from '../../constructs/volumes';
import { chartIn, objectOf, objects } from './render';

const minimal: CassandraStatefulSetProps = {
  clusterName: 'collab',
  storage: DataStorage.storageClass(Size.gibibytes(10), 'standard'),
  resources: { memory: Size.gibibytes(5), cpu: Cpu.units(1) },
};

function two(props: Partial<CassandraStatefulSetProps> = {}) {
  const chart = chartIn('cassandra');
  const first = new CassandraStatefulSet(chart, 'cassandra', minimal);
  const second = new CassandraStatefulSet(chart, 'reports', {
    ...minimal,
    datacenter: 'dc2',
    racks: ['s1', 's2'],
    joins: first,
    ...props,
  });
  const services = chartIn('services');
  const report = new MicroserviceDeployment(services, 'report', { image: 'registry.test/report:1' });
  return { chart, first, second, services, report };
}

const jsonIn = (chart: any, map: string, file: string) => JSON.parse(objectOf(chart, 'ConfigMap', map).data[file]);
const wave = ({ metadata }: any) => metadata.annotations['argocd.argoproj.io/sync-wave'];

test('its nodes know those of the first datacenter, which come before them', () => {
  const { chart } = two();
  const { datacenter, members, seeds } = jsonIn(chart, 'reports-scripts', 'node.json');
  expect(datacenter).toBe('dc2');
  expect(members.map(({ pod, datacenter }: any) => `${datacenter ?? ''} ${pod}`)).toEqual([
    'dc1 cassandra-r1-0',
    'dc1 cassandra-r2-0',
    'dc1 cassandra-r3-0',
    ' reports-s1-0',
    ' reports-s2-0',
  ]);
  expect(seeds).toEqual(jsonIn(chart, 'cassandra-scripts', 'node.json').seeds);
});

test('the one schema job gives keyspaces copies there, after all racks', () => {
  const { chart, second, first, report } = two();
  report.connectTo(second, { keyspace: 'chat', access: 'read' });
  const schema = jsonIn(chart, 'cassandra-schema', 'schema.json');
  expect(schema).toMatchObject({ datacenter: 'dc1', copies: 3, elsewhere: { dc2: 2 }, keyspaces: { chat: 3 } });
  expect(schema.nodes).toHaveLength(5);
  expect(schema.roles.report.readOnly).toEqual(['chat']);
  expect(second.schemaJob).toBe(first.schemaJob);
  const jobs = objects(chart).filter(({ kind }) => kind === 'Job');
  expect(jobs.map(wave)).toEqual(['6']);
  expect(['reports-s1', 'reports-s2'].map((name) => wave(objectOf(chart, 'StatefulSet', name)))).toEqual(['4', '5']);
});

test('its client reaches it, and not the first datacenter, with a login of the ring', () => {
  const { chart, services, second, report } = two();
  report.connectTo(second, { keyspace: 'chat' });
  const [container] = objectOf(services, 'Deployment').spec.template.spec.containers;
  const env = Object.fromEntries(container.env.map(({ name, value, valueFrom }: any) => [name, value ?? valueFrom]));
  expect(env).toMatchObject({
    CASSANDRA_CONTACT_POINTS: 'reports.cassandra.svc.cluster.local',
    CASSANDRA_LOCAL_DATACENTER: 'dc2',
    CASSANDRA_PASSWORD: { secretKeyRef: { name: 'cassandra-report' } },
  });
  expect(JSON.stringify(objectOf(services, 'NetworkPolicy', 'report').spec.egress)).not.toContain(
    'instance":"cassandra"',
  );
  const names = DeclaredSecret.all(chart.node.root as any).map(({ name }) => name);
  expect(names.filter((name) => name.endsWith('-admin'))).toEqual(['cassandra-admin']);
});

test('nodes of both reach each other, and no client is let in by that', () => {
  const { chart } = two();
  for (const [name, other] of [
    ['cassandra', 'reports'],
    ['reports', 'cassandra'],
  ]) {
    const { ingress } = objectOf(chart, 'NetworkPolicy', name!).spec;
    const rule = ingress.find(({ from }: any) => JSON.stringify(from).includes(`"${other}"`));
    expect(rule.ports.map(({ port }: any) => port).sort()).toEqual([7000, 7010, 7011, 9042]);
  }
});

test.each([
  ['another cluster', { clusterName: 'other' }, /clusterName must be that of the ring that it joins, got "other"/],
  ['another namespace', { namespace: 'reports' }, /namespace must be that of the ring/],
  ['the same datacenter', { datacenter: 'dc1' }, /must have names that no other datacenter of the ring uses/],
  ['a rack of the other', { racks: ['r1'] }, /must have names that no other datacenter of the ring uses, got \["r1"\]/],
  ['keyspaces', { keyspaces: { chat: {} } }, /keyspaces must not be set on a datacenter that joins/],
  ['backups', { backup: { target: BackupTarget.claim('c') } }, /backup must not be set on a datacenter that joins/],
])('is refused with %s', (_name, props, message) => {
  expect(() => two(props)).toThrow(message);
});

test('a ring alone says nothing of other datacenters', () => {
  const chart = chartIn('cassandra');
  new CassandraStatefulSet(chart, 'cassandra', minimal);
  expect(jsonIn(chart, 'cassandra-schema', 'schema.json')).not.toHaveProperty('elsewhere');
});
