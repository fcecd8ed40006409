import { join } from 'node:path';
import homelab from '../../fixtures/homelab';
import { controlPlaneBinaries } from '../cluster/binaries';
import { ControlPlane } from '../cluster/control-plane';
import { applyNodes } from '../cluster/deploy';
import { Repository } from '../gitops/argo-cd';
import { argoCd, traefik } from '../gitops/binaries';
import { onLoopback } from '../loopback';
import { Laps } from '../proofs';
import { Tally } from '../tally';
import { Clone } from './harness/clone';
import { changesVersion, leavesGit, stageGitops, takenOver } from './scenarios/cluster-argo-cd';
import { foreign, renews, rotates, stageSecrets } from './scenarios/cluster-secrets';
import { verified } from './scenarios/verified';
import { sopsBinaries } from './simulator/binaries';

/**
 * Stages 7 and 8 on a real API server with a real Argo CD: namespaces, secrets and Argo CD's own objects are put there, Argo CD
 * takes over what is in dist/, and stage 7 again finds nothing to do and undoes nothing. Then a secret gets a new value.
 */
const full = process.argv.includes('--full');
const tally = new Tally();
const laps = new Laps();

async function main(): Promise<void> {
  const plane = await ControlPlane.start(homelab.versions.kubernetes);
  let clone: Clone | undefined;
  try {
    clone = new Clone(plane, new Repository(join(plane.folder, 'repository')));
    const { 'argo-cd': _, ...system } = homelab.system;
    await applyNodes(plane.client, { ...homelab, system });
    clone.publish('first');
    laps.lap('control plane and clone are ready');
    const site = { clone, client: plane.client, tally, lapped: (what: string) => laps.lap(what), full };
    await stageSecrets(site);
    await foreign(site);
    const argo = await stageGitops(site, plane);
    await takenOver(site, argo);
    await rotates(site, argo);
    await renews(site);
    await changesVersion(site);
    await verified(clone, plane.client, tally);
    laps.lap('verify, through the real ingress controller');
    await leavesGit(site, argo);
  } finally {
    clone?.remove();
    await plane.stop();
  }
}

onLoopback(() => {
  argoCd();
  traefik();
  sopsBinaries();
  controlPlaneBinaries(homelab.versions.kubernetes);
});
main()
  .catch((error: Error) => tally.check('the suite runs to its end', false, error.stack ?? error.message))
  .finally(() => tally.close());
