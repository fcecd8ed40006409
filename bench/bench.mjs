import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * How long a synth takes, as ratios to what it cannot do without, measured in the same run: medians of cold processes, the
 * commands in turn, so that a machine that gets slower slows them all.
 *
 *   A  node loads cdk8s-plus-28
 *   B  node loads it by ts-node with swc
 *   C  the cdk8s CLI runs an app that only makes its output folder
 */
const runs = Number(process.argv[2] ?? 9);
const node = process.execPath;
const root = fs.mkdtempSync(join(tmpdir(), 'bench-'));
const modules = resolve('node_modules');

for (const file of execFileSync('git', ['ls-files', '-co', '--exclude-standard']).toString().trim().split('\n')) {
  if (!fs.existsSync(file)) continue;
  fs.mkdirSync(join(root, file, '..'), { recursive: true });
  fs.copyFileSync(file, join(root, file));
}
fs.symlinkSync(modules, join(root, 'node_modules'));
// The figures are of one homelab, whatever the owner's is.
fs.writeFileSync(
  join(root, 'homelab.ts'),
  fs.readFileSync('test/fixtures/homelab.ts', 'utf8').replace('../../inventory', './inventory'),
);
execFileSync(node, [join(modules, 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json'], { cwd: root });
fs.cpSync(join(root, 'constructs', 'files'), join(root, 'lib', 'constructs', 'files'), { recursive: true });

const synthesis = (checks) =>
  `main(async () => { const homelab = (await import('./homelab')).default; return { homelab, app: homelabApp(homelab), checks: ${checks} }; });\n`;
fs.writeFileSync(join(root, 'load.ts'), "import 'cdk8s-plus-28';\n");
fs.writeFileSync(
  join(root, 'unchecked.ts'),
  `import { homelabApp } from './charts';\nimport { main } from './synth';\n${synthesis('[]')}`,
);
// The compiled package, with an inventory compiled as its user would.
const swc = await import('@swc/core');
const { code } = swc.transformFileSync(join(root, 'homelab.ts'), {
  jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
  module: { type: 'commonjs' },
});
fs.writeFileSync(join(root, 'lib', 'homelab.js'), code);
fs.writeFileSync(
  join(root, 'lib', 'unchecked.js'),
  `const { homelabApp } = require('./charts');\nconst { main } = require('./synth');\nmain(async () => { const homelab = require('./homelab').default; return { homelab, app: homelabApp(homelab), checks: [] }; });\n`,
);

const cli = [join(modules, 'cdk8s-cli', 'bin', 'cdk8s'), 'synth', '--check-upgrade=false'];
const app = ['-r', 'ts-node/register'];
const commands = {
  A: [node, '-e', "require('cdk8s-plus-28')"],
  B: [node, ...app, 'load.ts'],
  C: [node, ...cli, '--output', 'empty', '--app', 'node -e "fs.mkdirSync(process.env.CDK8S_OUTDIR)"'],
  'ts-node, one value changed': [node, ...app, 'unchecked.ts'],
  'ts-node, everything new': [node, ...app, 'unchecked.ts'],
  'ts-node, with checks': [node, ...app, 'main.ts'],
  'ts-node, with checks and guard': [node, ...app, 'main.ts'],
  plan: [node, ...app, join('cli', 'main.ts'), 'plan'],
  'compiled, one value changed': [node, join('lib', 'unchecked.js')],
  'compiled, everything new': [node, join('lib', 'unchecked.js')],
  'cdk8s synth': [node, ...cli, '--app', 'node -r ts-node/register unchecked.ts'],
};
const seconds = Object.fromEntries(Object.keys(commands).map((name) => [name, []]));
const peaks = Object.fromEntries(Object.keys(commands).map((name) => [name, []]));
const hasTime = spawnSync('/usr/bin/time', ['-f', '%M', 'true']).status === 0;

/** Commits dist/ with one value that is another now, so that the guard and the plan have something to judge. */
function commitOther() {
  const git = (...args) =>
    execFileSync('git', ['-c', 'user.name=b', '-c', 'user.email=b@b', '-c', 'commit.gpgsign=false', ...args], {
      cwd: root,
    });
  execFileSync(node, [...app, 'main.ts'], { cwd: root, stdio: 'ignore' });
  const file = join(root, 'dist', 'services', 'deployment.chat.yaml');
  fs.writeFileSync(
    file,
    fs.readFileSync(file, 'utf8').replace(/image: .*/, 'image: ghcr.io/stefanprodan/podinfo:6.13.0'),
  );
  git('init', '-q');
  git('add', 'dist', 'scripts/rendered');
  git('commit', '-qm', 'before');
  fs.renameSync(join(root, '.git'), join(root, '.git-away'));
}

/** dist/ as it was before one value changed, or none at all; in a Git repository where the command reads one. */
function prepare(name) {
  const [from, to] = /guard|plan/.test(name) ? ['.git-away', '.git'] : ['.git', '.git-away'];
  if (fs.existsSync(join(root, from))) fs.renameSync(join(root, from), join(root, to));
  const dist = join(root, 'dist');
  if (/everything new/.test(name)) return fs.rmSync(dist, { recursive: true, force: true });
  const file = join(dist, 'services', 'deployment.chat.yaml');
  if (fs.existsSync(file))
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(/replicas: \d+/, 'replicas: 9'));
}

commitOther();
for (let run = 0; run <= runs; run++) {
  for (const [name, [program, ...args]] of Object.entries(commands)) {
    prepare(name);
    const measured = hasTime ? ['/usr/bin/time', ['-f', 'peak %M', program, ...args]] : [program, args];
    const begin = process.hrtime.bigint();
    const { status, stderr } = spawnSync(...measured, { cwd: root, encoding: 'utf8' });
    const took = Number(process.hrtime.bigint() - begin) / 1e9;
    // A plan tells by its code what it found.
    if (status !== 0 && !(name === 'plan' && status >= 10)) throw new Error(`${name} failed:\n${stderr}`);
    // The first run of each fills the caches of the file system and does not count.
    if (run === 0) continue;
    seconds[name].push(took);
    peaks[name].push(Number(/peak (\d+)/.exec(stderr)?.[1] ?? 0) / 1024);
  }
}
const deployment = fs.readFileSync(join(root, 'dist', 'services', 'deployment.chat.yaml'), 'utf8');
fs.rmSync(root, { recursive: true });

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const t = Object.fromEntries(Object.entries(seconds).map(([name, values]) => [name, median(values)]));
const ratio = (value, unit, goal) => `${(t[value] / t[unit]).toFixed(2)} ${unit}, goal ${goal} ${unit}`;
const verdicts = {
  'ts-node, one value changed': ratio('ts-node, one value changed', 'B', 1.6),
  'ts-node, everything new': ratio('ts-node, everything new', 'B', 1.6),
  'ts-node, with checks': `${Math.round((t['ts-node, with checks'] - t['ts-node, one value changed']) * 1000)} ms more than without, goal 150`,
  'ts-node, with checks and guard': `${Math.round((t['ts-node, with checks and guard'] - t['ts-node, with checks']) * 1000)} ms more than outside Git, limit 150`,
  plan: `${(t.plan / t['ts-node, with checks']).toFixed(2)} times a synth with checks, limit 1.5`,
  'compiled, one value changed': ratio('compiled, one value changed', 'A', 1.6),
  'compiled, everything new': ratio('compiled, everything new', 'A', 1.6),
  'cdk8s synth': `C + ${((t['cdk8s synth'] - t.C) / t.B).toFixed(2)} B, goal C + 1.6 B`,
};
const rows = Object.keys(commands).map((name) => [
  name,
  `${Math.round(t[name] * 1000)}`,
  hasTime ? `${Math.round(median(peaks[name]))}` : '-',
  verdicts[name] ?? '',
]);

// The printer against JSON.stringify, in one warm process: 10,000 objects as they are rendered.
const { createRequire } = await import('node:module');
const require = createRequire(import.meta.url);
require('ts-node/register');
const { printYaml } = require('../synth');
const { parse } = require('yaml');
const chat = parse(deployment);
const objects = Array.from({ length: 10_000 }, (_, index) => ({
  ...chat,
  metadata: { ...chat.metadata, name: `chat-${index}` },
}));
const time = (print) => {
  const begin = process.hrtime.bigint();
  for (const object of objects) print(object);
  return Number(process.hrtime.bigint() - begin) / 1e9;
};
const printed = { yaml: [], json: [] };
for (let run = 0; run < 5; run++) {
  printed.yaml.push(time(printYaml));
  printed.json.push(time((object) => JSON.stringify(object, null, 2)));
}
const [yaml, json] = [median(printed.yaml), median(printed.json)];
rows.push([
  'printer, 10,000 objects',
  `${Math.round(yaml * 1000)}`,
  '-',
  `${(yaml / json).toFixed(2)} times JSON.stringify (${Math.round(json * 1000)} ms), goal 3`,
]);

// A plan of 10,000 objects that all change, in one warm process.
const { planStep } = require('../checks/step');
const { terminal, markdown } = require('../synth/plan');
const large = (image) => {
  const changed = JSON.parse(JSON.stringify(chat));
  changed.spec.template.spec.containers[0].image = image;
  return Array.from({ length: 10_000 }, (_, index) => ({
    folder: 'services',
    file: `services/deployment.chat-${index}.yaml`,
    object: { ...changed, metadata: { ...changed.metadata, name: `chat-${index}` } },
  }));
};
const step = {
  before: { objects: large('podinfo:1'), secrets: [] },
  after: { objects: large('podinfo:2'), secrets: [] },
};
const planned = [];
for (let run = 0; run < 3; run++) {
  const begin = process.hrtime.bigint();
  const found = planStep(step, 'HEAD');
  terminal(found);
  markdown(found);
  planned.push(Number(process.hrtime.bigint() - begin) / 1e9);
}
rows.push(['plan of 10,000 objects', `${Math.round(median(planned) * 1000)}`, '-', 'all of them change, limit 10000']);

console.log(
  `Medians of ${runs} cold processes, Node ${process.version}, ${fs.readFileSync('/proc/cpuinfo', 'utf8').match(/^processor/gm)?.length ?? '?'} processors\n`,
);
console.log('| command | ms | peak MiB | |\n| --- | --- | --- | --- |');
for (const row of rows) console.log(`| ${row.join(' | ')} |`);
