import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { python3, pythonTest as test } from './python';

const folder = fs.mkdtempSync(join(tmpdir(), 'cassandra-ops-'));
fs.copyFileSync(resolve('constructs/files/cassandra-ops-decisions.py'), join(folder, 'ops_decisions.py'));
fs.copyFileSync(resolve('constructs/files/cassandra-ops.py'), join(folder, 'ops.py'));
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

const status = `Datacenter: dc1
===============
Status=Up/Down
|/ State=Normal/Leaving/Joining/Moving
--  Address    Load        Tokens  Owns (effective)  Host ID                               Rack
UN  10.99.1.1  104.34 KiB  16      100.0%            ${ID}1  r1
DN  10.99.1.2  ?           16      100.0%            ${ID}2  r2
UL  10.99.1.3  2 GiB       16      ?                 ${ID}3  r2
`;

test('nodes are read from what nodetool status prints', () => {
  expect(decided('parse_status', status)).toEqual([
    { up: true, mode: 'N', address: '10.99.1.1', load: 106844, id: `${ID}1`, rack: 'r1' },
    { up: false, mode: 'N', address: '10.99.1.2', load: null, id: `${ID}2`, rack: 'r2' },
    { up: true, mode: 'L', address: '10.99.1.3', load: 2 * 1024 ** 3, id: `${ID}3`, rack: 'r2' },
  ]);
});

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
  const memory = { repairs: { a: { last: NOW - 5 * DAY }, b: { last: NOW - 6 * DAY }, c: { last: NOW - 4 * DAY } } };
  expect(decided('due_repairs', memory, { a: {}, b: {}, c: {}, fresh: {} }, config, NOW)).toEqual(['fresh', 'b', 'a']);
});

test('a repair that failed is tried again after a pause, and the others go on', () => {
  const memory = { repairs: { a: { failedAt: NOW - 1799 }, b: { failedAt: NOW - 1800 }, c: {} } };
  expect(decided('due_repairs', memory, { a: {}, b: {}, c: {} }, config, NOW)).toEqual(['b', 'c']);
});

test('it is late before deleted rows could come back: at 7.5 of 10 days', () => {
  const memory = { since: NOW - 8 * DAY, repairs: { a: { last: NOW - 7 * DAY }, b: { last: NOW - 7.6 * DAY } } };
  expect(decided('overdue_repairs', memory, { a: {}, b: {}, never: {} }, config, NOW)).toEqual(['b', 'never']);
  expect(decided('overdue_repairs', {}, { never: {} }, config, NOW)).toEqual([]);
});

const normal = { up: true, mode: 'N', address: 'x' };
const idle = { turn: { state: 'none' } };

test.each<[string, object[], object, string | null]>([
  ['every node is there and answers', [normal, normal], { b: idle }, null],
  ['a pod does not answer', [normal, normal], { b: null }, 'do not answer: b'],
  ['a node is down', [normal, { ...normal, up: false, address: 'y' }], { b: idle }, 'not up and normal: y'],
  ['a node joins or leaves', [normal, { ...normal, mode: 'J', address: 'y' }], { b: idle }, 'not up and normal: y'],
  ['a node has not joined yet', [normal], { b: idle }, 'has 1 nodes and should have 2'],
])('whether an operation may begin: %s', (_, ring, peers, why) => {
  const found = decided('hindrance', { ring }, peers, { members: [{}, {}] });
  if (why === null) expect(found).toBeNull();
  else expect(found).toContain(why);
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
function operated(lines: string, { repair = 'exit 0', members = 1 } = {}): { said: string; asked: string[] } {
  const data = fs.mkdtempSync(join(folder, 'data-'));
  const pods = Array.from({ length: members }, (_, n) => ({ pod: `c-r1-${n}`, host: '127.0.0.1', rack: 'r1' }));
  fs.writeFileSync(join(data, 'node.json'), JSON.stringify({ members: pods }));
  fs.writeFileSync(join(data, 'ops.json'), JSON.stringify({ ...config, limitSeconds: 5, freshSeconds: 60 }));
  const nodetool = `#!/bin/sh
echo "$*" >>'${data}/asked'
case $1 in
  status) echo 'UN  127.0.0.1  104.34 KiB  16  100.0%  ${ID}1  r1' ;;
  describecluster) printf 'Keyspaces:\\n\\tchat -> Replication class: NetworkTopologyStrategy {dc1=1}\\n' ;;
  compactionstats) echo 'pending tasks: 2' ;;
  netstats) echo 'Mode: NORMAL' ;;
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
