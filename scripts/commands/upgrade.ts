import type { Context } from '../clients/context';
import { EXIT } from '../engine/problem';
import { upgradeSteps } from '../stages/talos/upgrade';
import { applyStage } from './plan';

/** Brings Talos, then Kubernetes, to the versions of homelab.ts: one minor at a time, one node after the other. */
export async function upgradeCluster(context: Context): Promise<number> {
  const { talos, kubernetes } = context.homelab.versions;
  await applyStage(context, {
    name: 'upgrade',
    title: `Talos ${talos} on ${context.talos.nodes.length} nodes, then Kubernetes ${kubernetes}`,
    steps: () => upgradeSteps(context),
  });
  // A newer Talos may want more in a configuration, and all of them name the image that is installed.
  console.log('\nnpm run bootstrap -- plan talos shows what changes in the configurations of the nodes');
  return EXIT.done;
}
