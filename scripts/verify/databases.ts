import { databasePods, type Cassandra, type MongoDb } from '../../inventory';
import { bad, causeOf, good, warning, type Check, type Finding } from '../engine/findings';
import { json } from '../engine/json';
import type { Context } from '../clients/context';
import type { Kubernetes } from '../clients/kubernetes';
import { mongosh } from '../clients/mongosh';
import { isFault, type Problem } from '../engine/problem';

/** Whether every database reports all of its members. */
export function databaseChecks({ homelab, kubernetes }: Context): Record<string, Check> {
  return Object.fromEntries(
    Object.entries(homelab.databases).map(([name, database]) => [
      `database ${name}`,
      async (): Promise<Finding[]> => {
        if (database.state === 'retired') return [good(`database ${name}`, 'retired: it runs no pods')];
        return [
          database.kind === 'cassandra'
            ? await ring(kubernetes, name, database)
            : await set(kubernetes, name, database),
        ];
      },
    ]),
  );
}

const answering = (pod: string) => ({ seconds: 60, waitsFor: `${pod} to answer` });

/** Every node is up and normal, as the first one that answers sees it. */
async function ring(kubernetes: Kubernetes, name: string, database: Cassandra): Promise<Finding> {
  const what = `ring ${name}`;
  const pods = databasePods(name, database);
  const faults: [string, Problem][] = [];
  for (const pod of pods) {
    try {
      const { stdout } = await kubernetes.exec(
        { namespace: name, pod, container: 'cassandra' },
        ['nodetool', 'status'],
        answering(pod),
      );
      const states = [...stdout.matchAll(/^([UD?][NLJM?])\s+(\S+)/gm)];
      const well = states.filter(([, state]) => state === 'UN').length;
      const saw = `${well} of ${pods.length} nodes up and normal`;
      if (states.length === pods.length && well === pods.length) return good(what, saw);
      const others = states.filter(([, state]) => state !== 'UN').map(([, state, address]) => `${address} is ${state}`);
      const more = states.length > pods.length ? [`${states.length} nodes are known`] : [];
      return bad(what, [saw, ...others, ...more].join(', '), `kubectl -n ${name} exec ${pod} -- nodetool status`);
    } catch (error) {
      if (!isFault(error)) throw error;
      faults.push([pod, error]);
    }
  }
  const fix = `kubectl -n ${name} get pods`;
  const each = faults.map(([pod, { message }]) => `${pod}: ${message}`).join('; ');
  return silent(faults, what, 'no node answers', fix) ?? bad(what, `no node answers; ${each}`, fix);
}

/** Where every pod is silent for the same reason: that once, as the cause. */
function silent(
  faults: readonly (readonly [string, Problem])[],
  what: string,
  saw: string,
  fix: string,
): Finding | undefined {
  const [cause, ...others] = new Set(faults.map(([, error]) => causeOf(error)));
  if (cause === undefined || others.length > 0) return undefined;
  return { ...bad(what, `${saw}: ${faults[0]![1].message}`, fix), cause };
}

/** Needs no login: every member tells what it is. */
const HELLO =
  'const { setName, isWritablePrimary, secondary, hosts, passives } = db.hello(); print(JSON.stringify({ setName, isWritablePrimary, secondary, hosts, passives }))';
const URL = 'mongodb://127.0.0.1:27017/?directConnection=true&serverSelectionTimeoutMS=5000';

/** One primary, all others secondary, and as many members as are wanted. */
async function set(kubernetes: Kubernetes, name: string, database: MongoDb): Promise<Finding> {
  const what = `replica set ${name}`;
  const states: { pod: string; state: string }[] = [];
  const faults: [string, Problem][] = [];
  let members = 0;
  for (const pod of databasePods(name, database)) {
    try {
      // Not in the container `reconcile`: beside its own mongosh there is no memory for a second one.
      const command = mongosh('mongosh --norc --quiet --eval "$1" "$2"', HELLO, URL);
      const { stdout } = await kubernetes.exec({ namespace: name, pod, container: 'mongod' }, command, answering(pod));
      const hello = json(stdout.trim().split('\n').at(-1) ?? '', `mongosh in ${pod}`);
      // Members without a priority stand in `passives`, hidden ones nowhere.
      members = Math.max(members, (hello?.hosts?.length ?? 0) + (hello?.passives?.length ?? 0));
      const state = hello?.isWritablePrimary
        ? 'PRIMARY'
        : hello?.secondary
          ? 'SECONDARY'
          : 'neither primary nor secondary';
      states.push({ pod, state });
    } catch (error) {
      if (!isFault(error)) throw error;
      states.push({ pod, state: error.message });
      faults.push([pod, error]);
    }
  }
  const saw = states.map(({ pod, state }) => `${pod} ${state}`).join(', ');
  const primaries = states.filter(({ state }) => state === 'PRIMARY').length;
  const well = states.filter(({ state }) => state === 'PRIMARY' || state === 'SECONDARY').length;
  const fix = `kubectl -n ${name} logs ${name}-0 -c reconcile`;
  const none = faults.length === states.length ? silent(faults, what, 'no member answers', fix) : undefined;
  if (none !== undefined) return none;
  if (primaries !== 1) return bad(what, `${primaries} primaries; ${saw}`, fix);
  if (well < states.length) return bad(what, saw, fix);
  const hidden = Object.values(database.memberOptions ?? {}).filter((each) => each.hidden || each.delay).length;
  const wanted = database.members - hidden;
  return members === wanted
    ? good(what, saw)
    : warning(what, `${members} of ${wanted} members${hidden > 0 ? ' that are not hidden' : ''}; ${saw}`, fix);
}
