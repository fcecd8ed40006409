import { spawnSync } from 'node:child_process';

/**
 * `npm run test:real [-- SUITE ...] [--full]`: what is checked against real parts. Each suite is a program that closes with
 * "N passed, N failed"; by default it runs a sample that ends by its own clock.
 */
const SUITES: Readonly<Record<string, readonly string[]>> = {
  yaml: [process.execPath, '-r', 'ts-node/register', 'test/real/yaml-readers.ts'],
  schemas: ['python3', 'test/real/schemas.py'],
  synth: [process.execPath, '-r', 'ts-node/register', 'test/real/synth-cli.ts'],
  publish: [process.execPath, '-r', 'ts-node/register', 'test/real/publish-kill.ts'],
  package: [process.execPath, '-r', 'ts-node/register', 'test/real/package.ts'],
  build: [process.execPath, '-r', 'ts-node/register', 'test/real/build.ts'],
  owner: [process.execPath, '-r', 'ts-node/register', 'test/real/owner.ts'],
  cluster: [process.execPath, '-r', 'ts-node/register', 'test/real/cluster/index.ts'],
  change: [process.execPath, '-r', 'ts-node/register', 'test/real/change/index.ts'],
  rendered: [process.execPath, '-r', 'ts-node/register', 'test/real/rendered.ts'],
  simulation: [process.execPath, '-r', 'ts-node/register', 'test/real/bootstrap/simulator/check.ts'],
  bootstrap: [process.execPath, '-r', 'ts-node/register', 'test/real/bootstrap/index.ts'],
  gitops: [process.execPath, '-r', 'ts-node/register', 'test/real/gitops/index.ts'],
  steps: [process.execPath, '-r', 'ts-node/register', 'test/real/change/carried-out.ts'],
  databases: [process.execPath, '-r', 'ts-node/register', 'test/real/databases/index.ts'],
  namespaces: [process.execPath, '-r', 'ts-node/register', 'test/real/bootstrap/namespaces.ts'],
  services: [process.execPath, '-r', 'ts-node/register', 'test/real/services/index.ts'],
  models: [process.execPath, '-r', 'ts-node/register', 'test/real/models/index.ts'],
};

const args = process.argv.slice(2);
const first = args.findIndex((arg) => arg.startsWith('--'));
const names = first < 0 ? args : args.slice(0, first);
const options = first < 0 ? [] : args.slice(first);
const unknown = names.filter((name) => !(name in SUITES));
if (unknown.length > 0) {
  console.error(`no suite ${unknown.join(', ')} (allowed: ${Object.keys(SUITES).join(', ')})`);
  process.exit(2);
}
let passed = 0;
let failed = 0;
for (const name of names.length > 0 ? names : Object.keys(SUITES)) {
  const [program, ...rest] = SUITES[name]! as [string, ...string[]];
  const begin = Date.now();
  console.log(`== ${name}`);
  const { status } = spawnSync(program, [...rest, ...options], { stdio: 'inherit' });
  console.log(`${status === 0 ? 'ok' : 'FAILED'}: ${name} (${Math.round((Date.now() - begin) / 1000)} s)`);
  if (status === 0) passed++;
  else failed++;
}
console.log(`suites: ${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
