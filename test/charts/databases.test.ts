import { Size } from 'cdk8s';
import { ofKind, renderedHomelab } from '../homelab';

const named = (kind: string, name: string, change?: (homelab: any) => void) =>
  ofKind(renderedHomelab(change), kind).find(({ metadata }) => metadata.name === name)!;
const podOf = (name: string) => named('StatefulSet', name).spec.template.spec;
const cassandraYaml = (change?: (homelab: any) => void): string =>
  named('ConfigMap', 'cassandra-config', change).data['cassandra.yaml'];

/** A second host, with one worker of the ring on it. */
function onTwoHosts(h: any): void {
  h.hosts.second = { ...h.hosts.proxmox, address: '192.168.1.11' };
  for (const machine of Object.values<any>(h.machines)) machine.host = 'proxmox';
  const worker = h.machines['talos-worker-01'];
  const { 'cassandra-r3-0': disk, ...dataDisks } = worker.dataDisks;
  worker.dataDisks = dataDisks;
  h.machines['talos-worker-03'] = {
    ...worker,
    host: 'second',
    vmid: 203,
    address: '192.168.1.23',
    mac: '02:00:00:00:02:03',
    dataDisks: { 'cassandra-r3-0': disk },
  };
}

test('where one power cord feeds all copies, a write waits for the disk; with two it need not', () => {
  expect(cassandraYaml()).toContain('commitlog_sync: group\n');
  expect(cassandraYaml(onTwoHosts)).toContain('commitlog_sync: periodic\n');
});

test('a ring and a set are called as the homelab says, and ask for what it says', () => {
  expect(cassandraYaml()).toContain('cluster_name: "collab"\n');
  expect(podOf('cassandra-r1').containers[0].resources.limits.memory).toBe('5Gi');
  const mongod = podOf('mongodb').containers[0];
  expect(mongod.resources.limits.memory).toBe('2Gi');
  expect(mongod.command).toContain('--replSet=rs0');
});

test.each([
  ['cassandra-r1', 'cassandra'],
  ['mongodb', 'mongodb'],
])('%s runs on the nodes of its disks alone, and goes last', (name, label) => {
  const { affinity, priorityClassName } = podOf(name);
  const required = affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution;
  expect(required.nodeSelectorTerms[0].matchExpressions).toEqual([
    { key: 'storage-type', operator: 'In', values: [label] },
  ]);
  expect(priorityClassName).toBe('database');
});

test('each pod claims a disk of the size that its machine has', () => {
  const change = (h: any) => {
    for (const disk of ['mongodb-0', 'mongodb-1', 'mongodb-2'])
      h.machines['talos-worker-02'].dataDisks[disk] = Size.gibibytes(120);
  };
  const claim = (name: string) => named('StatefulSet', name, change).spec.volumeClaimTemplates[0];
  expect(claim('mongodb').spec.resources.requests.storage).toBe('120Gi');
  expect(claim('cassandra-r1').spec.resources.requests.storage).toBe('100Gi');
});

test('a retired database has no pods, and what holds its data stays', () => {
  const rendering = renderedHomelab((h) => {
    h.databases.mongodb.state = 'retired';
    for (const service of Object.values<any>(h.services))
      service.connects = service.connects.filter((connection: object) => !('mongodb' in connection));
  });
  const left = rendering.map(({ object }) => object).filter(({ metadata }) => /mongodb/.test(metadata.name));
  expect(left.map(({ kind }) => kind)).not.toContain('StatefulSet');
  expect(left.filter(({ kind }) => kind === 'PersistentVolume')).toHaveLength(3);
  expect(left.filter(({ kind }) => kind === 'Namespace')).toHaveLength(1);
});
