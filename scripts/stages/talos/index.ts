import type { Context } from '../../clients/context';
import type { Stage } from '../../engine/step';
import { bootstrapEtcd, healthyNodes, kubeconfig, labels, volumes } from './cluster';
import { configuration } from './configuration';
import { networkPolicies, versionsAgree } from './kubernetes';
import { running } from './running';
import { shutdownProof } from './shutdown-proof';

/** Stage 4: machines in maintenance mode become a cluster, and stay as the inventory says. */
export function talos(context: Context): Stage {
  return {
    name: 'talos',
    title: 'machine configurations, the cluster and its volumes',
    async steps() {
      const { homelab, kubernetes, log, sops } = context;
      const { nodes, controlPlane } = context.talos;
      await context.talos.assertVersion();
      // Ends here without the login of stage keys, or without the key that opens it.
      await controlPlane.argv([]);
      return [
        ...nodes.map(running),
        ...nodes.map((node) => configuration(context, log, node)),
        bootstrapEtcd(context.talos, sops),
        kubeconfig(context.talos, sops),
        healthyNodes(context.talos, kubernetes),
        labels(context.talos, kubernetes),
        ...nodes.filter(({ machine }) => Object.keys(machine.dataDisks ?? {}).length > 0).map(volumes),
        versionsAgree(context),
        networkPolicies(context),
        ...nodes.map((node) => shutdownProof(homelab, kubernetes, node)),
      ];
    },
  };
}
