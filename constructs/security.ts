import type { k8s } from 'cdk8s-plus-28';

/** Security contexts that the `restricted` Pod Security Standard accepts. */

/** @param user numeric user and group, because `runAsNonRoot` cannot judge a user name in an image */
function restrictedPod(user: number): k8s.PodSecurityContext {
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

/** What a pod has besides its containers. */
export interface PodOptions {
  readonly priorityClassName?: string;
  /** Names of pull secrets. */
  readonly pullSecrets?: readonly string[];
}

/** What every pod has in common: no token of the API server, no variables of other Services, and the security context. */
export function hardenedPod(user: number, { priorityClassName, pullSecrets }: PodOptions = {}) {
  return {
    automountServiceAccountToken: false,
    // Off: the variables of service links would collide with those of connections (DOCUMENTS_PORT=tcp://...).
    enableServiceLinks: false,
    priorityClassName,
    imagePullSecrets: pullSecrets?.map((name) => ({ name })),
    securityContext: restrictedPod(user),
  };
}
