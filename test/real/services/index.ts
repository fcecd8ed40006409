import { onLoopback } from '../loopback';
import { nodeParts } from '../node/prober';
import { Laps, writeProofs } from '../proofs';
import { Tally } from '../tally';
import { connections } from './connections';
import { files } from './files';
import { images, registryProgram } from './images';
import { kinds } from './kinds';
import { network } from './network';
import { policyEngine } from './policy-engine';
import { probes } from './probes';
import { processes } from './processes';
import { volumes } from './volumes';

/**
 * Runs rendered services as processes, with the user, root file system, volumes, names, limits and probes of their pods. The
 * programs are a few lines each: an HTTP server, a gRPC server, a worker. What never becomes ready is found here by a process.
 */
if (process.getuid?.() !== 0)
  throw new Error(
    'the suite of the services must run as root on Linux, because it mounts volumes and sets memory limits; sudo npm run test:real -- services',
  );
onLoopback(
  () => [nodeParts(), policyEngine(), registryProgram()],
  ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc'],
);

const PARTS: Readonly<Record<string, (tally: Tally) => Promise<void>>> = {
  network,
  images,
  probes,
  processes,
  kinds,
  files,
  volumes,
  connections,
};

async function main(): Promise<void> {
  const only = process.argv
    .find((arg) => arg.startsWith('--only='))
    ?.slice('--only='.length)
    .split(',');
  const unknown = only?.filter((name) => !(name in PARTS)) ?? [];
  if (unknown.length > 0)
    throw new Error(`--only must name parts, got ${unknown.join(', ')} (allowed: ${Object.keys(PARTS).join(', ')})`);
  const tally = new Tally();
  const laps = new Laps();
  for (const [name, part] of Object.entries(PARTS)) {
    if (only !== undefined && !only.includes(name)) continue;
    await part(tally);
    laps.lap(name);
  }
  if (process.argv.includes('--full')) writeProofs('services', [...laps.lines, tally.line()]);
  tally.close();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
