import { execFileSync, spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NODE_SCRIPT, SCHEMA_SCRIPT } from '../../constructs/cassandra-scripts';
import { python3, pythonTest as test } from './python';

const folder = fs.mkdtempSync(join(tmpdir(), 'cassandra-scripts-'));
fs.writeFileSync(join(folder, 'node.py'), NODE_SCRIPT);
fs.writeFileSync(join(folder, 'schema.py'), SCHEMA_SCRIPT);
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** Evaluates an expression with the script's own functions. */
function python(expression: string): any {
  const program = `import sys, json; sys.path.insert(0, ${JSON.stringify(folder)}); import node\ntry:\n  print(json.dumps(${expression}))\nexcept LookupError as e:\n  print(json.dumps("refused: %s" % e))`;
  return JSON.parse(
    execFileSync(python3, ['-c', program], { env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } }).toString(),
  );
}

interface Situation {
  readonly index: number;
  readonly empty?: boolean;
  readonly starting?: boolean;
  readonly states: Record<string, string>;
  readonly quiet?: number;
}

function decide({ index, empty = true, starting = false, states, quiet = 99 }: Situation): [string, string] {
  const flag = (value: boolean) => (value ? 'True' : 'False');
  return python(
    `node.decide(${index}, ${flag(empty)}, ${flag(starting)}, ${JSON.stringify(states)}, ${quiet}, {"quietSeconds": 30, "absentSeconds": 600})`,
  );
}

test.each<[string, Situation, string, string]>([
  [
    'a new ring is started by the first node, once nobody has held data for a while',
    { index: 0, states: { r2: 'empty', r3: 'empty' } },
    'start',
    'new ring',
  ],
  [
    'later where pods are absent: they may hold data and only come late',
    { index: 0, states: { r2: 'empty', r3: 'absent' }, quiet: 599 },
    'wait',
    'without a sign of: r3',
  ],
  [
    'on the first day the other racks are not there yet',
    { index: 0, states: { r2: 'absent', r3: 'absent' }, quiet: 600 },
    'start',
    'new ring',
  ],
  [
    'not at once: others may still be starting',
    { index: 0, states: { r2: 'empty', r3: 'empty' }, quiet: 10 },
    'wait',
    'to be sure',
  ],
  [
    'not while a pod is there that does not answer: it may hold the data',
    { index: 0, states: { r2: 'silent', r3: 'empty' } },
    'wait',
    'no answer from: r2',
  ],
  ['not by any other node', { index: 1, states: { r1: 'empty', r3: 'empty' } }, 'wait', 'first node of the first rack'],
  [
    'a start that was interrupted is taken up again by who began it',
    { index: 0, empty: false, starting: true, states: { r2: 'empty', r3: 'empty' } },
    'start',
    'before',
  ],
  [
    'data without a ring starts nothing',
    { index: 0, empty: false, states: { r2: 'empty', r3: 'empty' } },
    'wait',
    'holds data',
  ],
  ['the second joins the first', { index: 1, states: { r1: 'joined', r3: 'empty' } }, 'join', 'exists'],
  [
    'the third waits for the second: Cassandra refuses two joins at once',
    { index: 2, states: { r1: 'joined', r2: 'empty' } },
    'wait',
    'before this one: r2',
  ],
  [
    'an empty first node of an existing ring joins it and starts none',
    { index: 0, states: { r2: 'joined', r3: 'silent' } },
    'join',
    'exists',
  ],
  [
    'a bootstrap that was interrupted is a join again, never a start',
    { index: 1, empty: false, states: { r1: 'joined', r3: 'empty' } },
    'join',
    'exists',
  ],
])('%s', (_name, situation, action, why) => {
  const [did, because] = decide(situation);
  expect(did).toBe(action);
  expect(because).toContain(why);
});

test('an empty node takes the place of the one dead node of its rack', () => {
  const peers = [
    { peer: '10.0.0.1', rack: 'r1' },
    { peer: '10.0.0.2', rack: 'r2' },
  ];
  expect(python(`node.predecessor("r1", ${JSON.stringify(peers)}, {"10.0.0.2"})`)).toBe('10.0.0.1');
  expect(python(`node.predecessor("r3", ${JSON.stringify(peers)}, {"10.0.0.2"})`)).toBeNull();
});

test('with two dead nodes in its rack it refuses to guess', () => {
  const peers = [
    { peer: '10.0.0.1', rack: 'r1' },
    { peer: '10.0.0.9', rack: 'r1' },
  ];
  expect(python(`node.predecessor("r1", ${JSON.stringify(peers)}, {"10.0.0.2"})`)).toContain(
    'refused: 2 dead nodes in rack r1 (10.0.0.1, 10.0.0.9)',
  );
});

/**
 * The network of the test, of which a Mac has only 127.0.0.1: addresses are their own names, a name in \`absent\` does not
 * exist, for any other the name server does not answer; OPEN says behind which loopback port another pod serves clients.
 */
const NETWORK = `import os, socket
real_connection, real_server = socket.create_connection, socket.create_server
def gethostbyname(host):
    if host.replace(".", "").isdigit():
        return host
    raise socket.gaierror(socket.EAI_NONAME if host.endswith(".absent") else socket.EAI_AGAIN, "no address")
def create_connection(address, **options):
    host, port = os.environ.get("OPEN", "-:0").split(":")
    if address != (host, 9042):
        raise ConnectionRefusedError()
    return real_connection(("127.0.0.1", int(port)), **options)
socket.gethostbyname = gethostbyname
socket.create_connection = create_connection
socket.create_server = lambda address: real_server(("127.0.0.1", 0))
`;

/** Runs the whole script as a pod would, with stand-ins for cassandra and cqlsh that write down how they were called. */
function runNode(options: {
  data?: Record<string, string>;
  cqlsh?: string;
  seconds?: number;
  members?: object[];
  other?: string;
  podIp?: string;
  open?: string;
}) {
  const home = fs.mkdtempSync(join(folder, 'pod-'));
  for (const path of ['bin', 'conf', 'var']) fs.mkdirSync(join(home, path));
  for (const [path, text] of Object.entries(options.data ?? {})) {
    fs.mkdirSync(join(home, 'var', path, '..'), { recursive: true });
    fs.writeFileSync(join(home, 'var', path), text);
  }
  const executable = (name: string, text: string) =>
    fs.writeFileSync(join(home, 'bin', name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  // Ends the watcher as well, which would wait for a port that never opens.
  executable(
    'cassandra',
    `echo "cassandra $*"; grep seeds: ${home}/conf/cassandra.yaml; pkill -f '${folder}/node.py watch'`,
  );
  executable('cqlsh', options.cqlsh ?? 'exit 1');
  fs.writeFileSync(join(home, 'conf', 'cassandra.yaml'), 'seed_provider:\n  - parameters:\n      - seeds: "x"\n');
  const members = options.members ?? [
    { pod: 'c-r1-0', rack: 'r1', host: '10.0.0.1' },
    { pod: 'c-r2-0', rack: 'r2', host: options.other ?? 'c-r2-0.absent' },
  ];
  fs.writeFileSync(join(home, 'sitecustomize.py'), NETWORK);
  const config = {
    quietSeconds: 0.2,
    absentSeconds: 0.5,
    intervalSeconds: 0.1,
    seeds: members.map((member: any) => member.host),
    members,
  };
  fs.writeFileSync(join(home, 'node.json'), JSON.stringify(config));
  const env = {
    PATH: `${home}/bin:${process.env.PATH}`,
    DATA: `${home}/var`,
    CASSANDRA_CONF: `${home}/conf`,
    NODE_CONFIG: `${home}/node.json`,
    POD_NAME: 'c-r1-0',
    POD_IP: options.podIp ?? '10.0.0.1',
    PYTHONPATH: home,
    OPEN: options.open ?? '-:0',
    ADMIN_PASSWORD: 'secret',
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const timeout = (options.seconds ?? 8) * 1000;
  const run = spawnSync(python3, [join(folder, 'node.py')], { env, encoding: 'utf8', timeout });
  return { ...run, home };
}

test('the first node of nothing starts a ring with itself as its seed, and remembers that it began', () => {
  const { stdout, home } = runNode({});
  expect(stdout).toContain('cassandra -f\n');
  expect(stdout).toContain('- seeds: "10.0.0.1"');
  expect(fs.existsSync(join(home, 'var', 'starting-the-ring'))).toBe(true);
});

test('a name server that does not answer is no proof that the others do not exist', () => {
  const { stdout, home } = runNode({ other: 'c-r2-0.unanswered', seconds: 1 });
  expect(stdout).toContain('no answer from: c-r2-0');
  expect(fs.existsSync(join(home, 'var', 'starting-the-ring'))).toBe(false);
});

test('nor is one that does not know this pod itself yet', () => {
  const { stdout } = runNode({ podIp: '10.0.0.9', seconds: 1 });
  expect(stdout).toContain('no answer from: c-r2-0');
});

test('a node that has joined before starts at once, with all seeds', () => {
  const { stdout } = runNode({ data: { joined: '', 'data/x': '' } });
  expect(stdout).toContain('joined before: starting');
  expect(stdout).toContain('- seeds: "10.0.0.1,c-r2-0.absent"');
});

test('a node with data that never joined waits, says why, and ends when it is told to', () => {
  const { stdout, status } = runNode({ data: { 'data/x': '' }, seconds: 1 });
  expect(stdout).toContain('wait: this node holds data of a ring that it has not joined');
  expect(status).toBe(143);
});

describe('an empty node of an existing ring', () => {
  const members = [
    { pod: 'c-r1-0', rack: 'r1', host: '10.0.0.1' },
    { pod: 'c-r2-0', rack: 'r2', host: '10.0.0.2' },
  ];
  // The other member's client port, in a process of its own: the script is run synchronously.
  let listener: ReturnType<typeof spawn> | undefined;
  let open: string;
  beforeAll(async () => {
    if (python3 === '') return;
    listener = spawn(python3, [
      '-c',
      'import socket\ns=socket.create_server(("127.0.0.1",0))\nprint(s.getsockname()[1],flush=True)\nwhile True: s.accept()[0].close()',
    ]);
    open = `10.0.0.2:${String(await new Promise((resolve) => listener!.stdout!.once('data', resolve))).trim()}`;
  });
  afterAll(() => listener?.kill());

  test('takes the place of its dead predecessor and leaves its own name out of the seeds', () => {
    const cqlsh = `for last; do :; done; case "$last" in *peers_v2) echo ' {"peer": "10.9.9.9", "rack": "r1"}';; esac`;
    const { stdout } = runNode({ members, open, cqlsh });
    expect(stdout).toContain('taking the place of the dead node 10.9.9.9');
    expect(stdout).toContain('cassandra -f -Dcassandra.replace_address_first_boot=10.9.9.9');
    expect(stdout).toContain('- seeds: "10.0.0.2"');
  });

  test('refuses to join where nobody tells who is in the ring, and says whom it asked', () => {
    const { stderr, status } = runNode({ members, open, cqlsh: 'echo refused >&2; exit 1' });
    expect(status).toBe(1);
    expect(stderr).toContain('refusing to join: no member tells who is in the ring: 10.0.0.2 as admin: refused');
  });

  test('shows its password in no argument', () => {
    const { stdout, stderr } = runNode({ members, open, cqlsh: 'echo "$*" >&2; exit 1' });
    expect(stdout + stderr).not.toContain('secret');
  });
});

test('the schema job makes the admin with the default superuser, then works as admin, and shows no password', () => {
  const home = fs.mkdtempSync(join(folder, 'job-'));
  const bin = join(home, 'bin');
  fs.mkdirSync(bin);
  fs.writeFileSync(join(home, 'admin.cql'), "CREATE ROLE admin WITH PASSWORD = '@ADMIN_PASSWORD@';");
  fs.writeFileSync(join(home, 'schema.cql'), "CREATE ROLE a WITH PASSWORD = '@PASSWORD_A@';");
  // Knows admin only once admin.cql has run.
  const stand = `#!/bin/sh
echo "$*" >> ${home}/calls
user=$(grep username "$4" | cut -d' ' -f3)
for last; do :; done
cat "$last" >> ${home}/statements
[ "$user" = cassandra ] || [ -f ${home}/made ] || exit 1
if grep -q 'ROLE admin' "$last"; then touch ${home}/made; fi
`;
  fs.writeFileSync(join(bin, 'cqlsh'), stand, { mode: 0o755 });
  const env = {
    PATH: `${bin}:${process.env.PATH}`,
    SCHEMA: home,
    CASSANDRA_HOST: 'cassandra',
    ADMIN_PASSWORD: 'adminsecret',
    PASSWORD_A: 'asecret',
  };
  const script = SCHEMA_SCRIPT.replace('time.sleep(5)', 'time.sleep(0)');
  fs.writeFileSync(join(home, 'schema.py'), script);
  const run = spawnSync(python3, [join(home, 'schema.py')], { env, encoding: 'utf8', timeout: 20_000 });
  expect(run.status).toBe(0);
  const statements = fs.readFileSync(join(home, 'statements'), 'utf8');
  expect(statements).toContain("CREATE ROLE admin WITH PASSWORD = 'adminsecret';");
  expect(statements).toContain("CREATE ROLE a WITH PASSWORD = 'asecret';");
  expect(fs.readFileSync(join(home, 'calls'), 'utf8') + run.stdout + run.stderr).not.toMatch(/adminsecret|asecret/);
});
