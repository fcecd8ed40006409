import { Size } from 'cdk8s';
import { defineHomelab, type Machine } from '../../inventory';
import first from '../three-hosts/homelab';

/**
 * A homelab again, for trying changes: the same charts on machines, addresses and a domain of their own, and less of everything.
 * The first one is an example here; yours is homelab.ts.
 */
const address = (of: string) => of.replace('192.168.1.', '192.168.2.');

export default defineHomelab({
  ...first,
  name: 'staging',
  network: { cidr: '192.168.2.0/24', gateway: '192.168.2.1', dns: ['192.168.2.1'], domain: 'staging.home.arpa' },
  hosts: Object.fromEntries(
    Object.entries(first.hosts).map(([name, host]) => [name, { ...host, address: address(host.address) }]),
  ),
  machines: Object.fromEntries(
    Object.entries(first.machines).map(([name, machine]): [string, Machine] => {
      const own = {
        ...machine,
        vmid: machine.vmid + 100,
        address: address(machine.address),
        mac: machine.mac.replace('02:00:00:00:02', '02:00:00:00:03'),
      };
      if (own.kind !== 'talos' || own.dataDisks === undefined) return [name, own];
      const disks = Object.keys(own.dataDisks).filter((disk) => !/^mongodb-[12]$/.test(disk));
      return [name, { ...own, dataDisks: Object.fromEntries(disks.map((disk) => [disk, Size.gibibytes(20)])) }];
    }),
  ),
  databases: {
    // What is tried here can be made again: nothing of it is worth a backup.
    cassandra: { ...first.databases.cassandra!, memory: Size.mebibytes(2560), backup: false },
    mongodb: {
      ...first.databases.mongodb!,
      kind: 'mongodb',
      replicaSet: 'rs0',
      members: 1,
      memory: Size.gibibytes(1),
      backup: false,
    },
  },
  git: { ...first.git, revision: 'staging' },
});
