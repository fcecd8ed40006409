import { execFileSync, spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { python3, pythonTest as test } from './python';

const FILES = resolve('constructs', 'files');
const folder = fs.mkdtempSync(join(tmpdir(), 'cassandra-files-'));
fs.copyFileSync(join(FILES, 'cassandra-node.py'), join(folder, 'node.py'));
fs.copyFileSync(join(FILES, 'cassandra-joining.py'), join(folder, 'joining.py'));
fs.copyFileSync(join(FILES, 'cassandra-schema.py'), join(folder, 'schema.py'));
fs.copyFileSync(join(FILES, 'cassandra-cql.py'), join(folder, 'cql.py'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** Evaluates an expression with a script's own functions. */
function python(module: 'node' | 'schema', expression: string): any {
  const program = `import sys, json; sys.path.insert(0, ${JSON.stringify(folder)}); import ${module}\ntry:\n  print(json.dumps(${expression}))\nexcept Exception as e:\n  print(json.dumps("refused: %s" % e))`;
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', CASSANDRA_HOST: 'cassandra' };
  return JSON.parse(execFileSync(python3, ['-c', program], { env }).toString());
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
    'node',
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
    'stay absent: r3',
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
    'for other pods to appear',
  ],
  [
    'not while a pod is there that does not answer: it may hold the data',
    { index: 0, states: { r2: 'silent', r3: 'empty' } },
    'wait',
    'may: r2 (silent)',
  ],
  [
    'not while another node holds data and only starts again',
    { index: 0, states: { r2: 'empty', r3: 'restarting' } },
    'wait',
    'may: r3 (restarting)',
  ],
  [
    'not while another node holds data of a join that was not finished',
    { index: 0, states: { r2: 'partial', r3: 'empty' } },
    'wait',
    'may: r2 (partial)',
  ],
  ['not by any other node', { index: 1, states: { r1: 'empty', r3: 'empty' } }, 'wait', 'first node of the first rack'],
  [
    'a start that was interrupted is taken up again by the node that began it',
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
    'an earlier node waits for a later one that joins at this moment',
    { index: 1, states: { r1: 'joined', r3: 'joining' } },
    'wait',
    'before this one: r3',
  ],
  [
    'two joins that were cut off go on one after the other, the earlier first',
    { index: 1, empty: false, states: { r1: 'joined', r3: 'partial' } },
    'join',
    'exists',
  ],
  [
    'an empty node comes back while an earlier one is away',
    { index: 2, states: { r1: 'absent', r2: 'joined' } },
    'join',
    'exists',
  ],
  ['and while one only starts again', { index: 1, states: { r1: 'restarting', r3: 'joined' } }, 'join', 'exists'],
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

const member = (address: string, rack: string, state = 'UN') => ({
  address,
  rack,
  up: state[0] === 'U',
  mode: state[1],
  load: 1024,
  id: `id-of-${address}`,
});

function place(
  rack: string,
  ring: object[],
  mates: Record<string, string>,
  addresses: string[],
  own = '10.0.0.8',
): any {
  const json = JSON.stringify(ring).replace(/true/g, 'True').replace(/false/g, 'False');
  return python(
    'node',
    `node.place(${JSON.stringify(rack)}, ${json}, ${JSON.stringify(mates)}, set(${JSON.stringify(addresses)}), ${JSON.stringify(own)})`,
  );
}

describe('the place of an empty node in the ring', () => {
  const ring = [member('10.0.0.1', 'r1', 'DN'), member('10.0.0.2', 'r2')];

  test('is that of the one dead node of its rack', () => {
    expect(place('r1', ring, {}, ['10.0.0.2'])).toEqual(['take', '10.0.0.1']);
    expect(place('r3', ring, {}, ['10.0.0.2'])).toEqual(['new', null]);
  });

  test('is not taken while the ring still takes the dead node for living', () => {
    expect(place('r1', [member('10.0.0.1', 'r1'), ring[1]!], {}, ['10.0.0.2'])[0]).toBe('wait');
  });

  test('is not taken while another node joins, leaves or moves', () => {
    expect(place('r1', [...ring, member('10.0.0.3', 'r3', 'UJ')], {}, ['10.0.0.2', '10.0.0.3'])).toEqual([
      'wait',
      'another node joins, leaves or moves: 10.0.0.3',
    ]);
  });

  test('is a new one where its own first join was cut off, and the ring still has that entry', () => {
    const joined = [member('10.0.0.2', 'r2')];
    for (const state of ['UJ', 'DJ']) {
      const cut = [...joined, member('10.0.0.8', 'r3', state)];
      expect(place('r3', cut, {}, ['10.0.0.2'])).toEqual(['new', null]);
      // From another address Cassandra takes it for another node, until it forgets the old entry.
      expect(place('r3', cut, {}, ['10.0.0.2'], '10.0.0.9')[0]).toBe('wait');
    }
    // A node that left or moves is no cut join.
    expect(place('r3', [...joined, member('10.0.0.8', 'r3', 'DL')], {}, ['10.0.0.2'])[0]).toBe('wait');
  });

  test('is not taken while the dead node may be another pod of the rack that only starts again', () => {
    expect(place('r1', ring, { 'c-r1-1': 'restarting' }, ['10.0.0.2'])[1]).toContain('c-r1-1 (restarting)');
    expect(place('r1', ring, { 'c-r1-1': 'joined' }, ['10.0.0.2'])).toEqual(['take', '10.0.0.1']);
  });

  test('two that lost their data take the places of two dead nodes; more dead nodes than pods are refused', () => {
    const two = [...ring, member('10.0.0.9', 'r1', 'DN')];
    expect(place('r1', two, { 'c-r1-1': 'empty' }, ['10.0.0.2'])).toEqual(['take', '10.0.0.1']);
    expect(place('r1', two, { 'c-r1-1': 'joined' }, ['10.0.0.2'])).toContain(
      'refused: 2 nodes in rack r1 are down, but fewer pods are empty; for each node that will not return, run in a healthy pod:\n  nodetool removenode id-of-10.0.0.1 # 10.0.0.1\n  nodetool removenode id-of-10.0.0.9 # 10.0.0.9',
    );
  });
});

describe('a loss of most replicas is accepted only by the operator', () => {
  const ring = [member('10.0.0.1', 'r1'), member('10.0.0.2', 'r2', 'DN'), member('10.0.0.3', 'r3', 'DN')];
  const loss = (others: Record<string, string>, quiet = 99, copies = 3, nodes: object[] = ring) => {
    const json = (value: unknown) => JSON.stringify(value).replace(/true/g, 'True').replace(/false/g, 'False');
    const pods = Object.entries(others).map(([pod, state]) => ({ rack: pod.slice(0, 2), state }));
    const config = json({ copies, quietSeconds: 30, datacenter: 'dc1' });
    return python('node', `node.loss(${json(nodes)}, ${json(pods)}, ${quiet}, ${config}, "/data/accept-loss")`);
  };

  test('one of three without data takes its place', () => {
    expect(loss({ r1: 'joined', r3: 'joined' })).toBeNull();
    expect(loss({ r1: 'joined', r3: 'restarting' })).toBeNull();
  });

  test('two of three may have had writes that the third never got', () => {
    expect(loss({ r1: 'joined', r3: 'empty' })).toMatch(
      /^2 of 3 replicas are empty \(racks r2, r3\): .* run in this container: touch \/data\/accept-loss$/,
    );
  });

  test('a node that does not answer yet is waited for, not for ever', () => {
    expect(loss({ r1: 'joined', r3: 'silent' }, 5)).toContain('waiting 30 s for their answer');
    expect(loss({ r1: 'joined', r3: 'absent' }, 5)).toContain('waiting 30 s for their answer');
    expect(loss({ r1: 'joined', r3: 'silent' }, 31)).toBeNull();
  });

  test('all nodes of one rack together hold one replica', () => {
    const six = ring.flatMap((node) => [node, { ...node, address: `${node.address}0` }]);
    const others = { 'r1-0': 'joined', 'r1-1': 'joined', 'r2-1': 'empty', 'r3-0': 'joined', 'r3-1': 'joined' };
    expect(loss(others, 99, 3, six)).toBeNull();
    expect(loss({ ...others, 'r3-1': 'empty' }, 99, 3, six)).toContain('2 of 3 replicas');
  });

  test('with fewer racks than replicas each node may hold one', () => {
    const one = ring.map((node) => ({ ...node, rack: 'r1' }));
    expect(loss({ 'r1-0': 'joined', 'r1-2': 'empty' }, 99, 3, one)).toContain('2 of 3 replicas');
    expect(loss({ 'r1-0': 'joined' }, 99, 2, one.slice(0, 2))).toBeNull();
  });
});

test('a node that joined before starts when its disk has room for four segments of the commit log', () => {
  const why = (mebibytes: number) => python('node', `node.no_room(${mebibytes} * 2 ** 20, "/data")`);
  expect(why(128)).toBeNull();
  expect(why(127)).toMatch(
    /^127 MiB of the disk are free, but Cassandra needs 128 to start; .*rm -r \/data\/data\/\*\/\*\/snapshots\/NAME/,
  );
});

test.each([
  ['the first of its rack', 'r2', ['r1'], 3, 2],
  ['the second of the only rack', 'r1', ['r1'], 3, 1],
  ['two racks and three copies, which Cassandra refuses as three', 'r2', ['r1', 'r2'], 3, 2],
  ['as many racks as copies', 'r1', ['r1', 'r2', 'r3'], 3, 3],
  ['more racks than copies', 'r1', ['r1', 'r2', 'r3', 'r4'], 3, 3],
])('tokens are never spread over more racks than there are: %s', (_name, rack, racks, copies, expected) => {
  const ring = JSON.stringify(racks.map((each) => ({ rack: each })));
  expect(
    python(
      'node',
      `node.racks_to_allocate(${JSON.stringify(rack)}, ${ring}, {"copies": ${copies}, "datacenter": "dc1"})`,
    ),
  ).toBe(expected);
});

test('what nodetool status prints is read as it is, also of a node whose load is not known', () => {
  const text = `Datacenter: dc1
===============
Status=Up/Down
|/ State=Normal/Leaving/Joining/Moving
--  Address    Load       Tokens  Owns (effective)  Host ID                               Rack
UN  10.99.1.6  110.4 KiB  16      100.0%            2a5f3a0f-9d5a-4f0e-8c3f-8d7b7c9c1f11  r1
DN  10.99.1.7  ?          16      100.0%            9a5f3a0f-9d5a-4f0e-8c3f-8d7b7c9c1f12  r2
UJ  10.99.1.8  64 KiB     16      ?                 1a5f3a0f-9d5a-4f0e-8c3f-8d7b7c9c1f13  rack-3
`;
  const nodes = python('node', `node.parse_status(${JSON.stringify(text)})`);
  expect(nodes.map(({ datacenter }: any) => datacenter)).toEqual(['dc1', 'dc1', 'dc1']);
  expect(nodes).toMatchObject([
    { up: true, mode: 'N', address: '10.99.1.6', load: 113049, id: '2a5f3a0f-9d5a-4f0e-8c3f-8d7b7c9c1f11', rack: 'r1' },
    { up: false, mode: 'N', address: '10.99.1.7', load: null, id: '9a5f3a0f-9d5a-4f0e-8c3f-8d7b7c9c1f12', rack: 'r2' },
    {
      up: true,
      mode: 'J',
      address: '10.99.1.8',
      load: 65536,
      id: '1a5f3a0f-9d5a-4f0e-8c3f-8d7b7c9c1f13',
      rack: 'rack-3',
    },
  ]);
});

test('a value is written where the configuration has its key once, again and again, and nowhere else', () => {
  const text = 'a_rf: 1 # written\n  - seeds: ""\n';
  const once = python('node', `node.with_values(${JSON.stringify(text)}, {"a_rf": 3, "seeds": '"x,y"'})`);
  expect(once).toBe('a_rf: 3\n  - seeds: "x,y"\n');
  expect(python('node', `node.with_values(${JSON.stringify(once)}, {"a_rf": 2})`)).toContain('a_rf: 2\n');
  expect(python('node', `node.with_values(${JSON.stringify(text)}, {"rf": 3})`)).toContain(
    'refused: cassandra.yaml must',
  );
});

/**
 * The network of the test, of which a Mac has only 127.0.0.1: addresses are their own names, a name in \`absent\` does not
 * exist, for any other the name server does not answer; OPEN says behind which loopback ports another pod is reached.
 */
const NETWORK = `import os, socket
real_connection, real_server = socket.create_connection, socket.socket.bind
def getaddrinfo(host, port, *more):
    if host == "nodes.service":
        host = os.environ["SERVICE_HAS"]
    if host.replace(".", "").isdigit():
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port or 0))]
    raise socket.gaierror(socket.EAI_NONAME if host.endswith(".absent") else socket.EAI_AGAIN, "no address")
def create_connection(address, *more, **options):
    ports = dict(each.split("=") for each in os.environ.get("OPEN", "").split())
    port = ports.get("%s:%s" % address[:2])
    if port is None:
        raise ConnectionRefusedError()
    return real_connection(("127.0.0.1", int(port)), *more, **options)
socket.getaddrinfo = getaddrinfo
socket.create_connection = create_connection
import socketserver
socketserver.TCPServer.server_bind = lambda self: self.socket.bind(("127.0.0.1", 0))
import http.server
http.server.HTTPServer.server_bind = socketserver.TCPServer.server_bind
`;

/** Runs the whole script as a pod would, with a stand-in for cassandra that writes down how it was called. */
function runNode(options: {
  data?: Record<string, string>;
  seconds?: number;
  members?: object[];
  surplus?: object[];
  other?: string;
  service?: string;
  open?: string;
  code?: number;
}) {
  const home = fs.mkdtempSync(join(folder, 'pod-'));
  for (const path of ['bin', 'conf', 'var']) fs.mkdirSync(join(home, path));
  for (const [path, text] of Object.entries(options.data ?? {})) {
    fs.mkdirSync(join(home, 'var', path, '..'), { recursive: true });
    fs.writeFileSync(join(home, 'var', path), text);
  }
  fs.writeFileSync(
    join(home, 'bin', 'cassandra'),
    `#!/bin/sh\necho "cassandra $*"; cat ${home}/conf/cassandra.yaml; exit ${options.code ?? 0}\n`,
    { mode: 0o755 },
  );
  fs.writeFileSync(
    join(home, 'conf', 'cassandra.yaml'),
    'allocate_tokens_for_local_replication_factor: 1\ndefault_keyspace_rf: 1\nseed_provider:\n  - parameters:\n      - seeds: "x"\n',
  );
  const members = options.members ?? [
    { pod: 'c-r1-0', rack: 'r1', host: '10.0.0.1' },
    { pod: 'c-r2-0', rack: 'r2', host: options.other ?? 'c-r2-0.absent' },
  ];
  fs.writeFileSync(join(home, 'sitecustomize.py'), NETWORK);
  const config = {
    quietSeconds: 0.2,
    absentSeconds: 0.5,
    intervalSeconds: 0.1,
    service: 'nodes.service',
    copies: 3,
    datacenter: 'dc1',
    seeds: members.map((each: any) => each.host),
    members,
    ...(options.surplus && { surplus: options.surplus }),
  };
  fs.writeFileSync(join(home, 'node.json'), JSON.stringify(config));
  const env = {
    PATH: `${home}/bin:${process.env.PATH}`,
    DATA: `${home}/var`,
    CASSANDRA_CONF: `${home}/conf`,
    NODE_CONFIG: `${home}/node.json`,
    POD_NAME: 'c-r1-0',
    POD_IP: '10.0.0.1',
    PYTHONPATH: home,
    OPEN: options.open ?? '',
    SERVICE_HAS: options.service ?? '10.0.0.1',
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const timeout = (options.seconds ?? 8) * 1000;
  const run = spawnSync(python3, [join(folder, 'node.py')], { env, encoding: 'utf8', timeout });
  return { ...run, home };
}

test('the first node of nothing starts a ring with itself as its seed, and remembers that it began', () => {
  const { stdout, home } = runNode({});
  expect(stdout).toContain('cassandra -f -Dcassandra.system_auth.default_rf=3\n');
  expect(stdout).toContain('- seeds: "10.0.0.1"\n');
  expect(stdout).toContain('default_keyspace_rf: 3\n');
  expect(fs.existsSync(join(home, 'var', 'starting-the-ring'))).toBe(true);
});

test('a name server that does not answer is no proof that the others do not exist', () => {
  const { stdout, home } = runNode({ other: 'c-r2-0.unanswered', seconds: 3 });
  expect(stdout).toContain('may: c-r2-0 (silent)');
  expect(fs.existsSync(join(home, 'var', 'starting-the-ring'))).toBe(false);
});

test('nor is one that does not know this pod among those of its Service: the own name stands in /etc/hosts', () => {
  expect(runNode({ service: '10.0.0.9', seconds: 3 }).stdout).toContain('may: c-r2-0 (silent)');
  expect(runNode({ service: 'nobody.absent', seconds: 3 }).stdout).toContain('may: c-r2-0 (silent)');
});

test('a node that has joined before starts at once, with all seeds, and ends with the code of Cassandra', () => {
  const { stdout, status } = runNode({ data: { joined: '', 'data/x': '' }, code: 3 });
  expect(stdout).toContain('joined before: starting');
  expect(stdout).toContain('- seeds: "10.0.0.1,c-r2-0.absent"');
  expect(status).toBe(3);
});

describe('a pod that is no member', () => {
  const surplus = [{ pod: 'c-r1-0', rack: 'r1', host: '10.0.0.1' }];
  const members = [{ pod: 'c-r2-0', rack: 'r2', host: 'c-r2-0.absent' }];

  test('waits where it has no data: it must not join', () => {
    const { stdout } = runNode({ members, surplus, seconds: 1 });
    expect(stdout).toContain('wait: this pod is no member of the ring (membersPerRack)');
    expect(stdout).not.toContain('cassandra -f');
  });

  test('runs while it still is a node: its rows have not gone to the others yet', () => {
    expect(runNode({ members, surplus, data: { joined: '', 'data/x': '' } }).stdout).toContain('cassandra -f');
  });

  test('starts no more once it has left, whatever its volume holds', () => {
    const { stdout, home } = runNode({ members, surplus, data: { joined: '', left: '', 'data/x': '' }, seconds: 1 });
    expect(stdout).not.toContain('cassandra -f');
    expect(fs.existsSync(join(home, 'var', 'data', 'x'))).toBe(true);
  });
});

test('a pod that left and is a member again removes its data and starts as a new node', () => {
  const data = {
    joined: '',
    leaving: 'id',
    left: '',
    'data/x': '',
    'commitlog/y': '',
    'ops/state.json': '',
    'restore/z': '',
  };
  const { stdout, home } = runNode({ data });
  expect(stdout).toContain('removing its data to join as a new node');
  expect(fs.readdirSync(join(home, 'var')).sort()).toEqual(['restore', 'starting-the-ring']);
  expect(stdout).not.toContain('joined before');
});

test('a node that ends while it leaves starts again, where no member can tell whether it has left', () => {
  expect(runNode({ data: { joined: '', leaving: 'id' } }).stdout).toContain('joined before: starting');
});

test('a node with data that never joined waits, says why, and ends when it is told to', () => {
  const { stdout, status } = runNode({ data: { 'data/x': '' }, seconds: 3 });
  expect(stdout).toContain('wait: this node holds data of a ring that it has not joined');
  expect(status).toBe(143);
});

describe('an empty node of an existing ring', () => {
  const members = [
    { pod: 'c-r1-0', rack: 'r1', host: '10.0.0.1' },
    { pod: 'c-r2-0', rack: 'r2', host: '10.0.0.2' },
  ];
  // The other member's ports, in a process of its own: the script is run synchronously.
  const OTHER = `import http.server, json, socket, sys, threading
ring = json.loads(sys.argv[1])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"nodes": ring} if self.path == "/ring" else {"state": "joined"}).encode()
        self.send_response(200 if ring else 503)
        self.end_headers()
        self.wfile.write(body if ring else b'{"error": "nodetool status: refused"}')
    def log_message(self, *_):
        pass
tell = http.server.HTTPServer(("127.0.0.1", 0), Handler)
cql = socket.create_server(("127.0.0.1", 0))
print("10.0.0.2:9042=%d 10.0.0.2:7010=%d" % (cql.getsockname()[1], tell.server_address[1]), flush=True)
tell.serve_forever()
`;
  async function other(ring: object[], act: (open: string) => void) {
    const listener = spawn(python3, ['-c', OTHER, JSON.stringify(ring)]);
    try {
      act(String(await new Promise((done) => listener.stdout.once('data', done))).trim());
    } finally {
      listener.kill();
    }
  }

  test('takes the place of its dead predecessor and leaves its own name out of the seeds', () =>
    other([member('10.9.9.9', 'r1', 'DN'), member('10.0.0.2', 'r2')], (open) => {
      const { stdout } = runNode({ members, open });
      expect(stdout).toContain('taking the place of the dead node 10.9.9.9');
      expect(stdout).toContain('-Dcassandra.replace_address_first_boot=10.9.9.9\n');
      expect(stdout).toContain('- seeds: "10.0.0.2"\n');
      expect(stdout).toContain('allocate_tokens_for_local_replication_factor: 2\n');
    }));

  test('is not started once the ring no longer knows it after a decommission was begun', () =>
    other([member('10.0.0.2', 'r2')], (open) => {
      const { stdout, stderr, home } = runNode({ members, open, data: { joined: '', leaving: 'own' } });
      expect(stderr).toContain('node: left the ring');
      expect(stdout).not.toContain('cassandra -f');
      expect(fs.existsSync(join(home, 'var', 'left'))).toBe(true);
    }));

  test('and is started while the ring knows it', () =>
    other([member('10.0.0.2', 'r2'), { ...member('10.0.0.1', 'r1'), id: 'own' }], (open) => {
      const { stdout } = runNode({ members, open, data: { joined: '', leaving: 'own' } });
      expect(stdout).toContain('joined before: starting');
    }));

  test('waits if no member reports the nodes of the ring, and logs which it asked', () =>
    other([], (open) => {
      const { stdout } = runNode({ members, open, seconds: 1 });
      expect(stdout).toContain(
        'no member reports the nodes of the ring: c-r2-0: {"error": "nodetool status: refused"}',
      );
      expect(stdout).not.toContain('cassandra -f');
    }));
});

describe('the schema job', () => {
  test('quotes every name and doubles quotes: order and token are words of CQL, and passwords hold anything', () => {
    expect(python('schema', `[schema.name("order"), schema.literal("it's")]`)).toEqual(['"order"', "'it''s'"]);
  });

  const next = (now: object, ours: boolean, wanted: object) =>
    python(
      'schema',
      `schema.next_copies(${JSON.stringify(now)}, ${ours ? 'True' : 'False'}, ${JSON.stringify(wanted)})`,
    );
  const copies = (now: number, ours: boolean, wanted: number) => next({ dc1: now }, ours, { dc1: wanted })?.dc1 ?? null;

  test('raises replicas one at a time, so that a read at QUORUM always reaches a node with the data', () => {
    expect([copies(1, true, 3), copies(2, true, 3), copies(3, true, 3)]).toEqual([2, 3, null]);
  });

  test('lowers them at once, and brings those of another strategy to ours', () => {
    expect([copies(3, true, 1), copies(3, false, 3)]).toEqual([1, 3]);
    const simple = `{"class": "org.apache.cassandra.locator.SimpleStrategy", "replication_factor": "3"}`;
    const own = `{"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "dc1": "2"}`;
    expect(python('schema', `[schema.copies_of(${simple}, ["dc1"]), schema.copies_of(${own}, ["dc1"])]`)).toEqual([
      [{ dc1: 3 }, false],
      [{ dc1: 2 }, true],
    ]);
  });

  test('gives another datacenter copies one at a time, once our own has all', () => {
    const wanted = { dc1: 3, dc2: 2 };
    expect(next({ dc1: 2, dc2: 0 }, true, wanted)).toEqual({ dc1: 3, dc2: 0 });
    expect(next({ dc1: 3, dc2: 0 }, true, wanted)).toEqual({ dc1: 3, dc2: 1 });
    expect(next({ dc1: 3, dc2: 1 }, true, wanted)).toEqual(wanted);
    expect(next(wanted, true, wanted)).toBeNull();
    expect(python('schema', 'schema.replication({"dc1": 3, "dc2": 0})')).toBe(
      "{'class': 'NetworkTopologyStrategy', 'dc1': 3}",
    );
    const schema = '{"datacenter": "dc1", "elsewhere": {"dc2": 1}}';
    expect(python('schema', `schema.wanted_copies(${schema}, 3)`)).toEqual({ dc1: 3, dc2: 1 });
  });

  test('takes the copies of a datacenter that is no longer there away at once', () => {
    const both = `{"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "dc1": "3", "dc2": "1"}`;
    expect(python('schema', `schema.copies_of(${both}, ["dc1"])`)).toEqual([{ dc1: 3 }, false]);
    expect(next({ dc1: 3 }, false, { dc1: 3 })).toEqual({ dc1: 3 });
  });

  const statements = (now: Record<string, string[]>, keyspaces: string[]): string[] => {
    const sets = Object.entries(now).map(([path, rights]) => `${JSON.stringify(path)}: set(${JSON.stringify(rights)})`);
    return python('schema', `schema.rights_statements("chat", {${sets.join(', ')}}, ${JSON.stringify(keyspaces)})`);
  };

  test('gives a client its tables and no ALTER on the keyspace, by which it could lower its copies', () => {
    expect(statements({}, ['order'])).toEqual([
      'GRANT CREATE ON KEYSPACE "order" TO "chat";',
      'GRANT ALTER ON ALL TABLES IN KEYSPACE "order" TO "chat";',
      'GRANT MODIFY ON ALL TABLES IN KEYSPACE "order" TO "chat";',
      'GRANT SELECT ON ALL TABLES IN KEYSPACE "order" TO "chat";',
    ]);
  });

  test('takes back what a client had elsewhere, and repeats nothing that is there', () => {
    const now = {
      'data/new': ['CREATE'],
      'data/new/*': ['ALTER', 'SELECT', 'MODIFY'],
      'data/old': ['CREATE', 'ALTER'],
      'data/old/t': ['SELECT'],
      data: ['SELECT'],
      'roles/other': ['DESCRIBE'],
    };
    expect(statements(now, ['new'])).toEqual([
      'REVOKE SELECT ON ALL KEYSPACES FROM "chat";',
      'REVOKE ALTER ON KEYSPACE "old" FROM "chat";',
      'REVOKE CREATE ON KEYSPACE "old" FROM "chat";',
      'REVOKE SELECT ON TABLE "old"."t" FROM "chat";',
    ]);
  });

  /** A cqlsh that knows admin once it was made, answers SELECT JSON from files, and writes down what it was told. */
  function runJob(schema: object, answers: Record<string, object[]>, passwords: Record<string, string>) {
    const home = fs.mkdtempSync(join(folder, 'job-'));
    fs.mkdirSync(join(home, 'bin'));
    fs.writeFileSync(join(home, 'schema.json'), JSON.stringify(schema));
    for (const [table, rows] of Object.entries(answers))
      fs.writeFileSync(
        join(home, table),
        rows.map((row) => ` ${JSON.stringify(row).replace(/\\/g, '\\\\')}\n`).join(''),
      );
    const stand = `#!/bin/sh
echo "$*" >> ${home}/calls
user=$(sed -n 's/^username = //p' "$4")
for last; do :; done
cat "$last" >> ${home}/statements; echo >> ${home}/statements
sed -n 's/^password = //p' "$4" >> ${home}/passwords
[ "$user" = cassandra ] || [ -f ${home}/made ] || grep -q '^password = previous$' "$4" || exit 1
if grep -q -e 'ROLE IF NOT EXISTS admin' -e 'ROLE admin WITH PASSWORD' "$last"; then touch ${home}/made; fi
for table in keyspaces roles role_permissions; do if grep -q "FROM [a-z_]*\\.$table;" "$last"; then cat ${home}/$table; fi; done
exit 0
`;
    fs.writeFileSync(join(home, 'bin', 'cqlsh'), stand, { mode: 0o755 });
    const env = {
      PATH: `${home}/bin:${process.env.PATH}`,
      SCHEMA: join(home, 'schema.json'),
      CASSANDRA_HOST: 'cassandra',
      RETRY_SECONDS: '0',
      WAIT_SECONDS: '5',
      ...passwords,
    };
    const run = spawnSync(python3, [join(folder, 'schema.py')], { env, encoding: 'utf8', timeout: 30_000 });
    const read = (file: string) => fs.readFileSync(join(home, file), 'utf8');
    return { ...run, statements: read('statements'), calls: read('calls'), passwords: read('passwords') };
  }

  const ours = (copies: number) => ({
    class: 'org.apache.cassandra.locator.NetworkTopologyStrategy',
    dc1: String(copies),
  });
  const schema = {
    datacenter: 'dc1',
    nodes: [],
    copies: 1,
    keyspaces: { order: 1 },
    roles: {
      chat: {
        usernameFrom: 'USERNAME_CHAT',
        passwordFrom: 'PASSWORD_CHAT',
        previousFrom: 'PREVIOUS_PASSWORD_CHAT',
        keyspaces: ['order'],
      },
    },
  };
  const answers = {
    keyspaces: [
      { keyspace_name: 'system_auth', replication: ours(1) },
      { keyspace_name: 'order', replication: ours(1) },
    ],
    roles: [
      { role: 'cassandra', member_of: null },
      { role: 'owner "x"', member_of: null },
      { role: 'gone', member_of: ['made_by_schema_job'] },
    ],
    role_permissions: [],
  };
  const passwords = { ADMIN_PASSWORD: `a'd@m/in%`, PASSWORD_CHAT: `c'h"at` };

  test('makes the admin with the default superuser, then works as admin, and shows no password', () => {
    const run = runJob(schema, answers, passwords);
    expect(run.stdout + run.stderr).toContain('keyspaces, roles and permissions match schema.json');
    expect(run.status).toBe(0);
    expect(run.statements).toContain(
      `CREATE ROLE IF NOT EXISTS admin WITH SUPERUSER = true AND LOGIN = true AND PASSWORD = 'a''d@m/in%';`,
    );
    expect(run.statements).toContain(`CREATE ROLE "chat" WITH LOGIN = true AND PASSWORD = 'c''h"at';`);
    expect(run.statements).toContain('CREATE KEYSPACE IF NOT EXISTS "order"');
    expect(run.passwords).toContain(`a'd@m/in%\n`);
    expect(run.calls + run.stdout + run.stderr).not.toMatch(/a'd@m|c'h/);
  });

  test('drops the roles that it made and schema.json no longer lists, and no other', () => {
    const { statements: all } = runJob(schema, answers, passwords);
    expect(all).toContain('DROP ROLE IF EXISTS "gone";');
    expect(all.match(/DROP ROLE/g)).toHaveLength(1);
  });

  test('sets no password twice in 5 s, which Cassandra refuses: a role is made or changed', () => {
    const known = { ...answers, roles: [{ role: 'chat', member_of: ['made_by_schema_job'] }] };
    const { statements: all } = runJob(schema, known, passwords);
    expect(all).toContain('ALTER ROLE "chat" WITH LOGIN = true');
    expect(all).not.toContain('CREATE ROLE "chat"');
  });

  test('during a rotation both names log in, the old one with the old password', () => {
    const known = { ...answers, roles: [{ role: 'chat', member_of: ['made_by_schema_job'] }] };
    const rotating = { ...passwords, USERNAME_CHAT: 'chat_2', PREVIOUS_PASSWORD_CHAT: 'old' };
    const { statements: all } = runJob(schema, known, rotating);
    expect(all).toContain('CREATE ROLE "chat_2" WITH LOGIN = true AND PASSWORD =');
    expect(all).toContain('GRANT SELECT ON ALL TABLES IN KEYSPACE "order" TO "chat_2";');
    expect(all).not.toMatch(/(ALTER|DROP) ROLE (IF EXISTS )?"chat"/);
  });

  test('afterwards the name that the secret no longer has is dropped', () => {
    const both = ['chat', 'chat_2'].map((role) => ({ role, member_of: ['made_by_schema_job'] }));
    const { statements: all } = runJob(schema, { ...answers, roles: both }, { ...passwords, USERNAME_CHAT: 'chat_2' });
    expect(all).toContain('ALTER ROLE "chat_2" WITH LOGIN = true');
    expect(all.match(/DROP ROLE.*/g)).toEqual(['DROP ROLE IF EXISTS "chat";']);
  });

  test('a new password of admin is brought into the ring by the previous one', () => {
    const run = runJob(schema, answers, { ...passwords, PREVIOUS_ADMIN_PASSWORD: 'previous' });
    expect(run.stdout).toContain('admin has the new password');
    expect(run.statements).toContain(`ALTER ROLE admin WITH PASSWORD = 'a''d@m/in%';`);
    expect(run.statements).not.toContain('ROLE IF NOT EXISTS admin');
  });

  test('a client that may only read may SELECT and nothing else', () => {
    const reader = {
      ...schema,
      roles: { chat: { passwordFrom: 'PASSWORD_CHAT', keyspaces: [], readOnly: ['order'] } },
    };
    expect(runJob(reader, answers, passwords).statements.match(/GRANT (?!made|"made).* TO "chat";/g)).toEqual([
      'GRANT SELECT ON ALL TABLES IN KEYSPACE "order" TO "chat";',
    ]);
  });

  test('waits with more copies until every node has joined', () => {
    const grown = { ...schema, nodes: ['127.0.0.1'], copies: 2 };
    const run = runJob(grown, answers, passwords);
    expect(run.status).toBe(1);
    expect(run.stdout + run.stderr).toContain('waiting until every node has joined');
    expect(run.statements).not.toContain('ALTER KEYSPACE');
  });
});
