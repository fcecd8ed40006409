import { sentence } from '../values/problem';
import type { Check } from './finding';

/**
 * Minor versions of Kubernetes 1 that each minor version of Talos supports: MinimumKubernetesVersion and MaximumKubernetesVersion in
 * pkg/machinery/compatibility of siderolabs/talos, read at v1.13.9, for 1.14 on its main branch.
 */
const TAKES: Readonly<Record<string, readonly [first: number, last: number]>> = {
  'v1.9': [27, 32],
  'v1.10': [28, 33],
  'v1.11': [29, 34],
  'v1.12': [30, 35],
  'v1.13': [31, 36],
  'v1.14': [32, 37],
};

/** Finds a Kubernetes version that the declared Talos does not support. Finds nothing for an unknown Talos version. */
export const talosKubernetes: Check = {
  name: 'Talos and Kubernetes',
  needs: ['homelab'],
  find: ({ homelab }) => {
    const { talos, kubernetes } = homelab!.versions;
    const takes = TAKES[talos.replace(/\.\d+$/, '')];
    const [major, minor] = kubernetes.slice(1).split('.').map(Number);
    if (takes === undefined || (major === 1 && minor! >= takes[0] && minor! <= takes[1])) return [];
    const message = sentence({
      what: `versions.kubernetes must be one that Talos ${talos} supports`,
      got: kubernetes,
      allowed: `v1.${takes[0]} to v1.${takes[1]}`,
      fix: 'change one of the two; both go up one minor version at a time',
    });
    return [{ severity: 'error', message }];
  },
};
