import { runInNewContext } from 'node:vm';
import { scriptFile } from '../../constructs/script-file';

const RECONCILE_SCRIPT = scriptFile('mongo-reconcile.js');
const DECISIONS = scriptFile('mongo-decisions.js');

/** What reconcile.js loads first. */
const decide: (wanted: unknown, state: unknown) => { do: string; why: string; member?: { host: string } } =
  runInNewContext(`${DECISIONS}; decide`, {});

const member = (id: number, priority = id === 0 ? 2 : 1) => ({ _id: id, host: `m${id}`, votes: 1, priority });
const wanted = (count: number) => ({
  replicaSet: 'rs0',
  quietSeconds: 30,
  members: Array.from({ length: count }, (_, id) => member(id)),
});
const fresh = { setName: null, primary: false };
const primary = { setName: 'rs0', primary: true };
const states = (...all: string[]) => Object.fromEntries(all.map((state, id) => [`m${id}`, state]));

test('a new set is initiated by member 0 alone, once every member has answered for a while that it has none', () => {
  const others = { m1: { setName: null }, m2: { setName: null } };
  expect(decide(wanted(3), { self: 0, own: fresh, others, quiet: 30 })).toMatchObject({
    do: 'initiate',
    member: { host: 'm0' },
  });
  expect(decide(wanted(3), { self: 0, own: fresh, others, quiet: 29 }).do).toBe('wait');
  expect(decide(wanted(3), { self: 1, own: fresh, others: {}, quiet: 99 }).do).toBe('wait');
});

test('a member that does not answer may hold the data, so nothing is initiated without it', () => {
  const decision = decide(wanted(3), {
    self: 0,
    own: fresh,
    others: { m1: { setName: null }, m2: 'unreachable' },
    quiet: 99,
  });
  expect(decision).toMatchObject({ do: 'wait', why: expect.stringContaining('missing: m2') });
});

test('an empty member 0 of an existing set never starts a second one', () => {
  const decision = decide(wanted(3), {
    self: 0,
    own: fresh,
    others: { m1: { setName: 'rs0' }, m2: 'unreachable' },
    quiet: 99,
  });
  expect(decision).toMatchObject({ do: 'wait', why: expect.stringContaining('the set exists on m1') });
});

test('an empty member of an existing set says so, also when it is not the first', () => {
  const state = { self: 1, own: fresh, others: { m0: { setName: 'rs0' }, m2: 'unreachable' }, quiet: 99 };
  expect(decide(wanted(3), state)).toMatchObject({ do: 'wait', why: expect.stringContaining('the set exists on m0') });
});

test('a member whose keyfile the others refuse says so and what to do, with data or without', () => {
  for (const own of [fresh, { setName: 'rs0', primary: false }]) {
    const { do: action, why } = decide(wanted(3), { self: 1, own, others: {}, refusedBy: 'm0' });
    expect([action, why]).toEqual([
      'wait',
      expect.stringMatching(/^m0 rejects the keyfile of this member.*restart all members at once$/),
    ]);
  }
});

test('the primary says what the heartbeat to a member said', () => {
  const state = {
    self: 0,
    own: primary,
    root: 'there',
    config: [member(0), member(1)],
    states: states('PRIMARY', 'UNKNOWN'),
    troubles: { m1: 'Authentication failed' },
  };
  expect(decide(wanted(3), state).why).toContain('m1 (UNKNOWN: Authentication failed)');
});

test('only the primary changes anything', () => {
  expect(decide(wanted(3), { self: 1, own: { setName: 'rs0', primary: false } }).do).toBe('watch');
});

test('root is made once', () => {
  expect(decide(wanted(1), { self: 0, own: primary, root: 'missing' }).do).toBe('create-root');
});

test('members are added one at a time, each once the one before is synced', () => {
  const state = { self: 0, own: primary, root: 'there', config: [member(0), member(1)] };
  expect(decide(wanted(3), { ...state, states: states('PRIMARY', 'STARTUP2') })).toMatchObject({
    do: 'wait',
    why: expect.stringContaining('m1'),
  });
  expect(decide(wanted(3), { ...state, states: states('PRIMARY', 'SECONDARY') })).toMatchObject({
    do: 'add',
    member: { host: 'm2' },
  });
});

test('the set shrinks by its highest member, and never below a majority of those who stay', () => {
  const state = { self: 0, own: primary, root: 'there', config: [member(0), member(1), member(2)] };
  expect(
    decide(wanted(1), { ...state, states: states('PRIMARY', 'SECONDARY', '(not reachable/healthy)') }),
  ).toMatchObject({ do: 'remove', member: { host: 'm2' } });
  expect(
    decide(wanted(1), { ...state, states: states('PRIMARY', '(not reachable/healthy)', 'SECONDARY') }),
  ).toMatchObject({ do: 'wait', why: expect.stringContaining('1 of 2 voters') });
});

test('a primary that is no longer wanted steps down before it goes', () => {
  const state = { self: 2, own: primary, root: 'there', config: [member(0), member(1), member(2)] };
  expect(decide(wanted(1), { ...state, states: states('SECONDARY', 'SECONDARY', 'PRIMARY') }).do).toBe('step-down');
});

test('wrong priorities are set right one member at a time', () => {
  const state = {
    self: 0,
    own: primary,
    root: 'there',
    config: [member(0, 1), member(1)],
    states: states('PRIMARY', 'SECONDARY'),
  };
  expect(decide({ ...wanted(2) }, state)).toMatchObject({ do: 'change', member: { host: 'm0', priority: 2 } });
});

describe('a member that is hidden or delayed', () => {
  const delayed = { ...member(2, 0), votes: 0, hidden: true, secondaryDelaySecs: 60 };
  const now = (members: object[], ...well: string[]) => ({
    self: 0,
    own: primary,
    root: 'there',
    config: members,
    states: states(...well),
  });
  const three = [member(0), member(1), member(2)].map((each) => ({ ...each, hidden: false, secondaryDelaySecs: 0 }));
  const well = ['PRIMARY', 'SECONDARY', 'SECONDARY'];

  test('is made one, and left alone once it is', () => {
    const members = [member(0), member(1), delayed];
    expect(decide({ ...wanted(3), members }, now(three, ...well))).toMatchObject({
      do: 'change',
      member: delayed,
      why: 'wanted with votes 0, priority 0, hidden, 60 s behind',
    });
    expect(decide({ ...wanted(3), members }, now([...three.slice(0, 2), delayed], ...well)).do).toBe('nothing');
    expect(decide(wanted(3), now([...three.slice(0, 2), delayed], ...well))).toMatchObject({ member: member(2) });
    for (const change of [{ hidden: false }, { secondaryDelaySecs: 3600 }, { votes: 1 }])
      expect(
        decide({ ...wanted(3), members }, now([...three.slice(0, 2), { ...delayed, ...change }], ...well)).do,
      ).toBe('change');
    expect(decide({ ...wanted(3), members }, now(three.slice(0, 2), ...well))).toMatchObject({
      do: 'add',
      member: delayed,
    });
  });

  test('loses its vote last, and never where the others that are well are no majority', () => {
    const swap = { ...wanted(4), members: [member(0), member(1), delayed, member(3)] };
    const four = [...three, { ...delayed, _id: 3, host: 'm3' }];
    expect(decide(swap, now(four, ...well, 'SECONDARY'))).toMatchObject({ do: 'change', member: { host: 'm3' } });
    const members = [member(0), member(1), delayed];
    expect(decide({ ...wanted(3), members }, now(three, 'PRIMARY', 'RECOVERING', 'SECONDARY'))).toEqual({
      do: 'wait',
      why: 'with the wanted votes of m2 there would be no majority: 1 of 2 voters are healthy',
    });
  });

  test('steps down first where it is primary', () => {
    const members = [member(0), member(1), delayed];
    expect(decide({ ...wanted(3), members }, { ...now(three, 'SECONDARY', 'SECONDARY', 'PRIMARY'), self: 2 }).do).toBe(
      'step-down',
    );
  });
});

test('secondaries copy from the primary: one that falls silent holds up nobody then', () => {
  const state = { self: 0, own: primary, root: 'there', config: [member(0), member(1)] };
  const well = { ...state, states: states('PRIMARY', 'SECONDARY') };
  expect(decide(wanted(2), { ...well, chaining: true }).do).toBe('unchain');
  expect(decide(wanted(2), { ...well, chaining: false }).do).toBe('nothing');
});

test('a set that matches its configuration is left alone, and names unhealthy members', () => {
  const state = { self: 0, own: primary, root: 'there', config: [member(0), member(1), member(2)] };
  expect(decide(wanted(3), { ...state, states: states('PRIMARY', 'SECONDARY', 'SECONDARY') }).do).toBe('nothing');
  expect(decide(wanted(3), { ...state, states: states('PRIMARY', 'SECONDARY', 'RECOVERING') }).why).toContain(
    'not healthy: m2',
  );
});

/** Files that the kubelet gives it. */
const HELD: Readonly<Record<string, string>> = {
  '/root-login/username': 'root',
  '/root-login/password': `p@/:%'`,
  '/keyfile/keyfile': 'k\ney\n',
};

/** Runs the whole script for some rounds, with a Mongo that answers from a table and counts how often it is made. */
function rounds(
  count: number,
  answer: (command: any, uri: string) => any,
  held = HELD,
  more: { readonly wanted?: object[]; readonly snapshots?: object } = {},
) {
  const made: string[] = [];
  const said: string[] = [];
  const files = new Map<string, string>();
  let left = count;
  class Mongo {
    constructor(private readonly uri: string) {
      made.push(uri);
    }
    getDB() {
      return { runCommand: (command: any) => answer(command, this.uri) };
    }
    close() {}
  }
  const fs = {
    readFileSync: (path: string) =>
      path === 'members.json'
        ? JSON.stringify({
            ...wanted(count > 90 ? 1 : 2),
            ...(more.wanted && { members: more.wanted }),
            intervalSeconds: 10,
          })
        : held[path]!,
    writeFileSync: (path: string, text: string) => files.set(path, text),
    renameSync: (from: string, to: string) => {
      files.set(to, files.get(from)!);
      files.delete(from);
    },
    rmSync: (path: string) => files.delete(path),
    existsSync: (path: string) => path in held || files.has(path),
  };
  const sleep = () => {
    if (--left === 0) throw new Error('enough');
  };
  const process = {
    env: { POD_NAME: 'm-0', MEMBERS: 'members.json', ...(more.snapshots && { HANDOVER: '/handover' }) },
    on: () => undefined,
  };
  try {
    runInNewContext(`${DECISIONS}\n${RECONCILE_SCRIPT}`, {
      Mongo,
      sleep,
      process,
      print: (line: string) => said.push(line),
      encodeURIComponent,
      require: () => fs,
      load: () => undefined,
      snapshots: () => more.snapshots,
    });
  } catch (error) {
    expect((error as Error).message).toBe('enough');
  }
  return { made, files, said };
}

const settled = (command: any) =>
  command.hello
    ? { setName: 'rs0', isWritablePrimary: true }
    : command.replSetGetConfig
      ? { config: { members: [member(0)], settings: { chainingAllowed: false } } }
      : { members: [{ name: 'm0', stateStr: 'PRIMARY' }] };

test('the set is told what a member is, whatever else it knows of it, and backups which of them are delayed', () => {
  const told: any[] = [];
  let asked: readonly object[] = [];
  const two = [member(0), { ...member(1, 0), votes: 0, hidden: true, secondaryDelaySecs: 60 }];
  const set = {
    members: [member(0), { ...member(1), tags: { at: 'home' }, secondaryDelaySecs: { low: 0, valueOf: () => 0 } }],
  };
  const answer = (command: any) => {
    if (command.replSetReconfig) set.members = told[told.push(command.replSetReconfig) - 1].members;
    if (command.hello || command.replSetReconfig) return settled(command);
    if (command.replSetGetConfig) return { config: { version: 1, members: set.members, settings: {} } };
    return { members: two.map(({ host }) => ({ name: host, stateStr: host === 'm0' ? 'PRIMARY' : 'SECONDARY' })) };
  };
  const snapshots = { locked: () => false, round: (members: () => object[]) => (asked = members()) };
  rounds(2, answer, HELD, { wanted: two, snapshots });
  expect(told.map(({ members }) => members[1])).toEqual([{ ...two[1], tags: { at: 'home' } }]);
  expect(asked).toEqual([
    { name: 'm0', stateStr: 'PRIMARY', hidden: false, delayed: false },
    { name: 'm1', stateStr: 'SECONDARY', hidden: true, delayed: true },
  ]);
});

test('a set that was made before is told, and keeps its other settings', () => {
  const told: any[] = [];
  const settings = { chainingAllowed: true, heartbeatTimeoutSecs: 10 };
  const chained = (command: any) => {
    if (command.replSetReconfig) told.push(command.replSetReconfig);
    return command.replSetGetConfig
      ? { config: { version: 4, members: [member(0)], settings: { ...settings } } }
      : settled(command);
  };
  rounds(1, chained, HELD, { wanted: [member(0)] });
  expect(told).toEqual([{ version: 5, members: [member(0)], settings: { ...settings, chainingAllowed: false } }]);
});

test('a hundred rounds make two connections: mongosh closes none, and 192 MiB were full after five minutes', () => {
  expect(rounds(100, settled).made).toHaveLength(2);
});

test('a root password set by hand stands in the URI whatever characters it has', () => {
  expect(rounds(1, settled).made.at(-1)).toContain("mongodb://root:p%40%2F%3A%25'@127.0.0.1:27017/admin?");
});

test('a root password that was rotated is used from the next round on', () => {
  const login = { ...HELD };
  let asked = 0;
  const { made } = rounds(
    3,
    (command: any) => {
      if (command.ping && ++asked === 2) login['/root-login/password'] = 'new';
      return settled(command);
    },
    login,
  );
  expect(made.at(-1)).toContain('mongodb://root:new@127.0.0.1:27017/admin?');
});

test('a keyfile of two keys shows the first of them', () => {
  const lost = (command: any, uri: string) => {
    if (command.hello) return uri.includes('127.0.0.1') ? {} : { setName: 'rs0' };
    throw Object.assign(new Error('Authentication failed.'), { code: 18 });
  };
  const both = { ...HELD, '/keyfile/keyfile': '- b+/=\n- a\n' };
  expect(rounds(1, lost, both).made.at(-1)).toContain('mongodb://__system:b%2B%2F%3D@m1/local?');
});

test('a member that sees no primary tries its keyfile at the others', () => {
  const lost = (command: any, uri: string) => {
    if (command.hello) return uri.includes('127.0.0.1') ? {} : { setName: 'rs0' };
    throw Object.assign(new Error('Authentication failed.'), { code: 18 });
  };
  const { said, made } = rounds(1, lost);
  expect(made.at(-1)).toContain('mongodb://__system:key@m1/local?');
  expect(said.join()).toContain('m1 rejects the keyfile of this member');
});

test('an empty member is let in by a file, where the pod tells that it waits', () => {
  const first = (command: any, uri: string) =>
    command.hello && !uri.includes('127.0.0.1') ? { setName: 'rs0', isWritablePrimary: true } : {};
  expect(rounds(1, first).files.has('/tmp/join')).toBe(false);
  expect(rounds(1, first, { ...HELD, '/tmp/waiting': '' }).files.has('/tmp/join')).toBe(true);
  const alone = (command: any, uri: string) =>
    command.hello && !uri.includes('127.0.0.1') ? { setName: 'rs0', secondary: true } : {};
  expect(rounds(1, alone, { ...HELD, '/tmp/waiting': '' }).files.has('/tmp/join')).toBe(false);
  const agreed = { ...HELD, '/tmp/waiting': '', '/tmp/accept-loss': '' };
  expect(rounds(1, alone, agreed).files.has('/tmp/join')).toBe(true);
});

test('a member is ready while it is primary or secondary, and no longer', () => {
  expect(rounds(1, settled).files.has('/tmp/serves')).toBe(true);
  const copying = (command: any) => (command.hello ? { setName: 'rs0', isWritablePrimary: false } : settled(command));
  expect(rounds(1, copying).files.has('/tmp/serves')).toBe(false);
});

test('the age of the backup is a metric, where there is one', () => {
  const text: (state: object) => string = runInNewContext(`${DECISIONS}; metricsText`, { Date });
  const values = (state: object) => text(state).match(/^[^#].*$/gm);
  expect(values({ serves: true, backup: { newest: '2026-11-28T02:00:00Z', error: null } })).toEqual([
    'collab_mongodb_serves 1',
    'collab_backup_newest_timestamp_seconds 1795831200',
    'collab_backup_failed 0',
  ]);
  const failed = values({ serves: false, backup: { newest: null, error: 'no route' } });
  expect(failed).toEqual(['collab_mongodb_serves 0', 'collab_backup_failed 1']);
  expect(values({ serves: true, backup: null })).toEqual(['collab_mongodb_serves 1']);
  expect(text({ serves: true, backup: null })).toBe(
    '# HELP collab_mongodb_serves Whether this member is primary or secondary.\n# TYPE collab_mongodb_serves gauge\ncollab_mongodb_serves 1\n',
  );
});

test('a root password that the set does not know is said, with what to do, and nothing is overwritten', () => {
  const refused = (command: any) => {
    if (command.hello) return settled(command);
    throw Object.assign(new Error('no'), { code: command.createUser ? 13 : 18 });
  };
  const { said, files } = rounds(2, refused);
  // mongod serves all the same: the pod stays ready, or a wrong secret would hold up everything that waits for it.
  expect(files.has('/tmp/serves')).toBe(true);
  expect(JSON.parse(files.get('/tmp/status.json')!).error).toContain('the root password of the secret');
  expect(said.join()).toContain(
    'rejects the root password of the secret; during a rotation wait for the job NAME-users',
  );
});

describe('the users job', () => {
  /** Runs the script with a Mongo that has users and roles and keeps what it is told. */
  function run(
    users: { user: string; customData?: object }[],
    roles: { role: string; db: string }[],
    wantedUsers: object[],
    more: Readonly<Record<string, string>> = {},
  ) {
    const told: [db: string, command: any][] = [];
    const answer = (db: string, command: any): any => {
      told.push([db, command]);
      if (command.hello) return { isWritablePrimary: true };
      if (command.rolesInfo) return { roles: roles.filter((each) => each.db === db) };
      if (command.usersInfo === 1)
        return {
          users: users.filter(({ customData }: any) => customData?.madeBy === command.filter['customData.madeBy']),
        };
      if (command.usersInfo) return { users: users.filter(({ user }) => user === command.usersInfo) };
      return { ok: 1 };
    };
    const uris: string[] = [];
    class Mongo {
      constructor(uri: string) {
        uris.push(uri);
        if (
          more.PREVIOUS_ROOT_PASSWORD &&
          uri.includes(':%40@') &&
          !told.some(([, { updateUser }]) => updateUser === 'root')
        )
          throw Object.assign(new Error('Authentication failed.'), { code: 18 });
      }
      getDB(db: string) {
        return {
          runCommand: (command: any) => answer(db, command),
          getCollection: () => ({ find: () => ({ toArray: () => roles }) }),
        };
      }
      close() {}
    }
    const json = JSON.stringify({ replicaSet: 'rs0', hosts: ['m0'], users: wantedUsers });
    runInNewContext(scriptFile('mongo-users.js'), {
      Mongo,
      print: () => undefined,
      encodeURIComponent,
      process: { env: { ROOT_USERNAME: 'root', ROOT_PASSWORD: '@', PASSWORD_A: 'pa', ...more }, exit: () => undefined },
      sleep: () => undefined,
      require: () => ({ readFileSync: () => json }),
    });
    return { uris, told: told.filter(([, command]) => !command.hello && !command.usersInfo && !command.rolesInfo) };
  }
  const client = {
    user: 'a',
    usernameFrom: 'USERNAME_A',
    passwordFrom: 'PASSWORD_A',
    previousFrom: 'PREVIOUS_PASSWORD_A',
    databases: ['orders'],
  };
  const short = ([db, command]: readonly [string, any]) =>
    `${db} ${Object.entries(command)[0]!.join(' ')}${command.pwd ? ' with a password' : ''}`;
  const marked = { customData: { madeBy: 'users-job' } };

  test('gives a client readWrite and collMod on its own databases, and marks it as its own', () => {
    const { told, uris } = run([], [], [client]);
    expect(uris[0]).toContain('mongodb://root:%40@m0/');
    expect(told).toEqual([
      [
        'orders',
        {
          createRole: 'schemaMigrations',
          privileges: [{ resource: { db: 'orders', collection: '' }, actions: ['collMod'] }],
          roles: [],
        },
      ],
      [
        'admin',
        {
          createUser: 'a',
          pwd: 'pa',
          roles: [
            { role: 'readWrite', db: 'orders' },
            { role: 'schemaMigrations', db: 'orders' },
          ],
          ...marked,
        },
      ],
    ]);
  });

  test('gives a client the further roles that it asked for, under both of its names', () => {
    const { told } = run(
      [{ user: 'a', ...marked }],
      [],
      [{ ...client, databases: [], readOnly: ['stock'], roles: [{ role: 'dbAdmin', db: 'orders' }] }],
    );
    expect(told.map(([, command]) => command.roles)).toEqual([
      [
        { role: 'read', db: 'stock' },
        { role: 'dbAdmin', db: 'orders' },
      ],
    ]);
  });

  test('replaces the rights of a client that moved, and drops the role of the database that nobody uses', () => {
    const { told } = run([{ user: 'a', ...marked }], [{ role: 'schemaMigrations', db: 'old' }], [client]);
    expect(told.map(([db, command]) => `${db} ${Object.keys(command)[0]}`)).toEqual([
      'orders createRole',
      'admin updateUser',
      'old dropRole',
    ]);
  });

  test('during a rotation both names log in, the old one with the old password', () => {
    const there = [{ user: 'a', ...marked }];
    const rotating = { USERNAME_A: 'a_2', PREVIOUS_PASSWORD_A: 'old' };
    expect(run(there, [], [client], rotating).told.map(short)).toEqual([
      'orders createRole schemaMigrations',
      'admin createUser a_2 with a password',
      'admin updateUser a',
    ]);
  });

  test('afterwards the name that the secret no longer has is dropped, and the next rotation takes it again', () => {
    const both = [
      { user: 'a', ...marked },
      { user: 'a_2', ...marked },
    ];
    expect(run(both, [], [client], { USERNAME_A: 'a_2' }).told.map(short).slice(1)).toEqual([
      'admin updateUser a_2 with a password',
      'admin dropUser a',
    ]);
    const next = run([both[1]!], [], [client], { USERNAME_A: 'a', PREVIOUS_PASSWORD_A: 'old' });
    expect(next.told.map(short).slice(1)).toEqual(['admin createUser a with a password', 'admin updateUser a_2']);
  });

  test('a new root password is brought into the set by the previous one', () => {
    const { told, uris } = run([], [], [], { PREVIOUS_ROOT_PASSWORD: 'old' });
    expect(told).toEqual([['admin', { updateUser: 'root', pwd: '@' }]]);
    expect(uris.map((uri) => uri.split('@')[0])).toEqual([
      'mongodb://root:%40',
      'mongodb://root:old',
      'mongodb://root:%40',
    ]);
  });

  test('a client that may only read gets no right to write', () => {
    const { told } = run([], [], [{ ...client, databases: [], readOnly: ['orders'] }]);
    expect(told).toEqual([['admin', expect.objectContaining({ roles: [{ role: 'read', db: 'orders' }] })]]);
  });

  test('drops users that it made and that are no longer clients, and no others', () => {
    const { told } = run([{ user: 'gone', ...marked }, { user: 'owner' }, { user: 'root' }], [], []);
    expect(told).toEqual([['admin', { dropUser: 'gone' }]]);
  });
});

describe('the feature compatibility version', () => {
  const settled = {
    self: 0,
    own: primary,
    root: 'there',
    config: [member(0), member(1), member(2)],
    states: states('PRIMARY', 'SECONDARY', 'SECONDARY'),
    compatibility: '7.0',
  };
  const to = (featureCompatibilityVersion?: string) => ({ ...wanted(3), featureCompatibilityVersion });
  const all = { m0: '8.0.26', m1: '8.0.26', m2: '8.0.26' };

  test('is raised once every member runs a mongod that knows it', () => {
    expect(decide(to('8.0'), { ...settled, binaries: all })).toMatchObject({ do: 'raise-compatibility', to: '8.0' });
  });

  test.each([
    ['one still runs the old one', { ...all, m2: '7.0.37' }, 'these members must run it first: m2 (7.0.37)'],
    ['one does not answer', { ...all, m1: null }, 'these members must run it first: m1 (no answer)'],
  ])('waits while %s', (_what, binaries, why) => {
    expect(decide(to('8.0'), { ...settled, binaries })).toMatchObject({
      do: 'wait',
      why: expect.stringContaining(why),
    });
  });

  test('waits while a member is not healthy, and is ignored unless requested', () => {
    const unwell = { ...settled, states: states('PRIMARY', 'SECONDARY', 'RECOVERING'), binaries: all };
    expect(decide(to('8.0'), unwell).why).toContain('not healthy: m2');
    expect(decide(to(), { ...settled, binaries: undefined }).do).toBe('nothing');
    expect(decide(to('7.0'), { ...settled, binaries: undefined }).do).toBe('nothing');
  });

  test('is never lowered', () => {
    expect(decide(to('6.0'), { ...settled, binaries: all })).toMatchObject({
      do: 'wait',
      why: 'the feature compatibility version is 7.0, and 6.0 is wanted: it is never lowered automatically; write 7.0, or remove the setting',
    });
  });
});

test('what a primary knows of the members stands in a file for the status command', () => {
  const behind = (command: any) =>
    command.replSetGetStatus
      ? {
          members: [
            { name: 'm0', stateStr: 'PRIMARY', optimeDate: new Date(9000) },
            { name: 'm1', stateStr: 'SECONDARY', optimeDate: new Date(2000) },
          ],
        }
      : command.replSetGetConfig
        ? { config: { members: [member(0), member(1)], settings: {} } }
        : settled(command);
  const status = JSON.parse(rounds(1, behind).files.get('/tmp/status.json')!);
  expect(status).toMatchObject({
    action: 'nothing: as wanted: m0, m1',
    members: [
      { host: 'm0', state: 'PRIMARY', lagSeconds: 0 },
      { host: 'm1', state: 'SECONDARY', lagSeconds: 7 },
    ],
  });
  expect(status.time).toBeGreaterThan(0);
});
