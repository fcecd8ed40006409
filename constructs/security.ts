import { filled } from './rendering';
import type { k8s } from 'cdk8s-plus-28';
import type { ServiceOptions } from '../values/service-options';

/** Security contexts that the `restricted` Pod Security Standard accepts. */

/** @param user numeric user and group, because `runAsNonRoot` cannot check a user name in an image; 0 for root, which baseline accepts */
function restrictedPod(user: number): k8s.PodSecurityContext {
  return {
    runAsNonRoot: user !== 0,
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

/** The security context of a container, with what its service is allowed against the defaults. */
export function containerSecurity({ allow, capabilities = {} }: Pick<ServiceOptions, 'allow' | 'capabilities'>) {
  const add = Object.keys(capabilities).sort();
  return {
    ...RESTRICTED_CONTAINER,
    readOnlyRootFilesystem: allow?.writableRoot === undefined,
    runAsNonRoot: allow?.root === undefined,
    capabilities: { drop: ['ALL'], add: add.length > 0 ? add : undefined },
  };
}

/** Annotations with the reasons for what a service is allowed. */
export function allowedAnnotations({ allow = {}, capabilities = {} }: Pick<ServiceOptions, 'allow' | 'capabilities'>) {
  const text = (reasons: Readonly<Record<string, string | undefined>>) =>
    Object.entries(reasons)
      .filter(([, reason]) => reason !== undefined)
      .map(([name, reason]) => `${name}: ${reason}`)
      .join('\n');
  const [allowed, added] = [text({ ...allow }), text(capabilities)];
  return {
    ...(allowed && { 'collab-homelab/allow': allowed }),
    ...(added && { 'collab-homelab/capabilities': added }),
  };
}

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
    imagePullSecrets: filled(pullSecrets?.map((name) => ({ name }))),
    securityContext: restrictedPod(user),
  };
}
