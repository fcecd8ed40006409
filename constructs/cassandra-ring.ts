import type { Construct, IConstruct } from 'constructs';
import { cassandraSettingsProblem } from '../values/database-settings';
import { cassandraVersionProblem } from '../values/database-versions';
import { membersPerRackProblem } from '../values/members';
import { dnsLabelProblem, imageProblem, serviceNameProblem } from '../values/names';
import type { CassandraStatefulSetProps } from './cassandra-stateful-set';
import type { Connections } from './connections';
import { databaseNames, keptData, superuser, type DatabaseNames } from './database';
import { imageOf, images } from './images';
import type { DeclaredSecret } from './secrets';
import { assertValid, fail, namespaceOf } from './validation';
import type { DataStorage } from './volumes';

/** `tell` serves the node's state to other nodes, the schema job and the kubelet, without a login. `ops` serves the state of ops, and metrics. */
export const PORTS = { storage: 7000, cql: 9042, tell: 7010, ops: 7011 } as const;

/** Names of a pod of a ring. */
export interface Node {
  readonly pod: string;
  readonly rack: string;
  readonly host: string;
}

const ordinalOf = ({ pod }: Node) => Number(pod.split('-').at(-1));

/** The nodes of a ring and their names, for a running and for a retired ring. */
export class CassandraRing {
  readonly names: DatabaseNames;
  readonly image: string;
  readonly datacenter: string;
  readonly racks: readonly string[];
  readonly nodesPerRack: number;
  readonly membersPerRack: number;

  constructor(
    private readonly scope: IConstruct,
    private readonly props: CassandraStatefulSetProps,
    /** The first datacenter of the ring, where this is another one. */
    private readonly first?: CassandraRing,
  ) {
    this.names = databaseNames('cassandra', props.name ?? scope.node.id, namespaceOf(scope, props.namespace));
    this.image = imageOf(scope, images.cassandra, props);
    this.datacenter = props.datacenter ?? 'dc1';
    this.racks = props.racks ?? ['r1', 'r2', 'r3'];
    this.nodesPerRack = props.nodesPerRack ?? 1;
    this.membersPerRack = props.membersPerRack ?? this.nodesPerRack;
    this.validate();
  }

  /** Values that the disks hold. They may never change. */
  get identity(): Readonly<Record<string, unknown>> {
    const { datacenter, racks, nodesPerRack, image } = this;
    return { clusterName: this.props.clusterName, datacenter, racks, nodesPerRack, image };
  }

  /** Name of the headless Service by which nodes find each other. */
  get nodesHost(): string {
    const { name, namespace } = this.names;
    return `${name}-nodes.${namespace}.svc.cluster.local`;
  }

  /** Host name of the client Service. */
  get clientHost(): string {
    const { name, namespace } = this.names;
    return `${name}.${namespace}.svc.cluster.local`;
  }

  /** All pods in the order in which they join: rack after rack, as sync waves start them. */
  nodes(): Node[] {
    return this.racks.flatMap((rack) =>
      Array.from({ length: this.nodesPerRack }, (_, ordinal) => {
        const pod = `${this.names.name}-${rack}-${ordinal}`;
        return { pod, rack, host: `${pod}.${this.nodesHost}` };
      }),
    );
  }

  /** The pods that should be nodes of the ring. */
  members(): Node[] {
    return this.nodes().filter((node) => ordinalOf(node) < this.membersPerRack);
  }

  /** Default replication factor of a keyspace: three, or the number of nodes if there are fewer. */
  copies(): number {
    return Math.min(3, this.members().length);
  }

  /** Configuration that each node reads when it starts, and ops at each round. */
  nodeConfig(): object {
    return {
      quietSeconds: 30,
      // Longer than pods need after a reboot: after that time the first node assumes that the ring is new.
      absentSeconds: 600,
      intervalSeconds: 3,
      service: this.nodesHost,
      datacenter: this.datacenter,
      copies: this.copies(),
      seeds: (this.first ?? this).seeds(),
      // Those of the first datacenter come before: a ring is never started here.
      members: [
        ...(this.first?.members().map((node) => ({ ...node, datacenter: this.first!.datacenter })) ?? []),
        ...this.members(),
      ],
      ...(this.membersPerRack < this.nodesPerRack && {
        surplus: this.nodes().filter((node) => ordinalOf(node) >= this.membersPerRack),
      }),
    };
  }

  /** Up to three seeds, in different racks if possible. */
  seeds(): string[] {
    return this.members()
      .sort((a, b) => ordinalOf(a) - ordinalOf(b))
      .slice(0, 3)
      .map(({ host }) => host);
  }

  private validate(): void {
    const { props, scope } = this;
    assertValid(
      scope,
      serviceNameProblem(this.names.name, 'the name of a ring', 30),
      imageProblem(this.image, 'image'),
      props.version === undefined ? undefined : cassandraVersionProblem(props.version, 'version'),
      props.config === undefined ? undefined : cassandraSettingsProblem(props.config, 'config'),
    );
    for (const rack of this.racks) assertValid(scope, dnsLabelProblem(rack, 'the name of a rack', 15));
    if (this.racks.length === 0 || new Set(this.racks).size !== this.racks.length) {
      fail(scope, {
        what: 'racks must be different names, at least one',
        got: this.racks,
        fix: "with ['r1', 'r2', 'r3'] each rack can move to its own host later",
      });
    }
    for (const [field, value] of Object.entries({ clusterName: props.clusterName, datacenter: this.datacenter })) {
      if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$/.test(value))
        fail(scope, {
          what: `${field} must be 1 to 48 letters, digits, _ and -`,
          got: value,
          fix: 'choose another name now: it can never change later',
        });
    }
    if (!Number.isInteger(this.nodesPerRack) || this.nodesPerRack < 1 || this.nodesPerRack > 50) {
      fail(scope, {
        what: 'nodesPerRack must be between 1 and 50',
        got: props.nodesPerRack,
        fix: 'leave it out for one node in each rack',
      });
    }
    assertValid(scope, membersPerRackProblem(this.membersPerRack, this.nodesPerRack, 'membersPerRack'));
  }

  /** Fails if the datacenter conflicts with those of the ring that it joins. */
  assertJoins(others: readonly CassandraRing[]): void {
    const { scope, props } = this;
    const first = others[0]!;
    const fields = {
      clusterName: [props.clusterName, first.props.clusterName],
      namespace: [this.names.namespace, first.names.namespace],
    };
    for (const [field, [own, theirs]] of Object.entries(fields))
      if (own !== theirs)
        fail(scope, {
          what: `${field} must be that of the ring that it joins`,
          got: own,
          allowed: theirs,
          fix: `set ${field} to ${theirs}, or leave joins out for a ring of its own`,
        });
    const taken = others.flatMap(({ datacenter, racks }) => [datacenter, ...racks]);
    const twice = [this.datacenter, ...this.racks].filter((name) => taken.includes(name));
    if (twice.length > 0)
      fail(scope, {
        what: 'datacenter and racks must have names that no other datacenter of the ring uses',
        got: twice,
        fix: "name them after the place, as datacenter 'dc2' with racks ['dc2-r1']",
      });
    for (const field of ['keyspaces', 'backup'] as const)
      if (props[field] !== undefined)
        fail(scope, {
          what: `${field} must not be set on a datacenter that joins a ring`,
          got: props[field],
          fix: `give ${field} to the first datacenter, which has every keyspace`,
        });
  }
}

/** Objects of a ring that exist also when it is retired. */
export function keptCassandra(
  scope: Construct,
  ring: CassandraRing,
  storage: DataStorage,
  admin?: DeclaredSecret,
): { readonly connections: Connections; readonly adminSecret: DeclaredSecret } {
  const pods = ring.nodes().map(({ pod }) => pod);
  return {
    connections: keptData(scope, ring.names, { storage, pods, identity: ring.identity }),
    adminSecret: admin ?? superuser(scope, ring.names, 'admin'),
  };
}
