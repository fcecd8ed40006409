import { Duration, Size, type Chart } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { BackupTarget, CassandraStatefulSet, DataStorage, type BackupProps } from '../../constructs';
import { chartIn, objectOf, objects, type Json } from './render';

const target = BackupTarget.sftp({
  host: '192.168.1.20',
  user: 'backup',
  path: '/Users/backup',
  hostKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA'],
});

function ring(backup?: BackupProps): { chart: Chart; ring: CassandraStatefulSet } {
  const chart = chartIn('db');
  const made = new CassandraStatefulSet(chart, 'cassandra', {
    clusterName: 'collab',
    racks: ['r1', 'r2'],
    storage: DataStorage.storageClass(Size.gibibytes(10), 'disk'),
    resources: { memory: Size.gibibytes(4), cpu: Cpu.units(1) },
    backup,
  });
  return { chart, ring: made };
}

const podOf = (chart: Chart) => objectOf(chart, 'StatefulSet', 'cassandra-r2').spec.template;
const named = (all: readonly Json[], name: string) => all.find((each) => each.name === name)!;
const ports = (rules: readonly Json[], instance: string) =>
  rules
    .filter((rule) => JSON.stringify(rule).includes(`"app.kubernetes.io/instance":"${instance}"`))
    .flatMap((rule) => rule.ports.map(({ port }: Json) => port))
    .sort();

test('renders no backup objects without backup', () => {
  const { chart } = ring();
  expect(objects(chart).filter(({ kind }) => kind === 'CronJob')).toEqual([]);
  expect(podOf(chart).spec.containers.map(({ name }: Json) => name)).toEqual(['cassandra', 'ops']);
  expect(podOf(chart).metadata.annotations).not.toHaveProperty('checksum/backup');
});

test('ops makes the snapshot with the admin login, and backup reads it without write access', () => {
  const { containers } = podOf(ring({ target }).chart).spec;
  const [ops, backup] = [named(containers, 'ops'), named(containers, 'backup')];
  expect(named(ops.env, 'OPS_MODULES').value).toBe('snapshots');
  expect(named(ops.volumeMounts, 'admin-login').mountPath).toBe('/admin-login');
  expect(named(podOf(ring({ target }).chart).spec.volumes, 'admin-login').secret.secretName).toBe('cassandra-admin');
  expect(named(ops.volumeMounts, 'handover')).toEqual(named(backup.volumeMounts, 'handover'));
  expect(named(backup.volumeMounts, 'data')).toEqual({ name: 'data', mountPath: '/var/lib/cassandra', readOnly: true });
  const scripts = objectOf(ring({ target }).chart, 'ConfigMap', 'cassandra-scripts').data;
  expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['cql.py', 'snapshots.py', 'ops.py']));
});

test('only the first node removes old backups, and its disk holds the files of a restore', () => {
  const { chart } = ring({ target });
  const { env } = named(podOf(chart).spec.containers, 'backup');
  expect([named(env, 'BACKUP_KEEPER').value, named(env, 'BACKUP_GROUP').value]).toEqual([
    'cassandra-r1-0',
    'host,tags',
  ]);
  const { spec } = objectOf(chart, 'CronJob', 'cassandra-restore').spec.jobTemplate.spec.template;
  expect(named(spec.volumes, 'data').persistentVolumeClaim.claimName).toBe('data-cassandra-r1-0');
});

test('a restore reaches the ports of the ring for rows and files, and the ring admits it', () => {
  const { chart } = ring({ target });
  const egress = objectOf(chart, 'NetworkPolicy', 'cassandra-restore').spec.egress;
  const ingress = objectOf(chart, 'NetworkPolicy', 'cassandra').spec.ingress;
  expect(ports(egress, 'cassandra')).toEqual([7000, 7010, 9042]);
  expect(ports(ingress, 'cassandra-restore')).toEqual([7000, 7010, 9042]);
  expect(JSON.stringify(egress)).toContain('192.168.1.20/32');
  const { containers } = objectOf(chart, 'CronJob', 'cassandra-restore').spec.jobTemplate.spec.template.spec;
  expect(named(containers[0].env, 'CASSANDRA_NODES').value).toBe(
    'cassandra-r1-0.cassandra-nodes.db.svc.cluster.local cassandra-r2-0.cassandra-nodes.db.svc.cluster.local',
  );
});

test('a drill has its own schedule', () => {
  const { chart } = ring({ target, every: Duration.hours(1), drill: '0 4 * * 0' });
  expect(objectOf(chart, 'CronJob', 'cassandra-drill').spec).toMatchObject({ schedule: '0 4 * * 0', suspend: false });
  expect(objectOf(chart, 'CronJob', 'cassandra-restore').spec.suspend).toBe(true);
});
