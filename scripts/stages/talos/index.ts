import { talosctl } from '../../clients/talos';
import { nodesInOrder, type Context } from '../../clients/context';
import type { Stage } from '../../engine/step';
import { bootstrapEtcd, healthyNodes, kubeconfig, labels, volumes } from './cluster';
import { configuration } from './configuration';
import { networkPolicies, versionsAgree } from './kubernetes';
import { running } from './running';
import { checkTalosctl } from './secrets';
import { shutdownProof } from './shutdown-proof';

/** Stage 4: machines in maintenance mode become a cluster, and stay as the inventory says. */
export function talos(context: Context): Stage {
  return {
    name: 'talos',
    title: 'machine configurations, the cluster and its volumes',
    async steps() {
      const nodes = nodesInOrder(context);
      await checkTalosctl(context);
      // Ends here without the login of stage keys, or without the key that opens it.
      await talosctl(context, nodes[0]![1].address, []);
      return [
        ...nodes.map(([name, machine]) => running(context, name, machine)),
        ...nodes.map(([name, machine]) => configuration(context, name, machine)),
        bootstrapEtcd(context),
        kubeconfig(context),
        healthyNodes(context),
        labels(context),
        ...nodes
          .filter(([, { dataDisks = {} }]) => Object.keys(dataDisks).length > 0)
          .map(([name, machine]) => volumes(context, name, machine)),
        versionsAgree(context),
        networkPolicies(context),
        ...nodes.map(([name, machine]) => shutdownProof(context, name, machine)),
      ];
    },
  };
}
