import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { built, builtFromSource, CACHE } from '../modules';

const MODULES = resolve(__dirname, 'go');
const REQUIREMENTS = resolve('scripts', 'models', 'python', 'requirements.txt');

/** The newest Ollama that builds as a Go module. The modules of 0.10 and later lack C++ files. */
export const OLLAMA_BUILT = '0.9.6';

/** Ollama with llama.cpp for the CPU. A build without cache takes two minutes. */
export function ollamaBinary(): string {
  const module = 'github.com/ollama/ollama';
  const version = ['-X', `${module}/version.Version=${OLLAMA_BUILT}`];
  return built(join(MODULES, 'ollama'), module, module, 'ollama', version, { CGO_ENABLED: '1' });
}

/**
 * An independent estimator of memory: a small program around gguf-parser-go. Its arguments are in go/gguf-parser/main.go;
 * it reads only the header of a GGUF file and prints { metadata, architecture, estimate }.
 */
export function ggufParser(): string {
  return builtFromSource(join(MODULES, 'gguf-parser'), 'gguf-parser');
}

/**
 * The folder of a virtual environment with the packages of scripts/models/python/requirements.txt, as `npm run models` makes one.
 * There is one for each content of that file. `npm run models` accepts a link `.homelab/models/python` to it.
 */
export function mlxPython(): string {
  const digest = createHash('sha256').update(fs.readFileSync(REQUIREMENTS)).digest('hex');
  const folder = join(CACHE, 'mlx', digest.slice(0, 12));
  // Written last, like `npm run models` does. A virtual environment contains its own path, so it cannot be moved.
  const stamp = join(folder, '.made-of');
  if (fs.existsSync(stamp)) return folder;
  const begin = Date.now();
  console.log(`installing mlx and mlx-lm (once; into ${folder})`);
  fs.rmSync(folder, { recursive: true, force: true });
  run('python3', ['-m', 'venv', folder]);
  run(join(folder, 'bin', 'python'), [
    ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--require-hashes', '--only-binary', ':all:'],
    ...['-r', REQUIREMENTS],
  ]);
  fs.writeFileSync(stamp, `${digest}\n`);
  console.log(`installed in ${Math.round((Date.now() - begin) / 1000)} s`);
  return folder;
}

function run(program: string, args: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'], timeout: 900_000 });
}

/** Folder of node_modules with the official client libraries of both APIs, of the versions in clients/package-lock.json. */
export function clientLibraries(): string {
  const source = resolve(__dirname, 'clients');
  const lock = fs.readFileSync(join(source, 'package-lock.json'));
  const folder = join(CACHE, 'llm-clients', createHash('sha256').update(lock).digest('hex').slice(0, 12));
  if (!fs.existsSync(folder)) {
    const part = `${folder}.${process.pid}`;
    fs.mkdirSync(part, { recursive: true });
    for (const file of ['package.json', 'package-lock.json']) fs.copyFileSync(join(source, file), join(part, file));
    run('npm', ['ci', '--prefix', part, '--no-audit', '--no-fund', '--ignore-scripts', '--silent']);
    fs.renameSync(part, folder);
  }
  return join(folder, 'node_modules');
}
