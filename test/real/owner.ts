import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join, relative } from 'node:path';
import { Tally } from './tally';
import { Workspace } from './workspace';

/**
 * Whether the unit tests are about the library and not about the owner's homelab: after each edit that an owner makes, only the
 * snapshot that is there to be reviewed differs, and without homelab.ts and all that follows from it every other test passes.
 */
const workspace = new Workspace();
const tally = new Tally();
const at = (file: string) => join(workspace.path, file);
const shipped = fs.readFileSync(at('homelab.ts'), 'utf8');

/** The one test of homelab.ts itself. */
const REVIEWED = 'the budget of this homelab: every container on every node, and what is free';

/** From homelab.ts as it is shipped to an owner's: each pair is replaced wherever it stands. */
const EDITS: Readonly<Record<string, readonly (readonly [from: string | RegExp, to: string])[]>> = {
  // What docs/bootstrap.md asks for.
  'own key, repository, network and domain': [
    [/ssh-ed25519 [^']+/, 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEf owner@mac'],
    ['https://github.com/owner/collab-homelab.git', 'git@github.com:someone/homelab.git'],
    ['192.168.1.', '192.168.178.'],
    ['collab.home.arpa', 'lab.example.org'],
  ],
  'another name': [["name: 'collab'", "name: 'ours'"]],
  'another host': [
    ['proxmox: {', 'nuc: {'],
    ['GMKtec K8 Plus', 'another computer'],
    ['Size.gibibytes(96)', 'Size.gibibytes(128)'],
    ['reserve: Size.gibibytes(8)', 'reserve: Size.gibibytes(12)'],
    ['Size.gibibytes(1862)', 'Size.gibibytes(3726)'],
    ["storage: 'local-lvm'", "storage: 'tank'"],
  ],
  'other machines': [
    ['talos-worker-0', 'node-'],
    ['vmid: 2', 'vmid: 7'],
    ['02:00:00:00:02:', '02:00:00:00:07:'],
    ['memory: Size.gibibytes(22)', 'memory: Size.gibibytes(23)'],
  ],
  'other versions': [['v1.36.3', 'v1.35.3']],
  'a renamed service': [
    [/\bchat: \{ connects/, 'talk: { connects'],
    ["{ service: 'chat' }", "{ service: 'talk' }"],
  ],
  'a retired database': [
    ["kind: 'cassandra',", "kind: 'cassandra', state: 'retired',"],
    [/\{ cassandra: 'cassandra', keyspace: '\w+' \},?/, ''],
  ],
  'another model': [
    ['qwen2.5:14b-instruct-q4_K_M', 'llama3.1:8b'],
    ['context: 16384', 'context: 8192'],
  ],
};

/** All edits with --full; in the sample those that docs/bootstrap.md asks for, and one that removes objects. */
const full = process.argv.includes('--full');
const SAMPLE = ['own key, repository, network and domain', 'a retired database'];

/** Parts of the run of all tests. The sample takes one, another one each day. */
const PARTS = 3;

/** What the bootstrap keeps in an owner's repository. */
const KEPT = ['.sops.yaml', 'secrets.sops.yaml', 'ca.crt', 'scripts/digests.json'];

/** Tests that reach homelab.ts by their imports. Those that would read files of it are found by the last run, which is of all tests. */
const RELATED = ['--roots=.', '--findRelatedTests', 'homelab.ts'];

/** Which tests failed there, by their full names; a file that does not load counts as one. */
function jest(...args: string[]): { passed: number; failed: string[]; said: string } {
  const result = at('.jest.json');
  fs.rmSync(result, { force: true });
  const { stderr } = spawnSync(
    process.execPath,
    [
      at('node_modules/jest/bin/jest.js'),
      '--ci',
      '--cacheDirectory=.jest',
      '--json',
      `--outputFile=${result}`,
      ...args,
    ],
    { cwd: workspace.path, encoding: 'utf8', timeout: 400_000, maxBuffer: 64 * 1024 ** 2 },
  );
  if (!fs.existsSync(result)) return { passed: 0, failed: ['jest does not come to its end'], said: stderr };
  const { numPassedTests, testResults } = JSON.parse(fs.readFileSync(result, 'utf8'));
  const failed = testResults.flatMap(({ name, status, assertionResults }: any) => {
    const tests = assertionResults.filter((each: any) => each.status === 'failed').map((each: any) => each.fullName);
    return tests.length > 0 || status === 'passed' ? tests : [relative(fs.realpathSync(workspace.path), name)];
  });
  return { passed: numPassedTests, failed, said: stderr };
}

function edited(pairs: (typeof EDITS)[string]): string {
  return pairs.reduce((text, [from, to]) => {
    const next = text.replaceAll(typeof from === 'string' ? from : new RegExp(from, 'g'), to);
    if (next === text) throw new Error(`homelab.ts does not hold ${String(from)}`);
    return next;
  }, shipped);
}

/** Writes homelab.ts, and all that an owner would commit with it. */
function write(what: string, text: string): void {
  fs.writeFileSync(at('homelab.ts'), text);
  const { status, stderr } = spawnSync('npm', ['run', '--silent', 'synth'], {
    cwd: workspace.path,
    encoding: 'utf8',
    timeout: 60_000,
  });
  tally.check(`${what}: is a homelab`, status === 0, stderr);
}

function failsOnly(what: string, allowed: string, least: number, args: readonly string[]): void {
  const { passed, failed, said } = jest(...args);
  const others = failed.filter((name) => name !== allowed);
  tally.check(
    `${what}: at least ${least} tests run, and none fails but ${allowed}`,
    passed + failed.length >= least && others.length === 0,
    `${passed} pass, these fail:\n${others.join('\n')}\n${said}`,
  );
  console.log(`${what}: ${passed} pass, ${failed.length} fail`);
}

try {
  for (const [what, pairs] of Object.entries(EDITS)) {
    if (!full && !SAMPLE.includes(what)) continue;
    write(what, edited(pairs));
    failsOnly(what, REVIEWED, 1, RELATED);
  }
  const smallest = fs.readFileSync('examples/smallest/homelab.ts', 'utf8').replace('../../inventory', './inventory');
  write('the smallest example', smallest);
  failsOnly('the smallest example', REVIEWED, 1, RELATED);

  for (const gone of ['dist', 'scripts/rendered']) fs.rmSync(at(gone), { recursive: true });
  for (const kept of KEPT) fs.writeFileSync(at(kept), 'what the bootstrap has made: of an owner\n');
  fs.writeFileSync(at('homelab.ts'), "throw new Error('a test reads homelab.ts');\n");
  const part = 1 + (Math.floor(Date.now() / 86_400_000) % PARTS);
  const what = `without homelab.ts, dist/ and scripts/rendered/${full ? '' : `, part ${part} of ${PARTS}`}`;
  failsOnly(what, 'test/cli/budget.test.ts', full ? 2000 : 400, full ? [] : [`--shard=${part}/${PARTS}`]);
} finally {
  workspace.remove();
}
tally.close();
