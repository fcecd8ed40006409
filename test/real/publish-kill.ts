import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { published } from '../../synth/publish';

/**
 * Kills a publishing process at each rename, fsync and removal in turn, and runs a synth that fails: afterwards dist/ must
 * be wholly old or wholly new. Renames are all tried; of the others a sample by the clock, or all with --full.
 */
const full = process.argv.includes('--full');
const deadline = Date.now() + (full ? 3_600_000 : 60_000);
const folder = fs.mkdtempSync(join(tmpdir(), 'publish-kill-'));
const dist = join(folder, 'dist');
const register = resolve('node_modules/ts-node/register');
const module_ = JSON.stringify(resolve('synth/publish.ts'));
const files = (generation: string) =>
  new Map(
    Array.from({ length: 12 }, (_, index): [string, string] => [
      `folder-${index % 3}/file-${index}.yaml`,
      `---\ngeneration: ${generation}\n`,
    ]),
  );
const publisher = join(folder, 'publisher.js');
fs.writeFileSync(
  publisher,
  `require(${JSON.stringify(register)}); const { publish, recover } = require(${module_}); recover(${JSON.stringify(dist)}); publish(${JSON.stringify(dist)}, new Map(${JSON.stringify([...files('new')])}));\n`,
);
const failing = join(folder, 'failing.js');
fs.writeFileSync(
  failing,
  `require(${JSON.stringify(register)}); const { recover } = require(${module_}); recover(${JSON.stringify(dist)}); process.exit(1);\n`,
);

const CALLS: Readonly<Record<string, string>> = {
  rename: 'rename,renameat,renameat2',
  fsync: 'fsync,fdatasync',
  removal: 'unlink,unlinkat,rmdir',
};
let passed = 0;
let failed = 0;

function prepare(): void {
  for (const entry of fs.readdirSync(folder))
    if (entry.startsWith('dist')) fs.rmSync(join(folder, entry), { recursive: true });
  for (const [path, text] of files('old')) {
    fs.mkdirSync(join(dist, path, '..'), { recursive: true });
    fs.writeFileSync(join(dist, path), text);
  }
}

function generationOf(): string {
  const found = published(dist);
  for (const generation of ['old', 'new']) {
    const wanted = files(generation);
    if (wanted.size === found.size && [...wanted].every(([path, text]) => found.get(path) === text)) return generation;
  }
  return `neither: ${found.size} files`;
}

/** How often a whole publication makes a call. */
function count(calls: string): number {
  prepare();
  const trace = join(folder, 'trace');
  spawnSync('strace', ['-f', '-qq', '-e', `trace=${calls}`, '-o', trace, process.execPath, publisher]);
  return fs
    .readFileSync(trace, 'utf8')
    .split('\n')
    .filter((line) => /^\d+ +\w+\(/.test(line)).length;
}

const ends: Record<string, number> = { old: 0, new: 0 };
for (const [name, calls] of Object.entries(CALLS)) {
  const total = count(calls);
  const step = full || name === 'rename' ? 1 : Math.max(1, Math.floor(total / 8));
  let tried = 0;
  for (let when = 1; when <= total && Date.now() < deadline; when += step) {
    prepare();
    const killed = spawnSync('strace', [
      '-f',
      '-qq',
      '-e',
      `trace=${calls}`,
      '-e',
      `inject=${calls}:signal=KILL:when=${when}`,
      '-o',
      '/dev/null',
      process.execPath,
      publisher,
    ]);
    spawnSync(process.execPath, [failing]);
    const generation = generationOf();
    const left = fs.readdirSync(folder).filter((entry) => entry.startsWith('dist.'));
    const good = (generation === 'old' || generation === 'new') && left.length === 0;
    if (good) ends[generation] = (ends[generation] ?? 0) + 1;
    else
      console.log(
        `FAILED: killed at ${name} ${when} (${killed.signal ?? killed.status}): dist/ is ${generation}; beside it: ${left.join(', ') || 'nothing'}`,
      );
    if (good) passed++;
    else failed++;
    tried++;
  }
  console.log(`${name}: killed at ${tried} of ${total}`);
}
console.log(`afterwards dist/ was old ${ends.old} times and new ${ends.new} times`);
// Each thread counts its calls for itself, so a kill may come late or never; one that never comes proves nothing.
if (ends.old === 0 || ends.new === 0) failed++;
fs.rmSync(folder, { recursive: true });
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
