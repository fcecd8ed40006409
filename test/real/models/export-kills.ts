import * as fs from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { ExportRecord } from '../../../scripts/models/export-record';
import { mlxPython } from './binaries';
import type { Mac } from './mac';
import type { TestOllama } from './ollama';
import type { ModelSuite } from './suite';

/** A call of the export: the part of its command line that finds it, and which of them it is. */
interface Kill {
  readonly what: string;
  readonly call: string;
  readonly nth?: number;
  readonly how: 'before' | 'during' | 'half' | 'after';
}

const KILLS: readonly Kill[] = [
  { what: 'before it fuses', call: 'fuse.py', how: 'before' },
  { what: 'while it fuses', call: 'fuse.py', how: 'during' },
  { what: 'after it fused', call: 'fuse.py', how: 'after' },
  { what: 'after it compared the weights', call: 'effect.py', how: 'after' },
  { what: 'between the answers of base and fused model', call: 'greedy.py', nth: 2, how: 'after' },
  { what: 'before the first upload', call: '-X POST .*/api/blobs', how: 'before' },
  { what: 'in the middle of the upload of the weights', call: '-X POST .*/api/blobs', nth: 4, how: 'half' },
  { what: 'after an upload', call: '-X POST .*/api/blobs', nth: 3, how: 'after' },
  { what: 'while Ollama converts', call: '/api/create', how: 'during' },
  { what: 'after Ollama converted', call: '/api/create', how: 'after' },
  { what: 'after Ollama answered in f16', call: '/api/generate', how: 'after' },
  { what: 'while Ollama quantizes', call: '/api/create', nth: 2, how: 'during' },
  { what: 'after Ollama quantized', call: '/api/create', nth: 2, how: 'after' },
  { what: 'before it tidies up', call: 'DELETE', how: 'before' },
  { what: 'after it tidied up', call: 'DELETE', how: 'after' },
];
const SAMPLE = ['while Ollama converts', 'before it tidies up'];

/** Kills `export` at its steps. The next run makes the same bytes as the export before, and leaves nothing else behind. */
export async function exportKilled({ tally, laps, full }: ModelSuite, mac: Mac, own: TestOllama): Promise<void> {
  const fault = injectInto(mac);
  const before = recordOf(mac)!;
  const wanted = told(before);
  for (const { what, call, nth = 1, how } of full ? KILLS : KILLS.filter((kill) => SAMPLE.includes(kill.what))) {
    await forget(mac, own);
    fs.writeFileSync(fault, `${nth} ${how} ${call}\n`);
    const killed = await mac.run('export', 'writer');
    const isKilled = killed.code === -1 && !fs.existsSync(fault);
    fs.rmSync(fault, { force: true });
    tally.check(`export killed ${what}`, isKilled, `${killed.code}\n${killed.stdout}${killed.stderr}`);
    const next = await mac.run('export', 'writer');
    const record = recordOf(mac);
    tally.check(
      `export killed ${what}: the next run makes the same bytes`,
      next.code === 0 && record !== undefined && told(record) === wanted,
      `${next.code}\n${next.stdout}${next.stderr}\n${record && told(record)}\n${wanted}`,
    );
    const names = [...(await own.digests()).keys()];
    const fused = fs.existsSync(join(exportOf(mac), 'fused'));
    tally.check(
      `export killed ${what}: only the version is left`,
      names.join() === 'writer:v1' && !fused,
      `${names.join()} ${fused ? 'and the fused model' : ''}`,
    );
    laps.lap(`export killed ${what}`);
  }
}

const exportOf = (mac: Mac) => join(mac.path, '.homelab/models/writer/export');

function recordOf(mac: Mac): ExportRecord | undefined {
  const file = join(exportOf(mac), 'export.json');
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : undefined;
}

function told({ version, blobs, wording, checks }: ExportRecord): string {
  return JSON.stringify({ version, digests: blobs.map(({ digest }) => digest), wording, checks });
}

/** The Mac before its first export. */
async function forget(mac: Mac, own: TestOllama): Promise<void> {
  fs.rmSync(exportOf(mac), { recursive: true, force: true });
  for (const model of (await own.digests()).keys()) await own.ask('/api/delete', { model });
  const blobs = join(own.models, 'blobs');
  for (const blob of fs.readdirSync(blobs)) fs.rmSync(join(blobs, blob));
}

/**
 * Puts programs between the export and the real curl and Python. They kill it at the call that a file names.
 * @returns path of that file
 */
function injectInto(mac: Mac): string {
  const fault = join(mac.path, '.homelab', 'fault');
  const wrap = (path: string, real: string) =>
    fs.writeFileSync(path, WRAPPER.replaceAll('REAL', real).replaceAll('FAULT', fault), { mode: 0o755 });
  const python = join(mac.path, '.homelab/models/python');
  fs.rmSync(python);
  fs.mkdirSync(join(python, 'bin'), { recursive: true });
  fs.copyFileSync(join(mlxPython(), '.made-of'), join(python, '.made-of'));
  wrap(join(python, 'bin', 'python'), join(mlxPython(), 'bin', 'python'));
  wrap(join(mac.path, 'bin', 'curl'), execFileSync('which', ['curl'], { encoding: 'utf8' }).trim());
  return fault;
}

const WRAPPER = `#!/bin/bash
if [[ ! -f FAULT ]]; then exec REAL "$@"; fi
read -r nth how call <FAULT
if ! [[ "$*" =~ $call ]]; then exec REAL "$@"; fi
if ((nth > 1)); then
  echo "$((nth - 1)) $how $call" >FAULT
  exec REAL "$@"
fi
case "$how" in
  before) ;;
  half) head -c 100000 | REAL "$@" >/dev/null ;;
  after) REAL "$@" >/dev/null ;;
  during)
    REAL "$@" <&0 >/dev/null &
    if [[ "$*" == *.py ]]; then sleep 1; else sleep 0.02; fi
    kill -9 $!
    ;;
esac
rm FAULT
kill -9 $PPID
`;
