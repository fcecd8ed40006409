import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { MARKER } from '../../synth/plan';
import homelab from '../fixtures/homelab';
import { Repository } from './repository';

const ROOT = resolve(__dirname, '..', '..');
const workflow = parse(fs.readFileSync(join(ROOT, '.github', 'workflows', 'plan.yaml'), 'utf8'));
const steps = (job: string): any[] => workflow.jobs[job].steps;
const script = (job: string): string => steps(job).find(({ name }) => name === job).run;

let repository: Repository;
let bin: string;
const path = (...parts: string[]) => join(repository.root, '.test', ...parts);
const read = (name: string) => (fs.existsSync(path(name)) ? fs.readFileSync(path(name), 'utf8') : '');

/** Runs a step as GitHub does. */
function run(job: string, env: Readonly<Record<string, string>>) {
  return spawnSync('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', script(job)], {
    cwd: repository.root,
    encoding: 'utf8',
    env: {
      PATH: `${bin}:${process.env.PATH}`,
      HOME: process.env.HOME,
      RUNNER_TEMP: path(),
      GITHUB_OUTPUT: path('output'),
      GITHUB_STEP_SUMMARY: path('summary'),
      ...env,
    },
  });
}

function program(name: string, text: string): void {
  fs.writeFileSync(join(bin, name), `#!/bin/bash\n${text}`, { mode: 0o755 });
}

/** The outputs that a step wrote to GITHUB_OUTPUT. */
function outputs(): Record<string, string> {
  const found: Record<string, string> = {};
  const lines = read('output').split('\n');
  for (let at = 0; at < lines.length; at++) {
    const [, name, end] = /^(\w+)<<(.+)$/.exec(lines[at]!) ?? [];
    if (name !== undefined) {
      const last = lines.indexOf(end!, at + 1);
      found[name] = lines.slice(at + 1, last).join('\n');
      at = last;
    } else if (lines[at]!.includes('='))
      found[lines[at]!.split('=')[0]!] = lines[at]!.slice(lines[at]!.indexOf('=') + 1);
  }
  return found;
}

beforeEach(() => {
  repository = new Repository();
  bin = path('bin');
  fs.mkdirSync(bin, { recursive: true });
});
afterEach(() => repository.remove());

/** A fake gh: lists ids of comments, and records what it is told to write. */
function github(ids: string): void {
  program(
    'gh',
    `echo "$*" >> '${path('asked')}'
for word in "$@"; do case $word in body=@*) cat "\${word#body=@}" > '${path('body')}' ;; esac; done
case "$*" in *--paginate*) printf '%s' '${ids}' ;; esac
`,
  );
}
const comment = (more: Readonly<Record<string, string>> = {}) =>
  run('comment', {
    GH_TOKEN: 'token',
    REPOSITORY: 'owner/homelab',
    HEAD_REPOSITORY: 'owner/homelab',
    ACTOR: 'owner',
    NUMBER: '7',
    CODE: '10',
    COMMENT: `${MARKER}\n\`\`\`\n$(touch ${path('ran')}) "quoted" 'single'`,
    ...more,
  });

test('runs no code of a pull request with a write token, and inserts no text of it into a script', () => {
  expect(workflow.permissions).toEqual({});
  expect(workflow.jobs.plan.permissions).toEqual({ contents: 'read' });
  expect(workflow.jobs.comment.permissions).toEqual({ 'pull-requests': 'write' });
  expect(Object.keys(workflow.on)).toEqual(['pull_request']);
  expect(steps('comment')).toHaveLength(1);
  for (const { run: text = '' } of [...steps('plan'), ...steps('comment')]) expect(text).not.toContain('${{');
  for (const { uses } of steps('plan')) if (uses) expect(uses).toMatch(/^actions\/[\w-]+@[0-9a-f]{40}$/);
  expect(script('plan')).toContain(MARKER);
  expect(script('comment')).toContain(`startswith("${MARKER}")`);
});

test('passes on the plan of a real repository with its exit code, and comments it', () => {
  github('');
  for (const room of [
    'charts',
    'own-charts',
    'checks',
    'constructs',
    'imports',
    'inventory',
    'synth',
    'values',
    'node_modules',
  ])
    fs.symlinkSync(fs.realpathSync(join(ROOT, room)), join(repository.root, room));
  // The command reads the homelab.ts beside its own folder, and the files for machines are written into scripts/.
  for (const room of ['cli', 'scripts', 'machines', 'package.json', 'tsconfig.json'])
    fs.cpSync(join(ROOT, room), join(repository.root, room), { recursive: true });
  repository.write('.gitignore', '.test\n');
  const text = fs.readFileSync(join(ROOT, 'test', 'fixtures', 'homelab.ts'), 'utf8');
  const own = text.replace('../../inventory', './inventory');
  repository.write('homelab.ts', own);
  repository.commitHomelab(homelab);
  repository.git('update-ref', 'refs/remotes/origin/main', 'main');
  repository.write(
    'homelab.ts',
    own.replace("replicaSet: 'rs0',\n      members: 3,\n      memory: Size.gibibytes(2)", (all) =>
      all.replace('(2)', '(3)'),
    ),
  );
  const { status, stderr } = run('plan', { BASE: 'main' });
  expect([stderr, status]).toEqual(['', 0]);
  const { code, comment: written } = outputs();
  expect(Number(code)).toBeLessThan(20);
  expect(written!.startsWith(MARKER)).toBe(true);
  expect(written).toContain('StatefulSet mongodb/mongodb');
  expect(read('summary').trimEnd()).toBe(written!.trimEnd());
  expect(comment({ CODE: code!, COMMENT: written! }).status).toBe(0);
  expect(read('body').trimEnd()).toBe(written!.trimEnd());
});

test.each([
  ['0', 0],
  ['10', 0],
  ['15', 0],
  ['20', 1],
  ['30', 1],
  ['1', 1],
  ['2', 1],
  ['', 1],
])('exit code %j of the plan ends the check with %d, after the comment', (code, status) => {
  github('');
  const result = comment({ CODE: code });
  expect(result.status).toBe(status);
  expect(result.stdout.includes('::error::')).toBe(status === 1);
  expect(read('asked')).toContain('--method POST repos/owner/homelab/issues/7/comments');
  expect(read('body')).toBe(`${MARKER}\n\`\`\`\n$(touch ${path('ran')}) "quoted" 'single'\n`);
  expect(fs.existsSync(path('ran'))).toBe(false);
});

test('the comment reports a plan that failed', () => {
  program('npm', 'echo broken >&2; exit 1\n');
  expect(run('plan', { BASE: 'main' }).status).toBe(0);
  const { code, comment: written } = outputs();
  expect(code).toBe('1');
  expect(written).toMatch(/^<!-- collab-homelab plan -->\nThe plan of this commit could not be made \(exit code 1\)/);
});

test('any name of the base branch stays one word', () => {
  program(
    'npm',
    `printf '%s\\n' "$@" > '${path('args')}'; while [ $# -gt 1 ]; do shift; done; echo plan > "$1"; exit 30\n`,
  );
  run('plan', { BASE: '$(touch ran);`x` y' });
  expect(read('args').split('\n')).toContain('origin/$(touch ran);`x` y');
  expect(outputs()).toEqual({ code: '30', comment: 'plan' });
});

test('updates the existing comment, the first of several', () => {
  github('11\n12\n');
  expect(comment().status).toBe(0);
  expect(read('asked').trim().split('\n').at(-1)).toMatch(
    /--method PATCH repos\/owner\/homelab\/issues\/comments\/11 -F body=@/,
  );
});

test.each([
  ['a fork', { HEAD_REPOSITORY: 'somebody/homelab' }],
  ['a fork that is gone', { HEAD_REPOSITORY: '' }],
  ['Dependabot', { ACTOR: 'dependabot[bot]' }],
])('of %s the job summary says why there is no comment, and the check is what the plan says', (_, env) => {
  github('');
  expect(comment(env).status).toBe(0);
  expect(comment({ ...env, CODE: '30' }).status).toBe(1);
  expect(read('asked')).toBe('');
  expect(read('summary')).toContain('no token that can write a comment');
});

test('the job fails if GitHub rejects the comment', () => {
  program('gh', 'echo "HTTP 500" >&2; exit 1\n');
  expect(comment().status).toBe(1);
});
