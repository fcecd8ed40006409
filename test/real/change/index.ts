import homelab from '../../fixtures/homelab';
import { isBuilt, KUBERNETES_VERSIONS } from '../cluster/binaries';
import { ControlPlane } from '../cluster/control-plane';
import { Laps, writeProofs } from '../proofs';
import { Tally } from '../tally';
import { apiServer, deriveAll } from './api-server';
import { controllers } from './controllers';

/**
 * What a plan says of a change, and what happens: on a real API server, and on one with real controllers, of the version that the homelab
 * of tests pins and of the oldest one. With --full many more cases, on both, and the figures go into docs/proofs.md. --seed N
 * makes the cases of an earlier run again, --only=pairs or --only=controllers runs one part. --derive asks the API servers for
 * the rules that the package ships, and writes them.
 */
const args = process.argv.slice(2);
const full = args.includes('--full');
const seed = args.includes('--seed') ? Number(args[args.indexOf('--seed') + 1]) : Date.now() % 1_000_000;
const only = args.find((arg) => arg.startsWith('--only='))?.slice('--only='.length);
const tally = new Tally();
const laps = new Laps();

/** Changes of workloads, with controllers and fake kubelets; with --full what they showed has a section of its own. */
async function onControllers(version: string): Promise<void> {
  const plane = await ControlPlane.start(version);
  try {
    const amount = full ? { cases: 600, seconds: 900 } : { cases: 100, seconds: 20 };
    for (const line of await controllers(plane, tally, { ...amount, seed })) laps.lap(line);
  } finally {
    await plane.stop();
  }
  if (full && tally.good)
    writeProofs(
      'change --only=controllers',
      laps.lines.filter((line) => line.includes(', controllers: ')),
    );
}

/** Pairs of objects, on an API server alone; with --full what they showed has a section of its own. */
async function onApiServers(versions: readonly string[]): Promise<void> {
  const lines: string[] = [];
  for (const version of versions) {
    const amount = full ? { random: 1_500, each: 1 } : { random: version === versions[0] ? 300 : 100, each: 0 };
    const found = await apiServer(version, tally, { ...amount, seed });
    lines.push(...found);
    laps.lap(found[0]!);
    for (const line of found.slice(1)) console.log(`  ${line}`);
  }
  if (full && tally.good) writeProofs('change --only=pairs', lines);
}

async function main(): Promise<void> {
  if (args.includes('--derive')) return deriveAll(KUBERNETES_VERSIONS);
  const oldest = KUBERNETES_VERSIONS[0]!;
  const pinned = homelab.versions.kubernetes;
  if (only !== 'controllers') await onApiServers([pinned, ...(full || isBuilt(oldest) ? [oldest] : [])]);
  if (only === 'pairs') return;
  await onControllers(pinned);
  if (full || isBuilt(oldest)) await onControllers(oldest);
  else
    console.log(
      `Kubernetes ${oldest} is not built, and this sample does not build it: npm run test:real -- change --full`,
    );
}

main()
  .catch((error: Error) => tally.check('the suite runs to its end', false, error.message))
  .finally(() => tally.close());
