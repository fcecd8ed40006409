import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { mlxPython } from './binaries';
import type { ModelPart, ModelSuite } from './suite';

/** The real huggingface_hub fetches a base from a stand-in for the hub: complete, moved, broken, and without a hub. */
export const HUB: ModelPart = { name: 'hub', seconds: 30, run: hub };

const COMMIT = '3'.repeat(40);

async function hub({ tally, laps, processes }: ModelSuite): Promise<void> {
  const python = join(mlxPython(), 'bin/python');
  const home = join(processes.folder, 'hub');
  const fetched = (port: string, repository: string) =>
    spawnSync(python, [resolve('scripts/models/python/base.py')], {
      input: JSON.stringify({ repository, revision: COMMIT, offline: false }),
      env: { ...process.env, HF_HOME: home, HF_ENDPOINT: `http://127.0.0.1:${port}`, HF_HUB_DISABLE_XET: '1' },
      encoding: 'utf8',
      timeout: 120_000,
    });
  await whileServing(python, [], (port) => {
    const whole = fetched(port, 'o/m');
    const folder = whole.status === 0 ? JSON.parse(whole.stdout).folder : '';
    tally.check(
      'fetches a base at its commit, without programs of the repository',
      folder !== '' && fs.readdirSync(folder).sort().join() === 'config.json,model.safetensors',
      whole.stderr,
    );
    const moved = fetched(port, 'o/moved');
    tally.check(
      'rejects a base whose commit is gone',
      moved.status === 3 && /has no commit .* any more/.test(moved.stderr),
      moved.stderr,
    );
  });
  fs.rmSync(home, { recursive: true, force: true });
  await whileServing(python, ['broken'], (port) => {
    const broken = fetched(port, 'o/m');
    tally.check(
      'removes and rejects weights with another digest',
      broken.status === 3 && /did not match the digest of the hub/.test(broken.stderr),
      broken.stderr,
    );
  });
  fs.rmSync(home, { recursive: true, force: true });
  const nowhere = fetched('1', 'o/m');
  tally.check(
    'reports a hub that cannot be reached',
    nowhere.status === 3 && /cannot be reached/.test(nowhere.stderr),
    nowhere.stderr,
  );
  laps.lap('hub: fetched, moved, broken, unreachable');
}

async function whileServing(python: string, args: readonly string[], run: (port: string) => void): Promise<void> {
  const server = spawn(python, [join(__dirname, 'hub.py'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    run(await new Promise<string>((done) => server.stdout.once('data', (port) => done(String(port).trim()))));
  } finally {
    server.kill();
  }
}
