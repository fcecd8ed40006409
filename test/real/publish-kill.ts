import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { Laps, writeProofs } from './proofs';
import { Tally } from './tally';
import { sameFiles, Workspace } from './workspace';

/**
 * Kills `cdk8s synth` with a changed homelab.ts, the whole process group, at each rename, fsync and removal in turn; then a
 * command runs that publishes nothing itself. Afterwards dist/ must be wholly old or wholly new, with nothing beside it.
 * All renames are tried; of the others as many as the clock allows, spread evenly, or all with --full.
 */
const full = process.argv.includes('--full');
const deadline = Date.now() + (full ? 3_600_000 : 45_000);
const workspace = new Workspace();
const tally = new Tally();
const APP = 'node -r ts-node/register main.ts';
const cwd = workspace.path;

/**
 * strace counts the calls of each thread for itself. Node syncs files in its pool, here of one thread, and does everything
 * else in its first thread, which is the only one that strace sees unless it follows.
 */
const KINDS = [
  { name: 'rename', calls: 'rename,renameat,renameat2', follow: [] },
  { name: 'fsync of a folder', calls: 'fsync,fdatasync', follow: [] },
  { name: 'removal', calls: 'unlink,unlinkat,rmdir', follow: [] },
  { name: 'fsync of a file', calls: 'fsync,fdatasync', follow: ['-f'] },
] as const;

const strace = (calls: string, follow: readonly string[], more: readonly string[]) =>
  ['env', 'UV_THREADPOOL_SIZE=1', 'strace', '-qq', ...follow, '-e', `trace=${calls}`, ...more, APP].join(' ');

/** A whole synth by the CLI. A group of its own, so that the app's command can kill it all. */
function synth(app: string): void {
  const command = `${process.execPath} node_modules/cdk8s-cli/bin/cdk8s synth --check-upgrade=false --app '${app}'`;
  spawnSync('setsid', ['--wait', 'sh', '-c', command], { cwd, stdio: 'ignore', timeout: 60_000 });
}

/** How many calls of a kind one publication makes in one thread. */
function count({ calls, follow }: (typeof KINDS)[number]): number {
  workspace.restore(old);
  const trace = join(cwd, '.trace');
  synth(strace(calls, follow, ['-o', trace]));
  const threads = new Map<string, number>();
  for (const line of fs.readFileSync(trace, 'utf8').split('\n')) {
    const call = /^(?:(\d+) +)?\w+\(/.exec(line);
    if (call) threads.set(call[1] ?? '', (threads.get(call[1] ?? '') ?? 0) + 1);
  }
  return Math.max(0, ...threads.values());
}

const old = workspace.dist();
const edit = () => workspace.edit("name: 'collab',", "name: 'renamed',");
edit();
synth(APP);
const new_ = workspace.dist();
tally.check('a changed homelab.ts changes dist/', !sameFiles(old, new_));
const ends = { old: 0, new: 0 };
const laps = new Laps();
try {
  for (const [index, kind] of KINDS.entries()) {
    edit();
    const total = count(kind);
    const left = (deadline - Date.now()) / (KINDS.length - index);
    const begin = Date.now();
    // A first and a last one always; the step follows from how long one takes.
    let step = 1;
    let tried = 0;
    for (let when = 1; when <= total; when = when === total ? total + 1 : Math.min(when + step, total)) {
      if (tried > 0 && when !== total && Date.now() > begin + left) continue;
      edit();
      workspace.restore(old);
      const inject = ['-o', '/dev/null', '-e', `inject=${kind.calls}:signal=KILL:when=${when}`];
      synth(`${strace(kind.calls, kind.follow, inject)}; kill -KILL 0`);
      fs.writeFileSync(join(cwd, 'homelab.ts'), "throw new Error('the next command publishes nothing');\n");
      spawnSync('sh', ['-c', APP], { cwd, stdio: 'ignore', timeout: 60_000 });
      const found = workspace.dist();
      const end = sameFiles(found, old) ? 'old' : sameFiles(found, new_) ? 'new' : undefined;
      const beside = fs.readdirSync(cwd).filter((entry) => entry.startsWith('dist.'));
      tally.check(
        `killed at ${kind.name} ${when}`,
        end !== undefined && beside.length === 0,
        `dist/ is ${end ?? 'neither'}`,
      );
      if (end) ends[end]++;
      tried++;
      if (!full && kind.name !== 'rename')
        step = Math.max(1, Math.ceil(((total - when) * ((Date.now() - begin) / tried)) / left));
    }
    laps.lap(`killed at ${kind.name}: ${tried} of ${total}`);
    tally.check(`there is a ${kind.name} to be killed at`, tried > 0);
  }
} finally {
  workspace.remove();
}
laps.lap(`afterwards dist/ was old ${ends.old} times and new ${ends.new} times`);
tally.check('some kills came before the swap and some after', ends.old > 0 && ends.new > 0);
tally.close();
if (full && tally.good) writeProofs('publish', [...laps.lines, tally.line()]);
