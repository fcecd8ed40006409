import homelab from '../../fixtures/homelab';
import { isBuilt, KUBERNETES_VERSIONS } from '../cluster/binaries';
import { ControlPlane } from '../cluster/control-plane';
import { Laps, writeProofs } from '../proofs';
import { Tally } from '../tally';
import { controllers } from './controllers';

/**
 * What a plan says of a change, and what happens: on a real API server with real controllers, of the version that the homelab
 * of tests pins and of the oldest one. With --full many more cases, on both, and the figures go into docs/proofs.md. --seed N
 * makes the cases of an earlier run again.
 */
const args = process.argv.slice(2);
const full = args.includes('--full');
const seed = args.includes('--seed') ? Number(args[args.indexOf('--seed') + 1]) : Date.now() % 1_000_000;
const tally = new Tally();
const laps = new Laps();

async function onControllers(version: string): Promise<void> {
  const plane = await ControlPlane.start(version);
  try {
    const amount = full ? { cases: 600, seconds: 900 } : { cases: 100, seconds: 20 };
    for (const line of await controllers(plane, tally, { ...amount, seed })) laps.lap(line);
  } finally {
    await plane.stop();
  }
}

async function main(): Promise<void> {
  const oldest = KUBERNETES_VERSIONS[0]!;
  await onControllers(homelab.versions.kubernetes);
  if (full || isBuilt(oldest)) await onControllers(oldest);
  else
    console.log(
      `Kubernetes ${oldest} is not built, and this sample does not build it: npm run test:real -- change --full`,
    );
}

main()
  .catch((error: Error) => tally.check('the suite runs to its end', false, error.message))
  .finally(() => {
    tally.close();
    if (full && tally.good) writeProofs('change', [...laps.lines, tally.line()]);
  });
