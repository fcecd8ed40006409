import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { python3, pythonTest as test } from './python';

const folder = fs.mkdtempSync(join(tmpdir(), 'cassandra-ops-'));
for (const module of ['joining', 'ops', 'ops_decisions', 'ops_telling'])
  fs.copyFileSync(resolve(`constructs/files/cassandra-${module.replace('_', '-')}.py`), join(folder, `${module}.py`));
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** Calls a function of the decisions with values. */
function decided(name: string, ...args: readonly unknown[]): any {
  const program = `import sys, json; sys.path.insert(0, ${JSON.stringify(folder)}); import ops_decisions\nprint(json.dumps(ops_decisions.${name}(*json.load(sys.stdin))))`;
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
  return JSON.parse(execFileSync(python3, ['-c', program], { env, input: JSON.stringify(args) }).toString());
}

const DAY = 86400;
const NOW = 100 * DAY;
const config = { repairSeconds: 5 * DAY, retrySeconds: 1800 };
const ID = '8f6d3c1e-0000-4000-8000-00000000000';

test('keyspaces are read from what nodetool describecluster prints, without those of each node alone', () => {
  const text = `Cluster Information:
	Name: collab
Keyspaces:
	system_auth -> Replication class: NetworkTopologyStrategy {dc1=3}
	system_traces -> Replication class: SimpleStrategy {replication_factor=2}
	system -> Replication class: LocalStrategy {}
	chat -> Replication class: NetworkTopologyStrategy {dc1=3, dc2=2}
`;
  const found = decided('parse_keyspaces', text);
  expect(found).toEqual({
    system_auth: { class: 'NetworkTopologyStrategy', dc1: '3' },
    system_traces: { class: 'SimpleStrategy', replication_factor: '2' },
    chat: { class: 'NetworkTopologyStrategy', dc1: '3', dc2: '2' },
  });
  expect(Object.values(found).map((each) => decided('copies_of', each))).toEqual([3, 2, 3]);
});

test('a keyspace is repaired when its last repair began long enough ago, the oldest first', () => {
  const memory = {
    since: 1,
    repairs: { a: { last: NOW - 5 * DAY }, b: { last: NOW - 6 * DAY }, c: { last: NOW - 4 * DAY } },
  };
  expect(decided('due_repairs', memory, { a: {}, b: {}, c: {}, fresh: {} }, config, NOW)).toEqual(['fresh', 'b', 'a']);
});

test('a new node is repaired within an hour, or sooner where repairs are: a ring that starts has other things to do', () => {
  const due = (age: number, repairSeconds: number) =>
    decided('due_repairs', { since: NOW - age }, { a: {} }, { ...config, repairSeconds }, NOW);
  expect(due(3599, 5 * DAY)).toEqual([]);
  expect(due(3600, 5 * DAY)).toEqual(['a']);
  expect(due(20, 20)).toEqual(['a']);
  expect(decided('due_repairs', {}, { a: {} }, config, NOW)).toEqual([]);
});

test('a repair that failed is tried again after a pause, and the others go on', () => {
  const memory = { since: 1, repairs: { a: { failedAt: NOW - 1799 }, b: { failedAt: NOW - 1800 }, c: {} } };
  expect(decided('due_repairs', memory, { a: {}, b: {}, c: {} }, config, NOW)).toEqual(['b', 'c']);
});

test('it is late before deleted rows could come back: at 7.5 of 10 days', () => {
  const memory = { since: NOW - 8 * DAY, repairs: { a: { last: NOW - 7 * DAY }, b: { last: NOW - 7.6 * DAY } } };
  expect(decided('overdue_repairs', memory, { a: {}, b: {}, never: {} }, config, NOW)).toEqual(['b', 'never']);
  expect(decided('overdue_repairs', {}, { never: {} }, config, NOW)).toEqual([]);
});

const normal = { up: true, mode: 'N', address: 'x' };
const idle = { turn: { state: 'none' }, inRing: true, release: '5.0.8' };

test.each<[string, object[], object, string | null]>([
  ['every node is there and answers', [normal, normal], { b: idle }, null],
  [
    'a pod that left runs what it likes',
    [normal, normal],
    { b: idle, c: { ...idle, inRing: false, release: null } },
    null,
  ],
  [
    'nodes run different versions',
    [normal, normal],
    { b: { ...idle, release: '5.0.6' } },
    'run another release than 5.0.8, or have not reported theirs: b',
  ],
  ['a pod does not answer', [normal, normal], { b: null }, 'do not answer: b'],
  ['a node is down', [normal, { ...normal, up: false, address: 'y' }], { b: idle }, 'not up and normal: y'],
  ['a node joins or leaves', [normal, { ...normal, mode: 'J', address: 'y' }], { b: idle }, 'not up and normal: y'],
  ['a node has not joined yet', [normal], { b: idle }, 'has 1 nodes and should have 2'],
])('whether an operation may begin: %s', (_, ring, peers, why) => {
  const found = decided('hindrance', { ring, release: '5.0.8' }, peers, { members: [{}, {}] });
  if (why === null) expect(found).toBeNull();
  else expect(found).toContain(why);
});

test('clocks that differ by more than a message may be old are told, with the pods and the seconds', () => {
  expect(decided('clock_problem', { b: 2, c: -2 })).toBeNull();
  expect(decided('clock_problem', {})).toBeNull();
  const why = decided('clock_problem', { b: 601, c: 0, d: -3 });
  expect(why).toMatch(
    /^these clocks differ from this pod's: b \(\+600 s\), d \(-3 s\); .* allowed: 2 s; compare .* talosctl time$/,
  );
});

const two = [
  { id: 'a', address: '1', load: 100, rack: 'r1' },
  { id: 'b', address: '2', load: 100, rack: 'r1' },
];
const done = { since: 1, release: '5.0.8', cleaned: ['a', 'b'], copies: { chat: 1 }, repairs: { chat: { last: NOW } } };
const look = { ring: two, keyspaces: { chat: { dc1: '1' } }, release: '5.0.8' };

test.each<[string, object, object, object, unknown[]]>([
  ['nothing', done, {}, look, []],
  ['a repair', { ...done, repairs: {} }, {}, look, [['repair', 'chat']]],
  ['a version that the files are older than', { ...done, release: '5.0.6' }, {}, look, [['upgradesstables', '5.0.8']]],
  ['what a new node took over', { ...done, cleaned: ['a'] }, {}, look, [['cleanup', null]]],
  ['nothing after a node left', done, {}, { ...look, ring: two.slice(1) }, []],
  ['what is of no use with fewer copies', { ...done, copies: { chat: 2 } }, {}, look, [['cleanup', null]]],
  [
    'to leave, and meanwhile what others do',
    { ...done, repairs: {} },
    { surplus: [{ pod: 'c-r1-1' }] },
    look,
    [
      ['decommission', null],
      ['repair', 'chat'],
    ],
  ],
])('a node wants %s', (_, memory, node, seen, operations) => {
  expect(decided('wanted', memory, seen, { members: [], ...node }, 'c-r1-1', config, NOW)).toEqual(operations);
});

const pod = (rack: string, ordinal: number) => ({ pod: `c-${rack}-${ordinal}`, rack });
const shrinking = {
  members: [pod('r1', 0), pod('r2', 0)],
  surplus: [pod('r1', 1), pod('r1', 2), pod('r2', 1), pod('r2', 2)],
};
const room = { ...idle, disk: { free: 2 ** 30 } };
const gone = { ...idle, inRing: false };
const ring4 = [...two, ...two].map((node, index) => ({ ...node, address: `${index}`, load: 600 * 2 ** 20 }));
const everybody = { 'c-r1-0': room, 'c-r2-0': room, 'c-r1-1': idle, 'c-r1-2': gone, 'c-r2-1': idle, 'c-r2-2': gone };

test.each<[string, string, object, object, string | null]>([
  ['it is the last of its rack, and everything fits', 'c-r1-1', {}, {}, null],
  ['another rack comes first', 'c-r2-1', {}, {}, 'leave the ring first: c-r1-1'],
  ['a later one of a later rack comes first', 'c-r1-1', { 'c-r2-2': idle }, {}, 'leave the ring first: c-r2-2'],
  [
    'a keyspace has more copies than nodes would be left',
    'c-r1-1',
    {},
    { chat: { dc1: '4' } },
    'chat has 4 replicas, but only 3 nodes would remain',
  ],
  [
    'copies that Cassandra makes by itself count not',
    'c-r1-1',
    {},
    { system_distributed: { replication_factor: '4' } },
    null,
  ],
  [
    'the node that stays in its rack has no room',
    'c-r1-1',
    { 'c-r1-0': { ...idle, disk: { free: 899 * 2 ** 20 } } },
    {},
    'c-r1-0 has 899 MiB free but needs 900',
  ],
  ['room in another rack does not matter', 'c-r1-1', { 'c-r2-0': { ...idle, disk: { free: 0 } } }, {}, null],
  ['how much room there is has not been told', 'c-r1-1', { 'c-r1-0': idle }, {}, 'c-r1-0 has 0 MiB free'],
])('whether a node may leave: %s', (_, me, peers, keyspaces, why) => {
  const { [me]: self, ...others } = { ...everybody, ...peers } as Record<string, object>;
  expect(self).toBeDefined();
  const found = decided('stays', { ring: ring4, keyspaces }, others, shrinking, me, '1');
  if (why === null) expect(found).toBeNull();
  else expect(found).toContain(why);
});

test('only what Cassandra keeps with 3 copies on any ring needs force', () => {
  const keyspaces = { chat: { dc1: '1' }, system_distributed: { replication_factor: '3' } };
  expect(decided('decommission', { ring: [1, 2, 3, 4], keyspaces })).toEqual(['decommission']);
  expect(decided('decommission', { ring: [1, 2, 3], keyspaces })).toEqual(['decommission', '--force']);
});

const wants = (...rank: number[]) => ({ turn: { state: 'wants', rank } });

test.each<[string, object, string]>([
  ['nobody else wants it', { b: idle }, 'run'],
  ['another runs', { b: { turn: { state: 'runs', rank: [1, 1] } } }, 'release'],
  ['an earlier one wants it', { b: wants(1, 0), c: wants(1, 5) }, 'release'],
  ['a later one wants it: it gives way first', { b: idle, c: wants(1, 5) }, 'hold'],
  ['a later one that leaves the ring goes before', { c: wants(0, 5) }, 'release'],
])('whose turn it is: %s', (_, peers, answer) => {
  expect(decided('turn', [1, 3], peers)).toBe(answer);
});

/** Every order in which some nodes can announce, look and decide. */
test('never do two run at once, in any order of their steps', () => {
  const program = `
import sys; sys.path.insert(0, ${JSON.stringify(folder)})
from ops_decisions import turn
NONE = {"state": "none"}
seen, todo, most = set(), [tuple(("idle", None) for _ in range(3))], 0
while todo:
    nodes = todo.pop()
    if nodes in seen:
        continue
    seen.add(nodes)
    most = max(most, sum(phase == "runs" for phase, _ in nodes))
    for i, (phase, noted) in enumerate(nodes):
        def becomes(*value):
            todo.append(nodes[:i] + (value,) + nodes[i + 1:])
        if phase == "idle":
            becomes("wants", ())
        elif phase == "runs":
            becomes("idle", None)
        elif len(noted) < 2:  # looks at one after the other
            other = [j for j in range(3) if j != i][len(noted)]
            state = nodes[other][0]
            becomes("wants", noted + ("none" if state == "idle" else state,))
        else:
            others = [j for j in range(3) if j != i]
            peers = {j: {"turn": {"state": s, "rank": [1, j]}} for j, s in zip(others, noted)}
            answer = turn([1, i], peers)
            becomes(*{"run": ("runs", None), "hold": ("wants", ()), "release": ("idle", None)}[answer])
print(most, len(seen))
`;
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
  const [most, states] = execFileSync(python3, ['-c', program], { env }).toString().trim().split(' ').map(Number);
  expect(states).toBeGreaterThan(100);
  expect(most).toBe(1);
});

test('metrics are written as Prometheus reads them', () => {
  const program = `import sys; sys.path.insert(0, ${JSON.stringify(folder)}); import ops_decisions
print(ops_decisions.metrics_text({("b", (("keyspace", 'a"b'),)): (1.5, "B."), ("a", ()): (2, "A."), ("b", (("keyspace", "c"),)): (0, "B.")}), end="")`;
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
  expect(execFileSync(python3, ['-c', program], { env }).toString()).toBe(
    '# HELP a A.\n# TYPE a gauge\na 2\n# HELP b B.\n# TYPE b gauge\nb{keyspace="a\\"b"} 1.5\nb{keyspace="c"} 0\n',
  );
});

/** Runs ops of the one node of a ring with a nodetool that answers like Cassandra's, and notes what it was asked. */
function operated(
  lines: string,
  { repair = 'exit 0', decommission = 'exit 0', members = 1, surplus = false } = {},
): { said: string; asked: string[] } {
  const data = fs.mkdtempSync(join(folder, 'data-'));
  const pods = Array.from({ length: members }, (_, n) => ({ pod: `c-r1-${n}`, host: '127.0.0.1', rack: 'r1' }));
  const own = { pod: 'c-r1-0', rack: 'r1' };
  fs.writeFileSync(
    join(data, 'node.json'),
    JSON.stringify(surplus ? { members: [], surplus: [own] } : { members: pods }),
  );
  fs.writeFileSync(join(data, 'joined'), '');
  fs.mkdirSync(join(data, 'ops'));
  const known = { since: 1, release: '5.0.8', cleaned: [`${ID}1`, `${ID}2`], copies: {} };
  fs.writeFileSync(join(data, 'ops', 'state.json'), JSON.stringify(known));
  fs.writeFileSync(join(data, 'ops.json'), JSON.stringify({ ...config, limitSeconds: 5, freshSeconds: 60 }));
  const nodetool = `#!/bin/sh
echo "$*" >>'${data}/asked'
case $1 in
  status) echo 'UN  127.0.0.1  104.34 KiB  16  100.0%  ${ID}1  r1'
    ${surplus ? `echo 'UN  127.0.0.2  104.34 KiB  16  100.0%  ${ID}2  r1'` : ''} ;;
  describecluster) printf 'Keyspaces:\\n\\tchat -> Replication class: NetworkTopologyStrategy {dc1=1}\\n' ;;
  compactionstats) echo 'pending tasks: 2' ;;
  netstats) echo "Mode: $(cat '${data}/mode' || echo NORMAL)" ;;
  version) echo 'ReleaseVersion: 5.0.8' ;;
  decommission) ${decommission} ;;
  repair) ${repair} ;;
esac
`;
  fs.writeFileSync(join(data, 'nodetool'), nodetool, { mode: 0o755 });
  const program = `import sys; sys.path.insert(0, ${JSON.stringify(folder)}); import json, ops
ops.listening = lambda *_: True
o = ops.Ops()
${lines}`;
  const env = {
    ...process.env,
    PATH: `${data}:${process.env.PATH}`,
    PYTHONDONTWRITEBYTECODE: '1',
    POD_NAME: 'c-r1-0',
    POD_IP: '127.0.0.1',
    DATA: data,
    SCRIPTS: data,
    STATUS: join(data, 'status.json'),
  };
  const said = execFileSync(python3, ['-c', program], { env, stdio: ['ignore', 'pipe', 'pipe'] }).toString();
  return { said, asked: fs.readFileSync(join(data, 'asked'), 'utf8').trim().split('\n') };
}

test('a node repairs its primary ranges once, and a restarted ops remembers it', () => {
  const { said, asked } = operated(
    'o.see(); print(o.step()); o = ops.Ops(); o.see(); print(o.step()); print(json.dumps([o.memory["repairs"]["chat"]["failures"], o.state["turn"], o.state["due"], o.state["pending"]["compactions"]]))',
  );
  expect(asked.filter((line) => line.startsWith('repair'))).toEqual(['repair --full --partitioner-range chat']);
  expect(said).toBe('ops: repair chat\nops: repair chat: done\nNone\nNone\n[0, {"state": "none"}, [], 2]\n');
});

test('a repair that was cut off by the death of ops begins again', () => {
  const cut = '[ -e "$DATA/cut" ] || { touch "$DATA/cut"; kill -9 $PPID; }';
  const child = `import subprocess, sys
again = [sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import ops; ops.listening = lambda *_: True; o = ops.Ops(); o.see(); o.step()", ${JSON.stringify(folder)}]
print(subprocess.call(again), subprocess.call(again), subprocess.call(again))`;
  const { said, asked } = operated(child, { repair: cut });
  expect(said).toMatch(/-9 0 0\n$/);
  expect(asked.filter((line) => line.startsWith('repair'))).toHaveLength(2);
});

test('a repair that fails is counted, frees the turn, and is not tried again at once', () => {
  const { said, asked } = operated(
    `o.see()
try: o.step()
except OSError as error: print(error)
print(o.step(), o.state["turn"], o.state["repairs"]["chat"]["failures"], o.state["repairs"]["chat"]["error"])`,
    { repair: 'echo "Repair session failed"; echo "  at java"; exit 2' },
  );
  expect(said).toContain(
    "nodetool repair: Repair session failed\nNone {'state': 'none'} 1 nodetool repair: Repair session failed",
  );
  expect(asked.filter((line) => line.startsWith('repair'))).toHaveLength(1);
});

test('nothing begins while a pod does not answer', () => {
  const { said, asked } = operated('o.see(); print(o.step())', { members: 2 });
  expect(said).toContain('these pods do not answer: c-r1-1');
  expect(asked.some((line) => line.startsWith('repair'))).toBe(false);
});

test('a node whose clock is off says so, and how much is a metric, also before its Cassandra starts', () => {
  const { said } = operated(
    `import http.server, ops_telling
class Other(http.server.BaseHTTPRequestHandler):
    def date_time_string(self, timestamp=None): return super().date_time_string(ops.time.time() + 600)
    def log_message(self, *_): pass
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"turn": {"state": "none"}}')
server = http.server.HTTPServer(("127.0.0.1", 0), Other)
ops_telling.OPS = server.server_port
ops.threading.Thread(target=server.serve_forever, daemon=True).start()
o.nodetool("version")
o.tell_clocks(); o.tell_clocks()
print([value for (name, _), (value, _) in o.metrics.items() if "clock" in name][0] in (599, 600))`,
    { members: 2 },
  );
  expect(said).toMatch(/^clock: these clocks differ from this pod's: c-r1-1 \(\+600 s\); .*\nTrue\n$/);
});

test('a node that leaves marks its volume, and then wants nothing more of the ring', () => {
  const { said, asked } = operated(
    'o.see(); print(o.step()); print(o.step(), o.state["inRing"], o.memory); print(sorted(ops.os.listdir(ops.DATA)))',
    {
      surplus: true,
      decommission: 'echo DECOMMISSIONED > "$DATA/mode"',
    },
  );
  expect(asked.filter((line) => /^(decommission|repair)/.test(line))).toEqual(['decommission']);
  expect(said).toContain('ops: left the ring\nops: decommission: done\nNone\nleft the ring False {}\n');
  expect(said).toMatch(/'leaving', 'left'/);
});

test('a decommission whose ops was killed goes on, and nobody else may begin anything meanwhile', () => {
  const { said, asked } = operated(
    `o.write(ops.LEAVING, "x"); mode = lambda text: open(ops.DATA + "/mode", "w").write(text)
o = ops.Ops(); print(o.state["turn"])
mode("LEAVING"); print(o.step(), o.state["turn"])
mode("DECOMMISSIONED"); print(o.step(), ops.os.path.exists(ops.LEFT))`,
    { surplus: true },
  );
  expect(said).toBe("{'state': 'runs'}\nleaves the ring {'state': 'runs'}\nops: left the ring\nleft the ring True\n");
  expect(asked.some((line) => line.startsWith('decommission'))).toBe(false);
});

test('a decommission that Cassandra lost, because it was restarted, is made again', () => {
  const { asked } = operated('o.write(ops.LEAVING, "x"); o = ops.Ops(); o.see(); o.step()', { surplus: true });
  expect(asked).toContain('decommission');
});

test('a decommission that the owner took back is forgotten', () => {
  const { said } = operated(
    'o.write(ops.LEAVING, "x"); o = ops.Ops(); o.see(); o.step(); print(ops.os.path.exists(ops.LEAVING))',
  );
  expect(said).toMatch(/False\n$/);
});
