import homelab from '../../fixtures/homelab';
import { controlPlaneBinaries } from '../cluster/binaries';
import { onLoopback } from '../loopback';
import { Laps, writeProofs } from '../proofs';
import { Tally } from '../tally';
import { argoCd, traefik } from './binaries';
import { applications } from './applications';
import { beforeRollouts } from './before-rollout';
import { comesUp, orderIsLost, staysInSync } from './coming-up';
import { commits, lastOfItsKind, leavesForGood, retires } from './commits';
import { excluded } from './excluded-slices';
import { brokenCommit, degraded, givesUp } from './faults';
import type { Report } from './report';
import { routes } from './routes';
import { Site } from './site';
import { waysIn } from './ways-in';

/**
 * dist/ in a Git repository that a real Argo CD syncs, and the real ingress controller with what we render for it. It runs in
 * a network namespace of its own, where servers that stand in for the processes of pods get the addresses of pods.
 */
const full = process.argv.includes('--full');
const laps = new Laps();
const report: Report = { tally: new Tally(), lap: (what) => laps.lap(what) };
const { tally, lap } = report;

/** The sample has four minutes: besides commits it takes one of these a day, or the one of --part=N; --full takes all. */
const GROUPS = [
  [beforeRollouts, retires, brokenCommit],
  [lastOfItsKind, degraded, applications],
  [givesUp, leavesForGood, excluded],
] as const;

function parts(): readonly ((site: Site, report: Report) => Promise<void>)[] {
  if (full) return GROUPS.flat();
  const chosen = process.argv.find((arg) => arg.startsWith('--part='))?.slice('--part='.length);
  const number = chosen === undefined ? 1 + (Math.floor(Date.now() / 86_400_000) % GROUPS.length) : Number(chosen);
  const group = GROUPS[number - 1];
  if (group === undefined) throw new Error(`--part must be 1 to ${GROUPS.length}, got ${chosen}`);
  console.log(
    `commits, and part ${number} of ${GROUPS.length} (--part=N, --full): ${group.map(({ name }) => name).join(', ')}`,
  );
  return group;
}

async function main(): Promise<void> {
  const site = await Site.start();
  lap('the control plane and Argo CD run');
  try {
    const ingress = await comesUp(site, report);
    await routes(site.client, tally, ingress);
    lap('the ingress controller passed requests to their services');
    await staysInSync(site, full ? 120 : 20, report);
    lap('no application drifted');
    await waysIn(site, ingress, report);
    lap('the ingress controller served routes with several hosts, paths and limits');
    for (const part of [commits, ...parts()]) await part(site, report);
  } finally {
    await site.plane.stop();
  }
  if (full) await orderIsLost(report);
}

onLoopback(() => {
  argoCd();
  traefik();
  controlPlaneBinaries(homelab.versions.kubernetes);
});
main()
  .catch((error: Error) => tally.check('the suite runs to its end', false, error.stack ?? error.message))
  .finally(() => {
    tally.close();
    if (full && tally.good) writeProofs('gitops', [...laps.lines, tally.line()]);
  });
