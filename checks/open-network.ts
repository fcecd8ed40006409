import type { Check } from './finding';

/** Without enforcement every NetworkPolicy is accepted, and none has an effect. */
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
              'talos.enforceNetworkPolicies is false: every pod may reach every other one, all databases and the home network, whatever connections homelab.ts declares; write true, unless another program enforces NetworkPolicy',
          },
        ],
};
