import type { Check } from './finding';

/** Without enforcement NetworkPolicies are accepted, but have no effect. */
export const openNetwork: Check = {
  name: 'open network',
  needs: ['homelab'],
  find: ({ homelab }) =>
    homelab!.talos.enforceNetworkPolicies
      ? []
      : [
          {
            severity: 'warning',
            message:
              'talos.enforceNetworkPolicies is false: every pod may reach every other pod, all databases and the home network, and the connections in homelab.ts have no effect; write true, unless another program enforces NetworkPolicy',
          },
        ],
};
