import { Size } from 'cdk8s';
import homelab from '../../homelab';
import { defineHomelab, type Machine } from '../../inventory';

/** The homelab again, for trying changes: the same charts on machines, addresses and a domain of their own, and less of everything. */
const ADDRESSES: Readonly<Record<string, string>> = {
  'talos-cp-01': '192.168.2.20',
  'talos-worker-01': '192.168.2.21',
  'talos-worker-02': '192.168.2.22',
  'ai-vm': '192.168.2.30',
};

export default defineHomelab({
  ...homelab,
  name: 'staging',
  network: { cidr: '192.168.2.0/24', gateway: '192.168.2.1', dns: ['192.168.2.1'], domain: 'staging.home.arpa' },
  hosts: Object.fromEntries(
    Object.entries(homelab.hosts).map(([name, host]) => [
      name,
      { ...host, address: host.address.replace('.1.', '.2.') },
    ]),
  ),
  machines: Object.fromEntries(
    Object.entries(homelab.machines).map(([name, machine]): [string, Machine] => {
      const smaller = {
        ...machine,
        vmid: machine.vmid + 100,
        address: ADDRESSES[name]!,
        mac: machine.mac.replace('02:00:00:00:02', '02:00:00:00:03'),
      };
      if (smaller.kind !== 'talos' || smaller.dataDisks === undefined) return [name, smaller];
      const disks = Object.keys(smaller.dataDisks).filter((disk) => !/^mongodb-[12]$/.test(disk));
      return [name, { ...smaller, dataDisks: Object.fromEntries(disks.map((disk) => [disk, Size.gibibytes(20)])) }];
    }),
  ),
  databases: {
    cassandra: { ...homelab.databases.cassandra!, memory: Size.mebibytes(2560) },
    mongodb: {
      ...homelab.databases.mongodb!,
      kind: 'mongodb',
      replicaSet: 'rs0',
      members: 1,
      memory: Size.gibibytes(1),
    },
  },
  git: { ...homelab.git, revision: 'staging' },
});
