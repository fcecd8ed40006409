import type { Manifest } from '../objects';
import type { Risk } from '../plan';
import { containersOf, earlier, listed, type View, type Workload } from './view';

/** A privilege of a pod on its node that a hardened pod does not have. */
interface Freedom {
  /** Text that identifies the privilege. */
  readonly text: string;
  /** Container. Undefined for a privilege of the whole pod. */
  readonly container?: string;
  /** Whether it is also a risk of a new workload, because it exceeds what pods get by default. */
  readonly grave: boolean;
}

/** New privileges of pods. */
export function hardeningRisks(before: View, after: View): Risk[] {
  return [...after.workloads.values()].flatMap((workload) => {
    const then = earlier(workload, before);
    if (then && then.pod === workload.pod) return [];
    const fresh = then ? newFreedoms(then.pod, workload.pod) : freedomsOf(workload.pod).filter(({ grave }) => grave);
    return fresh.length === 0 ? [] : [risk(workload, fresh, !then)];
  });
}

function risk({ name, id }: Workload, fresh: readonly Freedom[], isNew: boolean): Risk {
  const texts = [...byText(fresh)].map(([text, containers]) =>
    containers.length > 0 ? `${listed(containers)}: ${text}` : text,
  );
  return {
    verdict: 'access',
    what: `${name}.securityContext`,
    objects: [id],
    path: 'spec.template.spec',
    from: isNew ? 'no such pods' : 'more restricted',
    to: listed(texts, 10),
    problem: `Pods of ${name} may newly do more on their node: ${listed(texts, 10)}.`,
  };
}

function byText(freedoms: readonly Freedom[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { text, container } of freedoms)
    found.set(text, [...(found.get(text) ?? []), ...(container === undefined ? [] : [container])]);
  return found;
}

/** Compares a renamed container with the removed ones. */
function newFreedoms(before: Manifest, after: Manifest): Freedom[] {
  const old = freedomsOf(before);
  const names = (pod: Manifest) => new Set<string>(containersOf(pod).map(({ name }) => name));
  const [then, now] = [names(before), names(after)];
  const known = new Set(old.map(({ container, text }) => `${container} ${text}`));
  const ofGone = new Set(old.filter(({ container }) => container && !now.has(container)).map(({ text }) => text));
  return freedomsOf(after).filter(({ container, text }) => {
    if (known.has(`${container} ${text}`)) return false;
    return !container || then.has(container) || !ofGone.has(text);
  });
}

function freedomsOf(pod: Manifest): Freedom[] {
  return [...podFreedoms(pod), ...containersOf(pod).flatMap((container) => containerFreedoms(container, pod))];
}

function podFreedoms(pod: Manifest): Freedom[] {
  const texts = [
    ...(pod.hostNetwork ? ['the network of the node (hostNetwork), past every NetworkPolicy'] : []),
    ...(pod.hostPID ? ['the processes of the node (hostPID)'] : []),
    ...(pod.hostIPC ? ['the shared memory of the node (hostIPC)'] : []),
    ...(pod.volumes ?? []).flatMap((volume: Manifest) => hostPath(volume, pod)),
    ...(pod.securityContext?.sysctls ?? []).map(({ name }: Manifest) => `the kernel setting ${name}`),
  ];
  const users = pod.hostUsers === false ? [] : [{ text: 'users of the node (no user namespace)', grave: false }];
  return [...texts.map((text) => ({ text, grave: true })), ...users];
}

function hostPath({ name, hostPath: host }: Manifest, pod: Manifest): string[] {
  if (!host) return [];
  const mounts = containersOf(pod)
    .flatMap((container) => container.volumeMounts ?? [])
    .filter((mount: Manifest) => mount.name === name);
  const written = mounts.some(({ readOnly }: Manifest) => !readOnly);
  return [`the node's path ${host.path}`, ...(written ? [`writing to the node's path ${host.path}`] : [])];
}

function containerFreedoms(container: Manifest, pod: Manifest): Freedom[] {
  const own = container.securityContext ?? {};
  const shared = pod.securityContext ?? {};
  const of = (key: string) => own[key] ?? shared[key];
  const grave = [
    ...(own.privileged ? ['privileged'] : []),
    ...(own.procMount === 'Unmasked' ? ['unmasked /proc'] : []),
    ...(of('windowsOptions')?.hostProcess ? ['a process of the node (hostProcess)'] : []),
    ...(of('runAsUser') === 0 ? ['user 0'] : []),
    ...(of('seccompProfile')?.type === 'Unconfined' ? ['seccomp Unconfined'] : []),
    ...(of('appArmorProfile')?.type === 'Unconfined' ? ['AppArmor Unconfined'] : []),
    ...capabilities(own.capabilities).flatMap((name) => (BY_DEFAULT.includes(name) ? [] : [`capability ${name}`])),
    ...(container.ports ?? []).flatMap(({ hostPort, protocol = 'TCP' }: Manifest) =>
      hostPort ? [`port ${protocol} ${hostPort} of the node`] : [],
    ),
  ];
  const mild = [
    ...(mayBeRoot(of('runAsNonRoot'), of('runAsUser')) ? ['may run as root'] : []),
    ...(of('runAsNonRoot') ? [] : ['no check that it is not root (runAsNonRoot)']),
    ...(own.readOnlyRootFilesystem ? [] : ['a root file system that can be written to']),
    ...(own.allowPrivilegeEscalation === false ? [] : ['more rights than its parent (allowPrivilegeEscalation)']),
    ...(of('seccompProfile') ? [] : ["no seccomp profile but the kubelet's own"]),
    ...capabilities(own.capabilities).flatMap((name) => (BY_DEFAULT.includes(name) ? [`capability ${name}`] : [])),
  ];
  const { name } = container;
  return [
    ...grave.map((text) => ({ text, container: name, grave: true })),
    ...mild.map((text) => ({ text, container: name, grave: false })),
  ];
}

/** Without a user, the image sets it. */
function mayBeRoot(nonRoot: boolean | undefined, user: number | undefined): boolean {
  return !nonRoot && (user === undefined || user === 0);
}

/** Default capabilities of containerd. */
const BY_DEFAULT = [
  ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE', 'NET_RAW'],
  ...['SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
];

function capabilities({ add = [], drop = [] }: Manifest = {}): string[] {
  const plain = (names: readonly string[]) => names.map((name) => name.toUpperCase().replace(/^CAP_/, ''));
  const [added, dropped] = [plain(add), plain(drop)];
  const kept = dropped.includes('ALL') ? [] : BY_DEFAULT.filter((name) => !dropped.includes(name));
  return [...new Set([...kept, ...added])];
}
