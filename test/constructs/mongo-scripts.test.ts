import { runInNewContext } from 'node:vm';
import { RECONCILE_SCRIPT } from '../../constructs/mongo-scripts';

/** The script's decision, loaded as mongosh would load it, but without mongosh's `Mongo`: then nothing else of it runs. */
const decide: (wanted: unknown, state: unknown) => { do: string; why: string; member?: { host: string } } =
  runInNewContext(`${RECONCILE_SCRIPT}; decide`, {});

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

test('wrong votes or priorities are set right one member at a time', () => {
  const state = {
    self: 0,
    own: primary,
    root: 'there',
    config: [member(0, 1), member(1)],
    states: states('PRIMARY', 'SECONDARY'),
  };
  expect(decide({ ...wanted(2) }, state)).toMatchObject({ do: 'change', member: { host: 'm0', priority: 2 } });
});

test('a set that is as wanted is left alone, and says who is not well', () => {
  const state = { self: 0, own: primary, root: 'there', config: [member(0), member(1), member(2)] };
  expect(decide(wanted(3), { ...state, states: states('PRIMARY', 'SECONDARY', 'SECONDARY') }).do).toBe('nothing');
  expect(decide(wanted(3), { ...state, states: states('PRIMARY', 'SECONDARY', 'RECOVERING') }).why).toContain(
    'not well: m2',
  );
});

/** Runs the whole script for some rounds, with a Mongo that answers from a table and counts how often it is made. */
function rounds(count: number, answer: (command: any) => any) {
  const made: string[] = [];
  const said: string[] = [];
  const files = new Set<string>();
  let left = count;
  class Mongo {
    constructor(uri: string) {
      made.push(uri);
    }
    getDB() {
      return { runCommand: (command: any) => answer(command) };
    }
    close() {}
  }
  const fs = {
    readFileSync: () => JSON.stringify({ ...wanted(1), intervalSeconds: 10 }),
    writeFileSync: (path: string) => files.add(path),
    rmSync: (path: string) => files.delete(path),
  };
  const sleep = () => {
    if (--left === 0) throw new Error('enough');
  };
  const process = { env: { POD_NAME: 'm-0', ROOT_USERNAME: 'root', ROOT_PASSWORD: 'p' }, on: () => undefined };
  try {
    runInNewContext(RECONCILE_SCRIPT, {
      Mongo,
      sleep,
      process,
      print: (line: string) => said.push(line),
      require: () => fs,
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
      ? { config: { members: [member(0)] } }
      : { members: [{ name: 'm0', stateStr: 'PRIMARY' }] };

test('a hundred rounds make two connections: mongosh closes none, and 192 MiB were full after five minutes', () => {
  expect(rounds(100, settled).made).toHaveLength(2);
});

test('a member is ready while it is primary or secondary, and no longer', () => {
  expect([...rounds(1, settled).files]).toEqual(['/tmp/serves']);
  const copying = (command: any) => (command.hello ? { setName: 'rs0', isWritablePrimary: false } : settled(command));
  expect([...rounds(1, copying).files]).toEqual([]);
});

test('a root password that the set does not know is said, with what to do, and nothing is overwritten', () => {
  const refused = (command: any) => {
    if (command.hello) return settled(command);
    throw Object.assign(new Error('no'), { code: command.createUser ? 13 : 18 });
  };
  const { said, files } = rounds(2, refused);
  // mongod serves all the same: the pod stays ready, or a wrong secret would hold up everything that waits for it.
  expect([...files]).toEqual(['/tmp/serves']);
  expect(said.join()).toContain('the root password in the secret is not the one that it knows: put the old one back');
});
