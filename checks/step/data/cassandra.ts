import type { Risk } from '../plan';
import { mainContainer, idsOf, thingOf, type Database, type Index } from './databases';
import { dataRisk, type Found } from './risk';
import { podNames, replicasOf } from './workloads';

/** The identity of a ring. Each node stores it in its system tables. */
interface Ring {
  readonly clusterName?: string;
  readonly datacenter?: string;
  readonly racks: readonly string[];
  readonly nodes: number;
  readonly pods: readonly string[];
  /** Pods that run but are not members any more. They leave the ring. */
  readonly surplus: readonly string[];
  readonly settings: Readonly<Record<string, string | undefined>>;
  readonly copies: ReadonlyMap<string, number>;
}

/** Settings of cassandra.yaml that must never change, and what happens if one does. */
const SETTINGS: Readonly<Record<string, { readonly env?: string; readonly problem: string }>> = {
  num_tokens: {
    env: 'CASSANDRA_NUM_TOKENS',
    problem: 'A node that holds data refuses to start with another number of tokens; only an empty node can take it.',
  },
  allocate_tokens_for_local_replication_factor: {
    problem:
      'New nodes would choose their tokens by another rule than the existing ones, and own uneven parts of the data.',
  },
  initial_token: { problem: 'Tokens define which rows a node owns; a node that holds data refuses other tokens.' },
  partitioner: { problem: 'Cassandra would look for each row on other nodes than those that hold it.' },
  endpoint_snitch: {
    env: 'CASSANDRA_ENDPOINT_SNITCH',
    problem:
      'Nodes would get another datacenter or rack: those that hold data refuse to start, or look for rows elsewhere.',
  },
  data_file_directories: { problem: 'A node starts empty in another folder, and its rows stay behind in the old one.' },
  commitlog_directory: {
    problem: 'Acknowledged writes that are only in the old commit log are not replayed, and are lost.',
  },
};

/** What a step does to a Cassandra ring that runs before and after it. */
export function cassandraRisks(before: Database, after: Database, index: Index): Risk[] {
  const was = ringOf(before);
  const is = ringOf(after);
  const thing = thingOf(before, index);
  const risk = (found: Pick<Found, 'section' | 'from' | 'to' | 'problem' | 'way'> & { aspect: string }) => {
    const { aspect, ...rest } = found;
    return dataRisk({ ...rest, what: `${thing}.${aspect}`, objects: idsOf(before, after) });
  };
  const racks = rackRisks(was, is, before);
  return [
    ...identityRisks(was, is).map((each) => risk(each)),
    ...racks.map((each) => risk(each)),
    ...Object.entries(SETTINGS)
      .filter(([name]) => was.settings[name] !== is.settings[name])
      .map(([name, { problem }]) =>
        risk({
          aspect: name,
          section: 'identity',
          from: was.settings[name],
          to: is.settings[name],
          problem,
          way: newRing,
        }),
      ),
    // The rule for nodes reports fewer replicas that follow from fewer nodes.
    ...(racks.length > 0 ? [] : copyRisks(was, is)).map((each) => risk(each)),
  ];
}

type Aspect = Pick<Found, 'section' | 'from' | 'to' | 'problem' | 'way'> & { readonly aspect: string };

const newRing = [
  'put the old value back: it cannot change during the life of this ring',
  'for another one, add a second database with another name in homelab.ts, copy the data with dumps, let services use it, then retire the old one',
];

function identityRisks(was: Ring, is: Ring): Aspect[] {
  const found: Aspect[] = [];
  if (was.clusterName !== undefined && was.clusterName !== is.clusterName)
    found.push({
      aspect: 'clusterName',
      section: 'identity',
      from: was.clusterName,
      to: is.clusterName,
      problem:
        'Every node keeps the name of its cluster on its disk and refuses to start under another one. Only an empty disk takes the new name, so all rows would be lost.',
      way: newRing,
    });
  if (was.datacenter !== undefined && was.datacenter !== is.datacenter)
    found.push({
      aspect: 'datacenter',
      section: 'identity',
      from: was.datacenter,
      to: is.datacenter,
      problem:
        'Nodes that hold data refuse to start in another datacenter. Keyspaces place their replicas by its name: in the new one no node holds any.',
      way: newRing,
    });
  return found;
}

function rackRisks(was: Ring, is: Ring, { name }: Database): Aspect[] {
  const gone = was.racks.filter((rack) => !is.racks.includes(rack));
  const added = is.racks.filter((rack) => !was.racks.includes(rack));
  if (was.racks.length > 0 && gone.length + added.length > 0)
    return [
      {
        aspect: 'racks',
        section: 'racks',
        from: was.racks,
        to: is.racks,
        problem: `${
          gone.length > 0
            ? `The nodes of ${gone.join(', ')} end without being decommissioned, so their rows are missing from the ring, and their disks stay behind`
            : `Replicas are placed by rack: with ${added.join(', ')} they belong on other nodes than those that hold them, and reads miss rows`
        }; a node cannot change its rack.`,
        way: [
          `put the racks back: ${was.racks.join(', ')}. Their names and their number cannot change; to use another host, move the disk of a rack there`,
          'for more nodes raise nodesPerRack and give a machine a disk for each new pod: the ring grows node by node',
        ],
      },
    ];
  const racked = Math.max(1, was.racks.length);
  // Does not count a node that left the ring with the previous commit.
  const leaving = was.pods.filter((pod) => !is.pods.includes(pod) && !was.surplus.includes(pod));
  if (leaving.length === 0) return [];
  return [
    {
      aspect: 'nodesPerRack',
      section: 'racks',
      from: was.nodes / racked,
      to: is.nodes / racked,
      problem: `The removed pods are nodes of the ring (${leaving.join(', ')}), and nothing decommissions them: their rows are missing, and the ring waits for them.`,
      way: [
        `first commit: membersPerRack: ${is.nodes / racked}, nodesPerRack: ${was.nodes / racked}. The nodes leave the ring one after the other`,
        `check: ${membersLook(name)}`,
        `second commit: nodesPerRack: ${is.nodes / racked}, and remove membersPerRack; the pods that end are then no nodes`,
      ],
    },
  ];
}

/** Command that shows that the surplus nodes have left. */
export function membersLook(name: string): string {
  return `npm run homelab -- status reports for ${name} that the pods that leave have left`;
}

function copyRisks(was: Ring, is: Ring): Aspect[] {
  return [...was.copies].flatMap(([keyspace, copies]): Aspect[] => {
    const now = is.copies.get(keyspace);
    // A keyspace that is no longer declared is never dropped, and keeps its replicas.
    if (now === undefined || now >= copies) return [];
    return [
      {
        aspect: `keyspaces.${keyspace}.copies`,
        section: 'copies',
        from: copies,
        to: now,
        problem: `The schema Job removes replicas at once: the newest version of a row is lost if only removed replicas have it${
          now === 1 ? ', and with one replica each failed disk loses rows' : ''
        }.`,
        way: [
          `first a repair of ${keyspace} on every node that began after the last node was away: npm run homelab -- status shows when it was, nodetool repair -full -pr ${keyspace} on every node makes one now`,
          'then lower the replicas in a separate commit, with an accepted change that says that the repair was done; ops then removes the rows that nodes no longer own',
        ],
      },
    ];
  });
}

function ringOf(database: Database): Ring {
  const { files, sets } = database;
  const yaml = settingsOf(files.get('cassandra.yaml') ?? '');
  const env = new Map<string, string | undefined>(
    (mainContainer(database)?.env ?? []).map(({ name, value }: { name: string; value?: string }) => [name, value]),
  );
  const racks = racksOf(database);
  return {
    clusterName: yaml.get('cluster_name') ?? env.get('CASSANDRA_CLUSTER_NAME'),
    datacenter: racks.map(({ dc }) => dc).find(Boolean) ?? env.get('CASSANDRA_DC') ?? env.get('CASSANDRA_DATACENTER'),
    racks:
      namesOf(sets) ?? (racks.length > 0 ? racks.map(({ rack }) => rack) : [env.get('CASSANDRA_RACK') ?? []].flat()),
    nodes: sets.reduce((sum, set) => sum + replicasOf(set), 0),
    pods: sets.flatMap(podNames),
    surplus: surplusOf(database),
    settings: Object.fromEntries(
      Object.entries(SETTINGS).map(([name, { env: variable }]) => [
        name,
        yaml.get(name) ?? (variable === undefined ? undefined : env.get(variable)),
      ]),
    ),
    copies: copiesOf(files.get('schema.json')),
  };
}

/** Racks by the labels of their sets; undefined in charts without these labels. */
function namesOf(sets: Database['sets']): string[] | undefined {
  const names = sets.map(({ metadata }) => metadata.labels?.['cassandra-rack']);
  return names.every((name) => typeof name === 'string') ? names.sort() : undefined;
}

/** Top-level settings of cassandra.yaml, without a YAML parser: it would cost every synth 40 ms. */
function settingsOf(text: string): Map<string, string> {
  const found = new Map<string, string>();
  let key = '';
  for (const line of text.split('\n')) {
    const setting = /^([a-z_]+):(.*)$/.exec(line);
    const entry = /^\s+-?\s*(.*)$/.exec(line);
    if (setting) {
      key = setting[1]!;
      found.set(key, bare(setting[2]!));
    } else if (entry && key !== '') found.set(key, [found.get(key), bare(entry[1]!)].filter(Boolean).join(' '));
  }
  return found;
}

function bare(value: string): string {
  return value
    .replace(/\s+#.*$/, '')
    .trim()
    .replace(/^(["'])(.*)\1$/, '$2');
}

/** One for each rack properties file that a set of the ring uses, or that is next to the others. */
function racksOf({ files }: Database): { readonly rack: string; readonly dc?: string }[] {
  return [...files]
    .filter(([name]) => /^cassandra-rackdc(-.*)?\.properties$/.test(name))
    .map(([, text]) => ({ rack: property(text, 'rack') ?? '', dc: property(text, 'dc') }))
    .sort((a, b) => (a.rack < b.rack ? -1 : 1));
}

function property(text: string, name: string): string | undefined {
  return new RegExp(`^\\s*${name}\\s*=\\s*(.*?)\\s*$`, 'm').exec(text)?.[1];
}

/** Pods of a ring that are no longer members, by the configuration of its nodes. */
export function surplusOf({ files }: Database): string[] {
  try {
    return (JSON.parse(files.get('node.json') ?? '{}').surplus ?? []).map(({ pod }: { readonly pod: string }) => pod);
  } catch {
    return [];
  }
}

function copiesOf(schema: string | undefined): Map<string, number> {
  try {
    return new Map(Object.entries<number>(JSON.parse(schema ?? '{}').keyspaces ?? {}));
  } catch {
    return new Map();
  }
}

/** The lowest replication factor of the ring's keyspaces; undefined if none is known. */
export function fewestCopies({ files }: Database): number | undefined {
  const copies = [...copiesOf(files.get('schema.json')).values()];
  return copies.length === 0 ? undefined : Math.min(...copies);
}
