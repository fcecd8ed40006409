import homelab from '../../fixtures/homelab';
import { controlPlaneBinaries } from '../cluster/binaries';
import { argoCd } from '../gitops/binaries';
import { onLoopback } from '../loopback';
import { Laps, writeProofs } from '../proofs';
import { Tally } from '../tally';
import { steps, WAY_NAMES } from './steps';

/**
 * Ways of several commits, carried out by a real Argo CD and compared with their plan. One of them by default, another by
 * --only=NAME, all with --full. The suite gitops compares each of its commits in the same manner.
 */
const full = process.argv.includes('--full');
const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice('--only='.length) ?? 'an image';
if (!WAY_NAMES.includes(only))
  throw new Error(`--only must name a way, got ${only} (allowed: ${WAY_NAMES.join('; ')})`);
const tally = new Tally();
const laps = new Laps();

onLoopback(() => {
  argoCd();
  controlPlaneBinaries(homelab.versions.kubernetes);
});
steps(tally, laps, full ? WAY_NAMES : [only])
  .catch((error: Error) => tally.check('the suite runs to its end', false, error.stack ?? error.message))
  .finally(() => {
    tally.close();
    if (full && tally.good) writeProofs('steps', [...laps.lines, tally.line()]);
  });
