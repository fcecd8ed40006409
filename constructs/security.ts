import type { k8s } from 'cdk8s-plus-28';

/** Security contexts that the `restricted` Pod Security Standard accepts. */

/** @param user numeric user and group, because `runAsNonRoot` cannot check a user name in an image */
function restrictedPod(user: number): k8s.PodSecurityContext {
  return {
    runAsNonRoot: true,
    runAsUser: user,
    runAsGroup: user,
    fsGroup: user,
    // Without it the kubelet changes the owner of every file of the volume at each start: minutes on a full database disk.
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

/** Fields of a pod besides its containers. */
export interface PodOptions {
  readonly priorityClassName?: string;
  /** Names of pull secrets. */
  readonly pullSecrets?: readonly string[];
}

/** Fields that every pod shares: no ServiceAccount token, no service links, and the security context. */
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
