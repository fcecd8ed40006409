import type { k8s } from 'cdk8s-plus-28';

/** Security contexts that the `restricted` Pod Security Standard accepts. */

/** @param user numeric user and group, because `runAsNonRoot` cannot judge a user name in an image */
export function restrictedPod(user: number): k8s.PodSecurityContext {
  return {
    runAsNonRoot: true,
    runAsUser: user,
    runAsGroup: user,
    fsGroup: user,
    // Without it kubelet walks and changes every file of the volume at each start: minutes on a full database disk.
    fsGroupChangePolicy: 'OnRootMismatch',
    seccompProfile: { type: 'RuntimeDefault' },
  };
}

export const RESTRICTED_CONTAINER: k8s.SecurityContext = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ['ALL'] },
};
