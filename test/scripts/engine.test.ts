import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { stringify } from 'yaml';
import { action, command } from '../../scripts/engine/actions';
import { findings } from '../../scripts/engine/findings';
import { jsonDocuments } from '../../scripts/engine/json';
import { CommandFailed, Commands, ProgramMissing } from '../../scripts/engine/commands';
import { Log } from '../../scripts/engine/log';
import { Interrupted, NotReady, Problem, Blocked } from '../../scripts/engine/problem';
import { quoted } from '../../machines/shell';
import { Sops } from '../../scripts/engine/sops';
import { execute, planStage, shownLines, type Change, type Step } from '../../scripts/engine/step';
import { until } from '../../scripts/engine/wait';

const quiet = () => undefined;

const make = (title: string, state: Set<string>): Change => ({
  actions: [action(`make ${title}`, async () => state.add(title))],
});

/** A step that sets a value in memory. It is complete when the value is set. */
function step(title: string, state: Set<string>, extra: Partial<Step> = {}): Step {
  return {
    title,
    plan: async () => (state.has(title) ? undefined : make(title, state)),
    ...extra,
  };
}

const stage = (...steps: Step[]) => ({ name: 'test', title: 'a test', steps: async () => steps });

describe('a stage', () => {
  test('plans missing changes, applies them, and then has nothing left to do', async () => {
    const state = new Set(['there']);
    const all = stage(step('there', state), step('missing', state));
    const planned = await planStage(all);
    expect(planned.map(({ step }) => step.title)).toEqual(['missing']);
    expect(await execute(planned[0]!, quiet)).toBe(true);
    expect(await planStage(all)).toEqual([]);
  });

  test('plans a step that depends on an earlier one by its title', async () => {
    const state = new Set<string>();
    const later = step('second', state, {
      plan: async () => {
        if (!state.has('first')) throw new NotReady('first comes first');
        return state.has('second') ? undefined : make('second', state);
      },
    });
    const planned = await planStage(stage(step('first', state), later));
    expect(planned.map(({ change }) => change && shownLines(change))).toEqual([['make first'], undefined]);
    for (const each of planned) await execute(each, quiet);
    expect(state).toEqual(new Set(['first', 'second']));
  });

  test('fails if a step waits for something that no step provides', async () => {
    const plan = async () => {
      throw new NotReady('there is no cluster');
    };
    await expect(planStage(stage(step('first', new Set(), { plan })))).rejects.toThrow('there is no cluster');
  });

  test('applies only what the plan showed', async () => {
    let done = 0;
    const resize = (line: string): Change => ({ lines: [line], actions: [action('resize', async () => done++)] });
    let wanted = resize('disk: 100 -> 200');
    const each: Step = { title: 'disk', plan: async () => wanted };
    const [planned] = await planStage(stage(each));
    wanted = resize('disk: 50 -> 200');
    await expect(execute(planned!, quiet)).rejects.toThrow(
      /planned: disk: 100 -> 200; resize\nnow: disk: 50 -> 200; resize/,
    );
    expect(done).toBe(0);
  });

  test('fails if a step had no effect', async () => {
    const [planned] = await planStage(stage(step('idle', new Set(), { plan: async () => make('idle', new Set()) })));
    await expect(execute(planned!, quiet)).rejects.toThrow(/still differs: make idle/);
  });

  test('skips a change that somebody else made meanwhile', async () => {
    const state = new Set<string>();
    const [planned] = await planStage(stage(step('shared', state)));
    state.add('shared');
    expect(await execute(planned!, quiet)).toBe(false);
  });
});

test('a wait ends with a message about its goal and the last state', async () => {
  const plan = async () => {
    throw new Problem('connection refused');
  };
  await expect(until('the API server', { seconds: 0 }, quiet, plan)).rejects.toThrow(
    'waited 0 s for the API server; last result: connection refused',
  );
  await expect(
    until('a bug', { seconds: 0 }, quiet, async () => {
      throw new TypeError('x is undefined');
    }),
  ).rejects.toThrow(TypeError);
});

test('every argument reaches a shell unchanged', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.string({ unit: 'binary' }).map((text) => text.replace(/\0/g, '')),
        { maxLength: 4 },
      ),
      (words) => {
        const command = `printf '%s\\0' ${words.map(quoted).join(' ')}`;
        const seen = execFileSync('sh', ['-c', command]).toString().split('\0').slice(0, -1);
        expect(seen).toEqual(words.length === 0 ? [''] : words);
      },
    ),
    { numRuns: 60 },
  );
  for (const word of [`a'b`, '$(reboot)', '`id`', 'a\nb', 'a b', '', '*', '-n', '!!', '\\'])
    expect(execFileSync('bash', ['-c', `printf %s ${quoted(word)}`]).toString()).toBe(word);
});

test('masks a secret in every line, also a secret of several lines', () => {
  const file = join(fs.mkdtempSync(join(tmpdir(), 'log-')), 'bootstrap.log');
  const log = new Log(file);
  log.hide('correct-horse', '-----BEGIN KEY-----\nAAAABBBBCCCC\n-----END KEY-----');
  log.line('password correct-horse and AAAABBBBCCCC');
  expect(log.masked('the key is AAAABBBBCCCC')).not.toContain('AAAABBBBCCCC');
  const text = fs.readFileSync(file, 'utf8');
  expect(text).not.toMatch(/correct-horse|AAAABBBBCCCC/);
  expect(fs.statSync(file).mode & 0o077).toBe(0);
});

test('reads documents of talosctl one by one, and reports invalid output', () => {
  const two = '{\n    "a": 1,\n    "b": {\n        "c": 2\n    }\n}\n{\n    "a": 2\n}\n';
  expect(jsonDocuments(two, 'talosctl get disks')).toEqual([{ a: 1, b: { c: 2 } }, { a: 2 }]);
  expect(jsonDocuments('', 'talosctl')).toEqual([]);
  expect(() => jsonDocuments('segfault', 'talosctl get disks')).toThrow(Blocked);
  expect(() => jsonDocuments('segfault', 'talosctl get disks')).toThrow(/talosctl get disks must answer with JSON/);
});

test.each([
  [undefined, 580],
  [120, 100],
  [1800, 900],
])('a change with %s s stops waiting for the lock after %i s, before its own timeout', async (seconds, wait) => {
  const commands = new Commands(new Log());
  const run = jest.spyOn(commands as any, 'run').mockResolvedValue({ stdout: '', stderr: '', code: 0 });
  commands.changing = true;
  const place = { name: 'host', ssh: { user: 'root', address: '192.0.2.1' } };
  await commands.change(place, ['systemctl', 'reboot'], seconds === undefined ? {} : { seconds });
  const [, argv, , options] = run.mock.calls[0] as any;
  expect(argv.join(' ')).toContain(`flock --close -w ${wait} `);
  expect(options.seconds).toBe(seconds ?? 600);
});

test('the other checks continue after one fails, but not after Ctrl-C', async () => {
  const fails = (error: Error) => async () => {
    throw error;
  };
  const good = async () => [{ what: 'b', state: 'good', saw: 'well' }] as const;
  expect(await findings({ a: fails(new Problem('no answer')), b: good })).toEqual([
    { what: 'a', state: 'bad', saw: 'no answer' },
    { what: 'b', state: 'good', saw: 'well' },
  ]);
  await expect(findings({ a: fails(new Interrupted()), b: good })).rejects.toThrow(Interrupted);
});

describe('one cause', () => {
  const failed = (asked: string, stderr: string) =>
    new CommandFailed({ stdout: '', stderr, code: 1 }, `${asked} ended with 1: ${stderr}`);
  const REFUSED =
    'The connection to the server 192.168.1.20:6443 was refused - did you specify the right host or port?\n';
  const look = (error: Error) => async () => {
    throw error;
  };

  test('is reported once, with everything that it prevents', async () => {
    const log = (time: string) => `E1128 10:00:0${time} 4711 memcache.go:265] "Unhandled Error"\n`;
    expect(
      await findings({
        nodes: look(failed('kubectl get nodes', log('1.2') + REFUSED)),
        claims: look(failed('kubectl get pvc', log('3.4') + log('5.6') + REFUSED)),
        host: look(failed('ssh', 'No route to host')),
        secrets: look(failed('kubectl get secrets', REFUSED)),
        volumes: look(new Problem('talosctl must be installed here')),
        more: look(new Problem('talosctl must be installed here')),
      }),
    ).toEqual([
      { what: 'nodes, claims, secrets', state: 'bad', saw: expect.stringMatching(/^kubectl get nodes ended with 1: /) },
      { what: 'host', state: 'bad', saw: 'ssh ended with 1: No route to host' },
      { what: 'volumes, more', state: 'bad', saw: 'talosctl must be installed here' },
    ]);
  });
  test('with a similar message is reported separately', async () => {
    const found = await findings({
      a: look(failed('kubectl', 'pods "a" not found')),
      b: look(failed('kubectl', 'pods "b" not found')),
      c: look(failed('x', '')),
      d: look(failed('y', '')),
      e: async () => [{ what: 'e', state: 'bad', saw: 'x ended with 1: ' }],
    });
    expect(found.map(({ what }) => what)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });
});

describe('a plan without a program', () => {
  const needs = (program: string) => async () => {
    throw new ProgramMissing(program, { stdout: '', stderr: '', code: -1 });
  };
  const all = () =>
    stage(
      step('key', new Set()),
      step('secrets', new Set(), { plan: needs('talosctl') }),
      step('login', new Set(), {
        plan: async () => {
          throw new NotReady('the secrets come first');
        },
      }),
      step('rest', new Set()),
    );

  test('shows the steps that do not need the program', async () => {
    const planned = await planStage(all(), true);
    expect(planned.map(({ step, change, needs }) => [step.title, change && shownLines(change), needs])).toEqual([
      ['key', ['make key'], undefined],
      ['secrets', undefined, 'talosctl'],
      ['login', undefined, undefined],
      ['rest', ['make rest'], undefined],
    ]);
  });
  test('cannot be applied', async () => {
    await expect(planStage(all())).rejects.toThrow('talosctl must be installed here; npm run bootstrap -- doctor');
  });
});

test('does not write a secret that sops leaves in clear text', async () => {
  const root = fs.mkdtempSync(join(tmpdir(), 'sops-'));
  const answer = (values: object) => ({
    change: async () => ({ stdout: stringify({ ...values, sops: { mac: 'ENC[x]' } }) }),
  });
  const write = (values: object) =>
    new Sops(answer(values) as any, new Log(join(root, 'log')), root).write(
      'scripts/secrets/talos.sops.yaml',
      { id: 'plain', key: 'correct-horse', empty: '' },
      ([key]) => key === 'id',
    );
  const encrypted = 'ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:AAAA,type:str]';
  await expect(write({ id: 'plain', key: 'correct-horse', empty: '' })).rejects.toThrow(
    /must encrypt every secret of scripts\/secrets\/talos.sops.yaml.*encrypted_regex/,
  );
  expect(fs.existsSync(join(root, 'scripts'))).toBe(false);
  await write({ id: encrypted, key: encrypted, empty: '' });
  expect(fs.readFileSync(join(root, 'scripts/secrets/talos.sops.yaml'), 'utf8')).toContain(encrypted);
});

test('an encrypted file after a merge stops with a fix, in every state that a merge leaves', async () => {
  const root = fs.mkdtempSync(join(tmpdir(), 'sops-'));
  const path = 'secrets.sops.yaml';
  const read = async (text: string, code = 0, stderr = '') => {
    fs.writeFileSync(join(root, path), text);
    const read = jest.fn(async () => ({ stdout: 'a: one\n', stderr, code }));
    return new Sops({ read } as any, new Log(join(root, 'log')), root).read(path);
  };
  expect(await read('a: ENC[x]\n')).toEqual({ a: 'one' });
  const oneSide =
    /^secrets\.sops\.yaml must be unchanged since sops wrote it.*never merge it by hand.*git checkout --ours secrets\.s/;
  const marks = read('<<<<<<< HEAD\na: ENC[x]\n=======\na: ENC[y]\n>>>>>>> other\n');
  await expect(marks).rejects.toThrow(oneSide);
  await expect(marks).rejects.toThrow(/conflict of Git \(<<<<<<<\)/);
  await expect(read('a: ENC[x]\na: ENC[y]\n')).rejects.toThrow(oneSide);
  // As sops 3.13 ends: a wrong MAC, and a value that another data key encrypted.
  for (const [code, says] of [
    [51, 'MAC mismatch. File has A, computed B'],
    [25, 'Error decrypting tree: Error walking tree: Could not decrypt value'],
  ] as const) {
    await expect(read('a: ENC[x]\n', code, `${says}\n`)).rejects.toThrow(oneSide);
    await expect(read('a: ENC[x]\n', code, `${says}\n`)).rejects.toThrow(says);
  }
});

test('the plan shows what apply runs, in its order, and no standard input', async () => {
  const ran: string[] = [];
  const commands = {
    change: async (_: unknown, argv: readonly string[]) => void ran.push(argv.join(' ')),
  } as unknown as Commands;
  const proxmox = { name: 'proxmox', ssh: { user: 'root', address: '192.0.2.1' } };
  let isThere = false;
  const wait = async () => {
    ran.push('wait');
    isThere = true;
  };
  const both: Step = {
    title: 'both',
    plan: async () =>
      isThere
        ? undefined
        : {
            lines: ['memory: 1 -> 2'],
            actions: [
              command(commands, proxmox, ['qm', 'set', 'a b'], { stdin: 'hidden' }),
              action('waits for the API', wait),
            ],
          },
  };
  const change = (await both.plan())!;
  expect(shownLines(change)).toEqual(['memory: 1 -> 2', "proxmox: qm set 'a b'", 'waits for the API']);
  expect(await execute({ step: both, change }, quiet)).toBe(true);
  expect(ran).toEqual(['qm set a b', 'wait']);
});
