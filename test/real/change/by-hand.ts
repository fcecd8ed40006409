import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Size } from 'cdk8s';
import threeHosts from '../../../examples/three-hosts/homelab';
import { changed } from '../../homelab';
import type { Tally } from '../tally';
import type { Result } from './agreement';
import type { Taken, Walk } from './walk';

type Json = any;

/** Ways of docs/day-2.md that need commands by hand, because the API server refuses a part of the commit. */
export const BY_HAND: Readonly<Record<string, (walk: Walk, tally: Tally) => Promise<void>>> = {
  'a larger disk': largerDisk,
  'a replica to another machine': otherMachine,
  'from the seed to three hosts': toThreeHosts,
};

/** Types commands as an owner does. */
function typed({ site }: Walk, ...commands: readonly string[]): () => Promise<void> {
  return async () => {
    for (const command of commands)
      await promisify(execFile)('sh', ['-c', command], {
        env: { ...process.env, KUBECONFIG: site.plane.kubeconfig },
        timeout: 120_000,
      });
  };
}

const list = (ids: Iterable<string>) => [...ids].sort().join('\n');

function onlyThese(
  tally: Tally,
  what: string,
  { objects, restarted }: Result,
  ids: readonly string[],
  pods: readonly string[],
): void {
  const seen = list([...objects].map(([id, outcome]) => `${id} ${outcome}`));
  tally.check(what, seen === list(ids), `wanted\n${list(ids)}\nand there was\n${seen}`);
  const ended = list([...restarted.values()].flat());
  tally.check(`${what}: pods`, ended === list(pods), ended);
}

function refusedOnly(tally: Tally, what: string, { result }: Taken, ids: readonly string[]): void {
  tally.check(`${what}: these are refused`, list(result.refused.keys()) === list(ids), list(result.refused.keys()));
}

/** docs/day-2.md, "Data disks". */
async function largerDisk(walk: Walk, tally: Tally): Promise<void> {
  const taken = await walk.commit('larger disks', (h) => {
    for (const machine of Object.values<Json>(h.machines))
      for (const disk of Object.keys(machine.dataDisks ?? {})) machine.dataDisks[disk] = Size.gibibytes(150);
  });
  const sets = ['cassandra/cassandra-r1', 'cassandra/cassandra-r2', 'cassandra/cassandra-r3', 'mongodb/mongodb'];
  refusedOnly(tally, 'larger disks', taken, [`apps/StatefulSet ${sets[0]}`, `apps/StatefulSet ${sets[3]}`]);
  const done = await walk.byHand(
    typed(
      walk,
      'kubectl -n cassandra delete statefulset cassandra-r1 cassandra-r2 cassandra-r3 --cascade=orphan',
      'kubectl -n mongodb delete statefulset mongodb --cascade=orphan',
    ),
    300,
  );
  onlyThese(
    tally,
    'StatefulSets are made anew and nothing else',
    done,
    sets.map((set) => `apps/StatefulSet ${set} recreated`),
    [],
  );
}

/** docs/day-2.md, "A replica to another machine". */
async function otherMachine(walk: Walk, tally: Tally): Promise<void> {
  await walk.commit('both workers may hold Cassandra', (h) => {
    h.machines['talos-worker-02'].labels.ring = 'yes';
    h.machines['talos-worker-01'].labels.ring = 'yes';
    h.databases.cassandra.nodeLabel = { key: 'ring', value: 'yes' };
  });
  const taken = await walk.commit('r3 moves', (h) => {
    delete h.machines['talos-worker-01'].dataDisks['cassandra-r3-0'];
    h.machines['talos-worker-02'].dataDisks['cassandra-r3-0'] = Size.gibibytes(100);
  });
  refusedOnly(tally, 'r3 moves', taken, ['/PersistentVolume /cassandra-data-cassandra-r3-0']);
  const done = await walk.byHand(
    typed(
      walk,
      'kubectl -n cassandra delete pvc data-cassandra-r3-0 --wait=false',
      'kubectl -n cassandra delete pod cassandra-r3-0',
      'kubectl delete pv cassandra-data-cassandra-r3-0',
    ),
    300,
  );
  onlyThese(
    tally,
    'volume and claim are made anew and nothing else',
    done,
    [
      '/PersistentVolume /cassandra-data-cassandra-r3-0 recreated',
      '/PersistentVolumeClaim cassandra/data-cassandra-r3-0 recreated',
    ],
    ['cassandra-r3-0'],
  );
  const pod = await walk.site.client.get({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'cassandra-r3-0', namespace: 'cassandra' },
  });
  tally.check(
    'the pod runs on the other machine',
    pod?.spec.nodeName === 'talos-worker-02' && pod.status.phase === 'Running',
    JSON.stringify(pod?.status),
  );
}

async function toThreeHosts(walk: Walk, tally: Tally): Promise<void> {
  const url = walk.site.repository.url;
  const taken = await walk.commit('three hosts in one commit', (h) => {
    for (const key of Object.keys(h)) Reflect.deleteProperty(h, key);
    Object.assign(
      h,
      changed(() => undefined, threeHosts),
      { name: 'collab', git: { url, revision: 'main' } },
    );
  });
  console.log([...taken.result.refused].map(([id, why]) => `  ${id}: ${why}`).join('\n'));
  tally.check(
    'the plan says that data is at risk',
    taken.plan.risks.some(({ verdict }) => verdict === 'data'),
  );
}
