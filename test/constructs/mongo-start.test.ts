import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { scriptFile } from '../../constructs/script-file';

/** Makes a file as WiredTiger does, says with what it was started, and ends on SIGTERM. */
const MONGOD = `#!/bin/sh
for each in "$@"; do case $each in --dbpath=*) : >"\${each#--dbpath=}/WiredTiger" ;; esac; done
trap 'echo ended >>"$NOTES"; exit 0' TERM
echo "$*" >>"$NOTES"
[ ! -e "$WORK/broken" ] || exit 5
while :; do sleep 0.05; done
`;

let folder: string;
let child: ChildProcess;
const at = (name: string) => join(folder, name);
const notes = () => (fs.existsSync(at('notes')) ? fs.readFileSync(at('notes'), 'utf8').trim().split('\n') : []);
const alone = () => `--replSet=rs0-waiting --dbpath=${at('data')}/.waiting --port=27017`;
const joined = () => `--replSet=rs0 --dbpath=${at('data')} --port=27017`;

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'mongo-start-'));
  for (const each of ['data', 'work']) fs.mkdirSync(at(each));
  fs.writeFileSync(at('mongod'), MONGOD, { mode: 0o755 });
});
afterEach(() => {
  child.kill('SIGKILL');
  fs.rmSync(folder, { recursive: true, force: true });
});

function start(): Promise<number | null> {
  const script = join(__dirname, '../../constructs/files/mongo-start.sh');
  child = spawn('sh', [script, at('mongod'), '--replSet=rs0', `--dbpath=${at('data')}`, '--port=27017'], {
    env: { PATH: process.env.PATH, DATA: at('data'), WORK: at('work'), NOTES: at('notes') },
    stdio: 'ignore',
  });
  return new Promise((resolve) => child.once('exit', resolve));
}

async function until(what: () => boolean): Promise<void> {
  for (const end = Date.now() + 8000; !what(); await new Promise((resolve) => setTimeout(resolve, 20)))
    if (Date.now() > end) throw new Error(`not within 8 s: ${what.toString()}, ${notes().join('; ')}`);
}

test('a member with data starts at once, whatever an earlier start left', async () => {
  fs.writeFileSync(at('data/WiredTiger'), '');
  fs.mkdirSync(at('data/.waiting'));
  fs.writeFileSync(at('work/waiting'), '');
  const ended = start();
  await until(() => notes().length > 0);
  expect(notes()).toEqual([joined()]);
  expect(fs.readdirSync(at('data'))).toEqual(['WiredTiger']);
  expect(fs.readdirSync(at('work'))).toEqual([]);
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});

test('one without data runs apart from the set until it may join, and leaves nothing of that', async () => {
  // Of a member before it on this pod: they agree to nothing now.
  fs.writeFileSync(at('work/join'), '');
  const ended = start();
  await until(() => fs.existsSync(at('work/waiting')) && notes().length > 0);
  expect(notes()).toEqual([alone()]);
  expect(fs.readdirSync(at('data'))).toEqual(['.waiting']);
  fs.writeFileSync(at('work/accept-loss'), '');
  fs.writeFileSync(at('work/join'), '');
  await until(() => notes().length > 2);
  expect(notes()).toEqual([alone(), 'ended', joined()]);
  expect(fs.readdirSync(at('data'))).toEqual(['WiredTiger']);
  expect(fs.readdirSync(at('work'))).toEqual(['join']);
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});

test('one that waits ends on SIGTERM with its mongod, and is as empty as before', async () => {
  const ended = start();
  await until(() => notes().length > 0);
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  expect(notes()).toEqual([alone(), 'ended']);
  expect(fs.existsSync(at('data/WiredTiger'))).toBe(false);
});

test('a mongod that cannot start ends the container with its code, also while it waits', async () => {
  fs.writeFileSync(at('work/broken'), '');
  expect(await start()).toBe(5);
});

describe('an empty member of a set that exists', () => {
  const decide: (wanted: unknown, state: unknown) => { do: string; why: string } = runInNewContext(
    `${scriptFile('mongo-decisions.js')}; decide`,
    {},
  );
  const members = [0, 1, 2].map((id) => ({ _id: id, host: `m${id}`, votes: 1, priority: 1 }));
  const own = { setName: null, primary: false };
  const empty = { setName: null, primary: false, serves: false };
  const secondary = { setName: 'rs0', primary: false, serves: true };
  const primary = { ...secondary, primary: true };
  const decided = (others: object, more: object = {}) =>
    decide({ quietSeconds: 30, members }, { self: 1, own, others, quiet: 99, waiting: true, ...more });

  test('joins by itself where a member is primary: the majority that elected it has every acknowledged write', () => {
    expect(decided({ m0: primary, m2: secondary })).toMatchObject({ do: 'join' });
    expect(decided({ m0: primary, m2: 'unreachable' }, { quiet: 0 })).toMatchObject({ do: 'join' });
  });

  test('waits where nobody is primary, and says who has what, where to look and how to go on', () => {
    expect(decided({ m0: empty, m2: secondary }, { quiet: 29 }).why).toBe(
      'this member is empty, and no member is primary yet',
    );
    const { do: action, why } = decided({ m0: empty, m2: secondary });
    expect(action).toBe('wait');
    expect(why).toMatch(/\(with data: m2; also empty: m0; no answer: none\).*lost disks.*touch \/tmp\/accept-loss/);
    // It has joined and copies: it has the name of the set, and no data.
    expect(decided({ m0: { ...secondary, serves: false }, m2: 'unreachable' }).why).toContain(
      '(with data: none; also empty: none; no answer: m2)',
    );
  });

  test('joins once the operator accepted the loss', () => {
    expect(decided({ m0: empty, m2: secondary }, { accepted: true, quiet: 0 })).toMatchObject({ do: 'join' });
    // Nobody has a set that it could join.
    expect(decided({ m0: empty, m2: 'unreachable' }, { accepted: true }).do).toBe('wait');
  });

  test('is not asked twice: a mongod that may join is filled by the set', () => {
    expect(decided({ m0: empty, m2: secondary }, { waiting: false, accepted: true }).do).toBe('wait');
  });

  test('of a new set lets mongod join first, and initiates then', () => {
    const first = (more: object) => decided({ m1: empty, m2: empty }, { self: 0, ...more });
    expect(first({}).do).toBe('join');
    expect(first({ quiet: 29 }).do).toBe('wait');
    expect(first({ waiting: false }).do).toBe('initiate');
  });
});
