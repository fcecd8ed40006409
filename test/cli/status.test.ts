import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duration } from 'cdk8s';
import { databaseStatus, status } from '../../cli/status';
import { defineHomelab } from '../../inventory';
import { changed } from '../homelab';

const { PATH } = process.env;
const NOW = Date.parse('2026-11-28T12:00:00Z');
const SECONDS = NOW / 1000;
const HOUR = 3600;
const homelab = defineHomelab(changed(() => undefined));
let folder: string;

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'status-'));
  process.env.PATH = `${folder}:${PATH}`;
  jest.spyOn(Date, 'now').mockReturnValue(NOW);
});
afterEach(() => {
  process.env.PATH = PATH;
  jest.restoreAllMocks();
  fs.rmSync(folder, { recursive: true });
});

interface Live {
  readonly ready?: boolean;
  readonly phase?: string;
  /** The report of its container, or the error of kubectl exec. */
  readonly own?: object | string;
  readonly backup?: object;
  readonly every?: number;
}

/** A kubectl that knows these pods, in place of the cluster's. */
function kubectlAnswers(pods: Record<string, Live>, jobs: readonly object[] = []): void {
  const items = Object.entries(pods).map(([name, { ready = true, phase = 'Running', every }]) => ({
    metadata: { name },
    spec: {
      containers:
        every === undefined ? [] : [{ name: 'backup', env: [{ name: 'BACKUP_EVERY_SECONDS', value: `${every}` }] }],
    },
    status: { phase, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  }));
  fs.writeFileSync(join(folder, 'pods'), JSON.stringify({ items }));
  fs.writeFileSync(join(folder, 'jobs'), JSON.stringify({ items: jobs }));
  for (const [name, { own, backup }] of Object.entries(pods))
    fs.writeFileSync(
      join(folder, name),
      typeof own === 'string' ? own : `${JSON.stringify(own ?? null)}\n${JSON.stringify(backup ?? null)}\n`,
    );
  const failing = Object.keys(pods).filter((name) => typeof pods[name]!.own === 'string');
  const program = `#!/bin/sh
echo "$@" >>'${folder}/asked'
case "$*" in
  *' get pods '*) cat '${folder}/pods' ;;
  *' get jobs '*) cat '${folder}/jobs' ;;
  ${failing.map((name) => `*' ${name} '*) cat '${folder}/${name}' >&2; exit 1 ;;`).join('\n  ')}
  ${Object.keys(pods)
    .map((name) => `*' ${name} '*) cat '${folder}/${name}' ;;`)
    .join('\n  ')}
esac
`;
  fs.writeFileSync(join(folder, 'kubectl'), program, { mode: 0o755 });
}

const RING = [1, 2, 3].map((n) => ({ address: `10.0.0.${n}`, id: `id-${n}`, up: true, mode: 'N' }));

function node(rack: number, more: object = {}): object {
  return {
    address: `10.0.0.${rack}`,
    time: SECONDS - 5,
    inRing: true,
    ring: RING,
    repairs: { chat: { last: SECONDS - 30 * HOUR, failures: 0 }, system_auth: { last: SECONDS - 29 * HOUR } },
    overdue: [],
    pending: { compactions: 2, streams: 0, hintBytes: 3000 },
    doing: null,
    waits: null,
    ...more,
  };
}

const racks = (edit: Record<string, Live> = {}): Record<string, Live> => ({
  'cassandra-r1-0': { own: node(1) },
  'cassandra-r2-0': { own: node(2) },
  'cassandra-r3-0': { own: node(3) },
  ...edit,
});

const cassandra = (lab = homelab) => databaseStatus(lab, 'cassandra', 'FILE', NOW);

test('a healthy ring: one line for each pod, and nothing is late', () => {
  kubectlAnswers(
    racks({
      'cassandra-r1-0': {
        own: node(1, { doing: 'repair chat' }),
        every: 86400,
        backup: { newest: '2026-11-28T02:00:00Z', error: null },
      },
    }),
  );
  const { lines, problems } = cassandra();
  expect(problems).toEqual([]);
  const cells = lines.map((line) => line.trim().split(/ {2,}/));
  const pending = '2 compactions, 0 streams, 3 KiB of hints';
  expect(cells).toEqual([
    ['cassandra: 3 of 3 pods are ready, 3 of 3 nodes in the ring'],
    ['pod', 'ready', 'node', 'oldest repair', 'failures', 'pending', 'ops', 'newest backup'],
    ['cassandra-r1-0', 'yes', 'up, normal', '30 h ago', '0', pending, 'repair chat', '10 h ago'],
    ['cassandra-r2-0', 'yes', 'up, normal', '30 h ago', '0', pending, 'nothing to do', 'off'],
    ['cassandra-r3-0', 'yes', 'up, normal', '30 h ago', '0', pending, 'nothing to do', 'off'],
    ['no drill of its backups has succeeded: npm run homelab -- restore-drill cassandra'],
  ]);
  const asked = fs.readFileSync(join(folder, 'asked'), 'utf8');
  expect(asked).toContain('--kubeconfig FILE --request-timeout=15s exec -n cassandra cassandra-r1-0 -c ops -- sh -c');
});

test.each<[string, Record<string, Live>, string]>([
  ['a pod that is not there', { 'cassandra-r2-0': undefined as any }, 'cassandra-r2-0: does not exist'],
  ['one that waits', { 'cassandra-r2-0': { ready: false, phase: 'Pending' } }, 'cassandra-r2-0: is Pending'],
  ['one that is not ready', { 'cassandra-r2-0': { ready: false, own: node(2) } }, 'cassandra-r2-0: is not ready'],
  [
    'one that does not answer',
    { 'cassandra-r2-0': { own: 'container ops is waiting' } },
    'cassandra-r2-0: kubectl exec cassandra failed: container ops is waiting',
  ],
  ['an ops without a status', { 'cassandra-r2-0': {} }, 'cassandra-r2-0: its ops reports nothing'],
  [
    'an ops that hangs',
    { 'cassandra-r2-0': { own: node(2, { time: SECONDS - HOUR }) } },
    'cassandra-r2-0: its ops last reported 60 min ago',
  ],
  [
    'a node that is down',
    { 'cassandra-r1-0': { own: node(1, { ring: [{ ...RING[0], up: false }, RING[1], RING[2]] }) } },
    'node 10.0.0.1 (id-1) is down, normal',
  ],
  [
    'a repair that is late',
    {
      'cassandra-r1-0': {
        own: node(1, {
          overdue: ['chat'],
          waits: 'these pods do not answer: x',
          repairs: { chat: { last: SECONDS - 8 * 24 * HOUR, error: 'refused' } },
        }),
      },
    },
    'cassandra-r1-0: the repair of chat is late: the last one was 8 d ago, since then: refused; ops waits: these pods do not answer: x',
  ],
  [
    'a repair that failed',
    { 'cassandra-r1-0': { own: node(1, { repairs: { chat: { last: SECONDS, failures: 2, error: 'no room' } } }) } },
    'cassandra-r1-0: the repair of chat failed 2 times: no room',
  ],
  [
    'no backup where there should be one',
    { 'cassandra-r1-0': { own: node(1), every: 86400 } },
    'cassandra-r1-0: there is no backup yet',
  ],
  [
    'a backup that is late',
    { 'cassandra-r1-0': { own: node(1), every: 86400, backup: { newest: '2026-11-26T12:00:00Z' } } },
    'cassandra-r1-0: the newest backup is from 2 d ago and should be at most 37 h old',
  ],
  [
    'one that failed',
    { 'cassandra-r1-0': { own: node(1), every: 86400, backup: { newest: '2026-11-28T02:00:00Z', error: 'no route' } } },
    'cassandra-r1-0: the last backup failed: no route',
  ],
])('%s is a problem', (_, edit, problem) => {
  const pods = Object.fromEntries(Object.entries(racks(edit)).filter(([, live]) => live !== undefined));
  kubectlAnswers(pods);
  expect(cassandra().problems.join('\n')).toContain(problem);
});

test('names pods that should leave the ring until they have left, and reports no problem then', () => {
  const lab = defineHomelab(
    changed((h) => {
      Object.assign(h.databases.cassandra, { racks: ['r1'], nodesPerRack: 2, membersPerRack: 1 });
      const { 'cassandra-r1-0': size } = h.machines['talos-worker-01'].dataDisks;
      h.machines['talos-worker-01'].dataDisks = { 'cassandra-r1-0': size, 'cassandra-r1-1': size };
    }),
  );
  const ring = { ring: RING.slice(0, 1) };
  kubectlAnswers({ 'cassandra-r1-0': { own: node(1, ring) }, 'cassandra-r1-1': { own: node(2) } });
  expect(cassandra(lab).lines[0]).toContain('should leave: cassandra-r1-1');
  kubectlAnswers({
    'cassandra-r1-0': { own: node(1, ring) },
    'cassandra-r1-1': { ready: false, own: node(2, { inRing: false, ring: [] }) },
  });
  const { lines, problems } = cassandra(lab);
  expect(lines[0]).toContain('1 of 1 nodes in the ring, the pods that leave have left: cassandra-r1-1');
  expect(lines.at(-1)).toMatch(/cassandra-r1-1 {2}no {5}left/);
  expect(problems).toEqual([]);
});

const member = (n: number, state: string, lagSeconds = 0) => ({
  host: `mongodb-${n}.mongodb.mongodb.svc:27017`,
  state,
  lagSeconds,
});
const told = (members: object[] = [], more: object = {}) => ({
  own: { time: SECONDS - 5, action: 'nothing: as wanted', members, ...more },
});
const set = (members: object[], edit: Record<string, Live> = {}) => ({
  'mongodb-0': told(members),
  'mongodb-1': told(),
  'mongodb-2': told(),
  ...edit,
});
const mongodb = (lab = homelab) => databaseStatus(lab, 'mongodb', undefined, NOW);

test('a healthy replica set', () => {
  kubectlAnswers(set([member(0, 'PRIMARY'), member(1, 'SECONDARY', 2), member(2, 'SECONDARY')]));
  const { lines, problems } = mongodb();
  expect(problems).toEqual([]);
  expect(lines[0]).toBe('mongodb: 3 of 3 pods are ready, 3 of 3 members in the set');
  expect(lines[3]).toMatch(/^ {2}mongodb-1 {2}yes {4}secondary {2}2 s {5}nothing: as wanted {2}off$/);
});

test.each<[string, Record<string, Live>, string]>([
  ['no primary', set([]), 'no member reports that it is primary: writes are impossible'],
  [
    'a member that does not answer',
    set([member(0, 'PRIMARY'), member(1, '(not reachable/healthy)')]),
    'is (not reachable/healthy)',
  ],
  ['one that is far behind', set([member(0, 'PRIMARY'), member(1, 'SECONDARY', 90)]), 'is 90 s behind the primary'],
  [
    'a reconciler that fails',
    set([member(0, 'PRIMARY')], { 'mongodb-1': told([], { error: 'refused' }) }),
    'mongodb-1: refused',
  ],
  [
    'one that hangs',
    set([member(0, 'PRIMARY')], { 'mongodb-1': told([], { time: SECONDS - 600 }) }),
    'mongodb-1: its reconcile last reported 10 min ago',
  ],
])('%s is a problem', (_, pods, problem) => {
  kubectlAnswers(pods);
  expect(mongodb().problems.join('\n')).toContain(problem);
});

test('prints the whole text of a member that waits, and only once', () => {
  const action =
    'wait: this member is empty and no member is primary, so most members may have lost their data: touch the file';
  kubectlAnswers(set([], { 'mongodb-1': { ready: false, ...told([], { action }) } }));
  const { lines, problems } = mongodb();
  expect(problems).toContain(`mongodb-1: is not ready: ${action}`);
  expect(lines[3]).toContain('wait: this member is empty and no member is primary, so m...  off');
});

describe('the last drill', () => {
  const job = (
    name: string,
    type: string | undefined,
    hoursAgo: number,
    env = [{ name: 'RESTORE_DRILL', value: 'yes' }],
  ) => {
    const at = new Date(NOW - hoursAgo * HOUR * 1000).toISOString();
    return {
      metadata: { name },
      spec: {
        template: { spec: { initContainers: [{ name: 'fetch', env }], containers: [{ name: 'restore', env }] } },
      },
      status: {
        startTime: new Date(Date.parse(at) - 78_000).toISOString(),
        ...(type === 'Complete' && { completionTime: at }),
        conditions: type === undefined ? undefined : [{ type, status: 'True', lastTransitionTime: at }],
      },
    };
  };
  const stored = { own: told([member(0, 'PRIMARY')]).own, every: 86400, backup: { newest: '2026-11-28T02:00:00Z' } };
  const drilled = (...jobs: object[]) => {
    kubectlAnswers(set([], { 'mongodb-0': stored }), jobs);
    const { lines, problems } = mongodb();
    return [lines.at(-1)!.trim(), ...problems.filter((each) => each.includes('drill'))];
  };
  const never = 'no drill of its backups has succeeded: npm run homelab -- restore-drill mongodb';

  test('shows how long it took', () => {
    const restore = job('mongodb-restore-x', 'Complete', 1, [{ name: 'RESTORE_DRILL', value: undefined as never }]);
    expect(drilled(job('older', 'Failed', 90), job('a', 'Complete', 80), restore)).toEqual([
      'last drill of its backups: 3 d ago, in 78 s',
    ]);
    expect(drilled(restore, job('runs', undefined, 0))).toEqual([never]);
  });

  test('is a problem after a failure, until another one succeeds', () => {
    expect(drilled(job('a', 'Complete', 80), job('b', 'Failed', 3))).toEqual([
      'last drill of its backups: 3 d ago, in 78 s',
      'the last drill of its backups failed 3 h ago: kubectl -n mongodb logs job/b --all-containers',
    ]);
    expect(drilled(job('b', 'Failed', 3))[0]).toBe(never);
  });
});

test('a delayed member is late only beyond its delay', () => {
  const lab = defineHomelab(
    changed((h) => {
      Object.assign(h.databases.mongodb, { members: 4, memberOptions: { 3: { delay: Duration.hours(1) } } });
      const { dataDisks } = h.machines['talos-worker-02'];
      dataDisks['mongodb-3'] = dataDisks['mongodb-0'];
    }),
  );
  const problems = (lag: number) => {
    const members = [member(0, 'PRIMARY'), member(1, 'SECONDARY'), member(2, 'SECONDARY'), member(3, 'SECONDARY', lag)];
    kubectlAnswers(set(members, { 'mongodb-3': told() }));
    return mongodb(lab).problems;
  };
  expect(problems(3610)).toEqual([]);
  expect(problems(3700)).toEqual(['mongodb-3.mongodb.mongodb.svc:27017 is 3700 s behind the primary']);
});

test('a member without data has no lag since 1970', () => {
  const never = NOW / 1000;
  const without = [member(1, '(not reachable/healthy)', never), member(2, 'STARTUP2', never)];
  kubectlAnswers(set([member(0, 'PRIMARY'), ...without, member(3, 'RECOVERING', 90)]));
  const { lines, problems } = mongodb();
  expect(lines[4]).toMatch(/startup2 +\? /);
  expect(problems.filter((each) => each.includes('behind'))).toEqual([
    expect.stringMatching(/^mongodb-3\..* is 90 s behind the primary$/),
  ]);
});

test('reports a cluster that does not answer within the timeout, and names a wrong option', async () => {
  fs.writeFileSync(join(folder, 'kubectl'), '#!/bin/sh\necho "connection refused" >&2\nexit 1\n', { mode: 0o755 });
  expect(() => cassandra()).toThrow('kubectl get pods failed: connection refused');
  await expect(status(['--kubeconf=x'])).rejects.toThrow('the option must be one of this command, got "--kubeconf"');
});
