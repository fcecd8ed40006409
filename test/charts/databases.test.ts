import { Duration, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
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

test('a write waits for the disk when all replicas run on one physical host, and not with two hosts', () => {
  expect(cassandraYaml()).toContain('commitlog_sync: group\n');
  expect(cassandraYaml(onTwoHosts)).toContain('commitlog_sync: periodic\n');
});

test('a ring and a replica set get names and resources from the homelab', () => {
  expect(cassandraYaml()).toContain('cluster_name: "collab"\n');
  expect(podOf('cassandra-r1').containers[0].resources.limits.memory).toBe('5Gi');
  const mongod = podOf('mongodb').containers[0];
  expect(mongod.resources.limits.memory).toBe('2Gi');
  expect(mongod.command).toContain('--replSet=rs0');
});

test.each([
  ['cassandra-r1', 'cassandra'],
  ['mongodb', 'mongodb'],
])('%s runs only on the nodes of its disks, and is evicted last', (name, label) => {
  const { affinity, priorityClassName } = podOf(name);
  const required = affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution;
  expect(required.nodeSelectorTerms[0].matchExpressions).toEqual([
    { key: 'storage-type', operator: 'In', values: [label] },
  ]);
  expect(priorityClassName).toBe('database');
});

test('each pod claims the disk size of its machine', () => {
  const change = (h: any) => {
    for (const disk of ['mongodb-0', 'mongodb-1', 'mongodb-2'])
      h.machines['talos-worker-02'].dataDisks[disk] = Size.gibibytes(120);
  };
  const claim = (name: string) => named('StatefulSet', name, change).spec.volumeClaimTemplates[0];
  expect(claim('mongodb').spec.resources.requests.storage).toBe('120Gi');
  expect(claim('cassandra-r1').spec.resources.requests.storage).toBe('100Gi');
});

test('a retired database has no pods, and the objects that hold its data stay', () => {
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

test('version, heap, settings, keyspaces and metrics come from the homelab', () => {
  const exporter = (port: number) => ({
    image: 'registry.example/exporter:1.2.3',
    port,
    memory: Size.mebibytes(64),
    cpu: Cpu.millis(20),
    scrapedBy: { namespace: 'monitoring', labels: { app: 'prometheus' } },
  });
  const change = (h: any) => {
    Object.assign(h.databases.cassandra, {
      version: '5.0.6',
      heap: Size.gibibytes(2),
      config: { concurrent_reads: 64 },
      keyspaces: { archive: { copies: 2 }, chat: { copies: 1 } },
      exporter: exporter(9500),
    });
    Object.assign(h.databases.mongodb, {
      version: '7.0.37',
      featureCompatibilityVersion: '6.0',
      config: { net: { maxIncomingConnections: 500 } },
      exporter: exporter(9216),
    });
  };
  expect(cassandraYaml(change)).toContain('concurrent_reads: 64\n');
  expect(named('ConfigMap', 'cassandra-config', change).data['jvm-server.options']).toContain('-Xmx2048m\n');
  const schema = JSON.parse(named('ConfigMap', 'cassandra-schema', change).data['schema.json']);
  expect(schema.keyspaces).toMatchObject({ archive: 2, chat: 1, documents_history: 3 });
  expect(JSON.parse(named('ConfigMap', 'mongodb', change).data['mongod.conf'])).toEqual({
    net: { maxIncomingConnections: 500 },
  });
  expect(JSON.parse(named('ConfigMap', 'mongodb', change).data['members.json']).featureCompatibilityVersion).toBe(
    '6.0',
  );
  for (const [set, image, port] of [
    ['cassandra-r1', 'docker.io/library/cassandra:5.0.6', 9500],
    ['mongodb', 'docker.io/library/mongo:7.0.37', 9216],
  ] as const) {
    const { containers } = named('StatefulSet', set, change).spec.template.spec;
    expect(containers[0].image).toBe(image);
    expect(containers.at(-1)).toMatchObject({ name: 'exporter', ports: [{ name: 'metrics', containerPort: port }] });
  }
  const { ingress } = named('NetworkPolicy', 'mongodb', change).spec;
  expect(ingress).toContainEqual({
    from: [
      {
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } },
        podSelector: { matchLabels: { app: 'prometheus' } },
      },
    ],
    // The container `reconcile` serves the first of them.
    ports: [7012, 9216].map((port) => ({ port, protocol: 'TCP' })),
  });
});

test('the repair interval of a ring and the number of its members come from the homelab', () => {
  const files = named('ConfigMap', 'cassandra-scripts', (h) => {
    Object.assign(h.databases.cassandra, { nodesPerRack: 2, membersPerRack: 1, repairEvery: Duration.days(2) });
    const { dataDisks } = h.machines['talos-worker-01'];
    for (const rack of ['r1', 'r2', 'r3']) dataDisks[`cassandra-${rack}-1`] = Size.gibibytes(100);
  }).data;
  expect(JSON.parse(files['ops.json']).repairSeconds).toBe(172800);
  expect(JSON.parse(files['node.json']).surplus).toHaveLength(3);
});
