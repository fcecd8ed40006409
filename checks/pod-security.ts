import { podSpecOf } from '../constructs';
import type { Check, Finding } from './finding';
import type { RenderedObject, Rendering } from './rendering';

type Json = Readonly<Record<string, any>>;

/**
 * Pods that the API server would refuse by the Pod Security level of their namespace. It validates only pods, so a Deployment is
 * accepted, its pods never start, and nothing but an event says why.
 */
export const podSecurity: Check = {
  name: 'pod security',
  find: ({ rendering }) => {
    const levels = levelsOf(rendering);
    return rendering.flatMap((rendered) => refused(rendered, levels.get(rendered.object.metadata.namespace)));
  },
};

const LEVEL = 'pod-security.kubernetes.io/enforce';

function levelsOf(rendering: Rendering): Map<string, string> {
  const namespaces = rendering.map(({ object }) => object).filter(({ kind }) => kind === 'Namespace');
  return new Map(namespaces.map(({ metadata }) => [metadata.name, metadata.labels?.[LEVEL] ?? 'privileged']));
}

function refused({ object, construct }: RenderedObject, level: string | undefined): Finding[] {
  const pod = podSpecOf(object);
  if (pod === undefined || level === undefined) return [];
  const { kind, metadata, spec } = object;
  const template = kind === 'Pod' ? object : kind === 'CronJob' ? spec.jobTemplate.spec.template : spec.template;
  const faults = podSecurityFaults(pod, template.metadata ?? {}, level);
  if (faults.length === 0) return [];
  const { namespace, name } = metadata;
  const message = `the API server would refuse the pods of ${kind} ${namespace}/${name} (${construct}), because the namespace ${namespace} enforces the level ${level}: ${faults.join('; ')}; set these fields (a Helm chart has values for them, such as podSecurityContext), or give the namespace another level and a reason for it: podSecurity and podSecurityReason`;
  return [{ severity: 'error', message }];
}

/**
 * What a level forbids in a pod, as k8s.io/pod-security-admission v0.36 does (Kubernetes 1.36; older versions know fewer
 * rules). Rules for Windows are left out: Talos is Linux.
 */
export function podSecurityFaults(pod: Json, metadata: Json, level: string): string[] {
  if (level === 'privileged') return [];
  const rules = level === 'baseline' ? BASELINE : [...BASELINE, ...RESTRICTED];
  return rules.flatMap((rule) => rule(pod, metadata));
}

type Rule = (pod: Json, metadata: Json) => string[];

/** A rule over each container and, where `pod` is given, over the pod. Both get a security context. */
function settings(
  validate: (security: Json, container: Json) => string | undefined,
  pod?: (security: Json) => string | undefined,
): Rule {
  return ({ securityContext, initContainers = [], containers = [], ephemeralContainers = [] }) => {
    const ofPod = pod?.(securityContext ?? {});
    const ofContainers = [...initContainers, ...containers, ...ephemeralContainers].flatMap((container) => {
      const fault = validate(container.securityContext ?? {}, container);
      return fault === undefined ? [] : [`container ${container.name} ${fault}`];
    });
    return [...(ofPod === undefined ? [] : [`the pod ${ofPod}`]), ...ofContainers];
  };
}

/** The same rule for the pod and for each container. */
const everywhere = (validate: (security: Json) => string | undefined) => settings(validate, validate);

const ADDED: ReadonlySet<string> = new Set(
  'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'.split(
    ' ',
  ),
);
const SELINUX = [undefined, '', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'];
const SYSCTLS: ReadonlySet<string> = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
]);
const PROFILES = ['RuntimeDefault', 'Localhost'];
const APP_ARMOR = 'container.apparmor.security.beta.kubernetes.io/';

/** A pod in a user namespace may be root inside it, and see /proc without masks. */
const hasUserNamespace = ({ hostUsers }: Json) => hostUsers === false;
const unlessInUserNamespace =
  (rule: Rule): Rule =>
  (pod, metadata) =>
    hasUserNamespace(pod) ? [] : rule(pod, metadata);

const procMount = settings(({ procMount }) =>
  procMount === undefined || procMount === 'Default' ? undefined : `must not set procMount ${procMount}`,
);

const BASELINE: readonly Rule[] = [
  (pod) =>
    ['hostNetwork', 'hostPID', 'hostIPC']
      .filter((field) => pod[field] === true)
      .map((field) => `must not set ${field}`),
  ({ volumes = [] }) =>
    volumes
      .filter((volume: Json) => volume.hostPath !== undefined)
      .map((volume: Json) => `volume ${volume.name} must not be a hostPath`),
  settings(({ privileged }) => (privileged === true ? 'must not be privileged' : undefined)),
  settings(({ capabilities = {} }) => {
    const more = (capabilities.add ?? []).filter((each: string) => !ADDED.has(each));
    return more.length > 0 ? `must not add the capability ${more.join(', ')}` : undefined;
  }),
  settings((_, { ports = [] }) => {
    const host = ports.map(({ hostPort = 0 }: Json) => hostPort).filter((port: number) => port !== 0);
    return host.length > 0 ? `must not set hostPort ${host.join(', ')}` : undefined;
  }),
  everywhere(({ seLinuxOptions: { type, user, role } = {} as Json }) =>
    SELINUX.includes(type) && !user && !role
      ? undefined
      : 'must not set seLinuxOptions to a user, a role or an own type',
  ),
  everywhere(({ appArmorProfile }) =>
    appArmorProfile === undefined || PROFILES.includes(appArmorProfile.type)
      ? undefined
      : `must not set appArmorProfile.type ${appArmorProfile.type}`,
  ),
  (_, { annotations = {} }) =>
    Object.entries<string>(annotations)
      .filter(([key, value]) => key.startsWith(APP_ARMOR) && !/^($|runtime\/default$|localhost\/)/.test(value))
      .map(([key, value]) => `the annotation ${key} must not be ${value}`),
  everywhere(({ seccompProfile }) =>
    seccompProfile === undefined || PROFILES.includes(seccompProfile.type)
      ? undefined
      : `must not set seccompProfile.type ${seccompProfile.type}`,
  ),
  ({ securityContext: { sysctls = [] } = {} }) =>
    sysctls
      .filter(({ name }: Json) => !SYSCTLS.has(name))
      .map(({ name }: Json) => `the pod must not set the sysctl ${name}`),
  unlessInUserNamespace(procMount),
  settings((_, { livenessProbe, readinessProbe, startupProbe, lifecycle = {} }) => {
    const hosts = [livenessProbe, readinessProbe, startupProbe, lifecycle.postStart, lifecycle.preStop]
      .flatMap((handler) => [handler?.httpGet?.host, handler?.tcpSocket?.host])
      .filter((host) => host !== undefined && host !== '');
    return hosts.length > 0 ? `must not name the host ${hosts.join(', ')} in a probe or a hook` : undefined;
  }),
];

const VOLUMES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
];

const RESTRICTED: readonly Rule[] = [
  ({ volumes = [] }) =>
    volumes
      // BASELINE names those of the host.
      .filter((volume: Json) => volume.hostPath === undefined && !VOLUMES.some((kind) => volume[kind] !== undefined))
      .map((volume: Json) => {
        const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'nothing';
        // Kubernetes makes an emptyDir of a volume without a source.
        return kind === 'nothing' ? undefined : `volume ${volume.name} must not be of the kind ${kind}`;
      })
      .filter((fault: string | undefined) => fault !== undefined),
  settings(({ allowPrivilegeEscalation }) =>
    allowPrivilegeEscalation === false ? undefined : 'must set allowPrivilegeEscalation: false',
  ),
  unlessInUserNamespace((pod, metadata) => {
    const ofPod = pod.securityContext?.runAsNonRoot;
    const rule = settings(
      ({ runAsNonRoot = ofPod }) => (runAsNonRoot === true ? undefined : 'must set runAsNonRoot: true'),
      ({ runAsNonRoot }) => (runAsNonRoot === false ? 'must not set runAsNonRoot: false' : undefined),
    );
    return rule(pod, metadata);
  }),
  unlessInUserNamespace(everywhere(({ runAsUser }) => (runAsUser === 0 ? 'must not set runAsUser: 0' : undefined))),
  (pod, metadata) => {
    const ofPod = pod.securityContext?.seccompProfile;
    const rule = settings(({ seccompProfile = ofPod }) =>
      seccompProfile === undefined ? "must set seccompProfile: { type: 'RuntimeDefault' }" : undefined,
    );
    return rule(pod, metadata);
  },
  settings(({ capabilities = {} }) => {
    const more = (capabilities.add ?? []).filter((each: string) => ADDED.has(each) && each !== 'NET_BIND_SERVICE');
    if (more.length > 0) return `must not add the capability ${more.join(', ')}`;
    return (capabilities.drop ?? []).includes('ALL') ? undefined : "must set capabilities: { drop: ['ALL'] }";
  }),
  procMount,
];
