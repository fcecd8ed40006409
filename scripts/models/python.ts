import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../clients/context';
import { LOCALHOST, type Output } from '../engine/commands';
import { Blocked, isFault } from '../engine/problem';
import { PYTHON_FOLDER, SCRIPTS, WORK } from './folders';

/** Minor versions of Python 3 that mlx-lm 0.32 supports and MLX 0.32 has wheels for. */
const MINORS = [14, 13, 12, 11] as const;

/** Time to install about 40 wheels (250 MB on Linux) at 8 Mbit/s. */
const INSTALL_SECONDS = 1800;

const REQUIREMENTS = join(SCRIPTS, 'requirements.txt');
/** Written last: the digest of the requirements that are installed in this folder. */
const STAMP = '.made-of';

export interface Python {
  readonly program: string;
  readonly version: string;
}

export const INSTALL_PYTHON = 'brew install python@3.13';

/** The newest Python on this machine that MLX supports, or undefined. */
export async function systemPython({ commands }: Pick<Context, 'commands'>): Promise<Python | undefined> {
  for (const program of [...MINORS.map((minor) => `python3.${minor}`), 'python3']) {
    const output = await commands
      .read(LOCALHOST, [program, '-c', 'import platform, venv; print(platform.python_version())'])
      .catch((error: unknown) => {
        if (!isFault(error)) throw error;
        return undefined;
      });
    const version = /^3\.(\d+)\.\d+/.exec(output?.stdout ?? '');
    if (version !== null && MINORS.some((minor) => minor === Number(version[1])))
      return { program, version: version[0] };
  }
  return undefined;
}

/** Makes the virtual environment with MLX, unless it has these requirements already. @returns path of its Python */
export async function environment(context: Pick<Context, 'commands'>): Promise<string> {
  const python = join(PYTHON_FOLDER, 'bin', 'python');
  if (isMade()) {
    // Its Python stops working when another minor version replaces the system's Python.
    const runs = await context.commands
      .read(LOCALHOST, [python, '-c', 'import mlx.core, mlx_lm'], { seconds: 120 })
      .then(
        () => true,
        (error: unknown) => {
          if (!isFault(error)) throw error;
          return false;
        },
      );
    if (runs) return python;
  }
  await install(context);
  return python;
}

function digest(): string {
  return createHash('sha256').update(fs.readFileSync(REQUIREMENTS)).digest('hex');
}

function isMade(): boolean {
  const stamp = join(PYTHON_FOLDER, STAMP);
  return fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8').trim() === digest();
}

/** Installs into another folder and renames it. A killed installation leaves the old environment, or none. */
async function install({ commands }: Pick<Context, 'commands'>): Promise<void> {
  const found = await systemPython({ commands });
  if (found === undefined)
    throw new Blocked(
      `MLX needs Python 3.${MINORS.at(-1)} to 3.${MINORS[0]}, but this machine has none of them. Install one:\n  ${INSTALL_PYTHON}`,
    );
  const next = `${PYTHON_FOLDER}.next`;
  fs.rmSync(next, { recursive: true, force: true });
  fs.mkdirSync(WORK, { recursive: true });
  console.error(
    `installs MLX with Python ${found.version} into .homelab/models/python (only once; takes a few minutes)`,
  );
  await commands.change(LOCALHOST, [found.program, '-m', 'venv', next], { seconds: 120 });
  await commands.change(
    LOCALHOST,
    [join(next, 'bin', 'python'), '-m', 'pip', 'install', ...PIP_OPTIONS, '-r', REQUIREMENTS],
    { seconds: INSTALL_SECONDS, waitsFor: 'pip install' },
  );
  fs.writeFileSync(join(next, STAMP), `${digest()}\n`, { flush: true });
  fs.rmSync(PYTHON_FOLDER, { recursive: true, force: true });
  fs.renameSync(next, PYTHON_FOLDER);
}

const PIP_OPTIONS = ['--quiet', '--disable-pip-version-check', '--require-hashes', '--only-binary', ':all:'];

/** Runs one of our scripts with the environment's Python. The script reads its input as JSON. */
export async function runPython(
  { commands }: Pick<Context, 'commands'>,
  python: string,
  script: string,
  input: unknown,
  seconds: number,
  stopSeconds?: number,
): Promise<Output> {
  return commands.change(LOCALHOST, [python, join(SCRIPTS, script)], {
    seconds,
    ...(stopSeconds !== undefined && { stopSeconds }),
    waitsFor: script,
    stdin: JSON.stringify(input),
    env: { PYTHONDONTWRITEBYTECODE: '1', PYTHONUTF8: '1', TOKENIZERS_PARALLELISM: 'false' },
  });
}
