import { Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import smallest from '../../../../examples/smallest/homelab';
import { defineHomelab, type Homelab } from '../../../../inventory';
import { changed } from '../../../homelab';

type Json = any;

/** One machine with one database, as small as it may be, that is stored at a target. One service uses it: `app`. */
export function oneDatabase(kind: 'mongodb' | 'cassandra', count: number, target: object): Homelab {
  const pods = Array.from(
    { length: count },
    (_, ordinal) => `${kind === 'cassandra' ? 'cassandra-r1' : kind}-${ordinal}`,
  );
  const nodeLabel = { key: 'storage-type', value: kind };
  const database =
    kind === 'mongodb'
      ? { kind, replicaSet: 'rs0', members: count, memory: Size.gibibytes(1), cpu: Cpu.millis(100), nodeLabel }
      : {
          ...{ kind, clusterName: 'smallest', datacenter: 'dc1', racks: ['r1'], nodesPerRack: count },
          ...{ memory: Size.mebibytes(2560), cpu: Cpu.millis(100), nodeLabel },
        };
  const connection = kind === 'mongodb' ? { mongodb: kind, database: 'app' } : { cassandra: kind, keyspace: 'app' };
  return defineHomelab(
    changed((homelab: Json) => {
      homelab.hosts.pve.memory = Size.gibibytes(32);
      const machine = homelab.machines['talos-01'];
      machine.memory = Size.gibibytes(20);
      machine.labels = { 'storage-type': kind };
      machine.dataDisks = Object.fromEntries(pods.map((pod) => [pod, Size.gibibytes(20)]));
      homelab.databases = { [kind]: { ...database, backup: { target } } };
      homelab.services = { app: { connects: [connection] } };
    }, smallest),
  );
}
