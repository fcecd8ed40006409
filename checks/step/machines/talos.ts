import { documents } from '../documents';
import type { Manifest } from '../objects';
import { APPLY, maintenance, type Finding } from './finding';

/** A field of a document: HostnameConfig/ hostname, or / machine.install.image. */
interface Field {
  readonly document: string;
  readonly path: string;
  readonly from: unknown;
  readonly to: unknown;
}

/** The effects of differences between two patches. @param nodes the nodes that get the patch */
export function talosFindings(before: string, after: string, nodes: readonly string[]): Finding[] {
  const found = fields(before, after);
  const gone = new Set(volumesOf(before).filter((name) => !volumesOf(after).includes(name)));
  const fresh = new Set(volumesOf(after).filter((name) => !volumesOf(before).includes(name)));
  const changed = found.filter(({ document }) => ![...gone, ...fresh].some((name) => document === `${VOLUME}/${name}`));
  return [
    ...[...gone].map((name) => ({
      machines: nodes,
      effect: 'data' as const,
      reason: `the volume ${name} is no longer declared: Talos does not mount its disk again`,
      command: APPLY.talos,
    })),
    ...[...fresh].map((name) => ({
      machines: nodes,
      effect: 'live' as const,
      reason: `the new disk ${name} is formatted and mounted at /var/mnt/${name}`,
      command: APPLY.talos,
    })),
    ...changed.map((field) => ({ machines: nodes, ...effectOf(field, nodes) })),
  ];
}

const VOLUME = 'UserVolumeConfig';

function volumesOf(text: string): string[] {
  return (documents(text) ?? []).filter(({ kind }) => kind === VOLUME).map(({ name }) => name as string);
}

function fields(before: string, after: string): Field[] {
  const [old, now] = [flat(before), flat(after)];
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter((key) => JSON.stringify(old.get(key)) !== JSON.stringify(now.get(key)))
    .map((key) => {
      const [document = '', path = ''] = key.split(' ');
      return { document, path, from: old.get(key), to: now.get(key) };
    });
}

/** Every field by document and path; a list is one value. */
function flat(text: string): Map<string, unknown> {
  const found = new Map<string, unknown>();
  const walk = (value: unknown, key: string, path: readonly string[]): void => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      for (const [name, each] of Object.entries(value)) walk(each, key, [...path, name]);
    else found.set(`${key} ${path.join('.')}`, value);
  };
  for (const document of documents(text) ?? []) walk(document, keyOf(document), []);
  return found;
}

function keyOf({ kind = '', name = '' }: Manifest): string {
  return `${kind}/${name}`;
}

type Outcome = Omit<Finding, 'machines'>;

function effectOf(field: Field, nodes: readonly string[]): Outcome {
  const { document, path, from, to } = field;
  const [kind = ''] = document.split('/');
  const what = `${kind ? `${document} ` : ''}${path} ${text(from)} becomes ${text(to)}`;
  const live = { effect: 'live' as const, command: APPLY.talos };
  if (kind !== '') return ofDocument(kind, what, field);
  if (path === 'machine.install.image') return image(String(from), String(to));
  if (path.startsWith('machine.install'))
    return { effect: 'nothing', reason: `${what}: it applies only when a machine is installed` };
  if (path.startsWith('machine.kubelet'))
    return { ...live, reason: `${what}: the kubelet restarts, pods keep running` };
  if (path.startsWith('machine.nodeLabels'))
    return { ...live, reason: `${what}: running pods stay, the scheduler uses it for new ones` };
  if (/^cluster\.network\.(podSubnets|serviceSubnets)/.test(path))
    return {
      effect: 'new-machine',
      reason: `${what}: a cluster keeps its networks; only a new cluster gets others`,
    };
  if (path.startsWith('cluster.network.cni'))
    return {
      ...live,
      reason: `${what}: flannel restarts on every node, and pods cannot reach each other for some seconds`,
    };
  if (path.startsWith('cluster.') || AT_ONCE.test(path)) return { ...live, reason: `${what} while it runs` };
  return {
    effect: 'node-reboot',
    reason: `${what}: Talos applies it at the next start`,
    command: nodes.map((node) => maintenance(node, APPLY.talos, false)).join('; '),
  };
}

/** What Talos 1.13 applies without a reboot (CanApplyImmediate of v1alpha1_runtime.go), below machine. */
const AT_ONCE =
  /^machine\.(ca|acceptedCAs|time|certSANs|network|sysfs|sysctls|logging|controlPlane|kernel|registries|pods|seccompProfiles|nodeAnnotations|nodeTaints|udev|features\.(kubernetesTalosAPIAccess|kubePrism|hostDNS|imageCache|nodeAddressSortAlgorithm))(\.|$)/;

function image(from: string, to: string): Outcome {
  const version = (name: string) => name.split(':').at(-1)!;
  if (version(from) === version(to))
    return {
      effect: 'live',
      reason: `the image becomes ${to}: it applies at the next upgrade of Talos`,
      command: APPLY.talos,
    };
  return {
    effect: 'node-reboot',
    reason: `Talos ${version(from)} becomes ${version(to)}: each node restarts, one after the other, the control plane first`,
    command: APPLY.upgrade,
  };
}

function ofDocument(kind: string, what: string, { path, from, to }: Field): Outcome {
  const live = { effect: 'live' as const, command: APPLY.talos };
  if (kind === 'HostnameConfig' && path === 'hostname')
    return {
      effect: 'data',
      reason: `${what}: the node registers under another name, and its pods find none of their local volumes`,
      command: APPLY.talos,
    };
  if (kind === VOLUME && path === 'provisioning.minSize') {
    const grows = parseFloat(String(to)) > parseFloat(String(from));
    return grows
      ? { effect: 'next-start', reason: `${what}: its file system grows at the next start`, command: APPLY.talos }
      : { ...live, reason: `${what}: the disk is as large as before` };
  }
  if (kind === VOLUME)
    return {
      effect: 'data',
      reason: `${what}: Talos formats and finds the disk of a volume only once`,
      command: APPLY.talos,
    };
  if (kind === 'LinkConfig')
    return { ...live, reason: `${what}: at once; clients of the old address cannot reach the node any more` };
  return { ...live, reason: `${what} while it runs` };
}

function text(value: unknown): string {
  if (value === undefined) return 'unset';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Labels from a node's patch, and its name. */
export function nodeLabels(name: string, patch: string): Readonly<Record<string, string>> {
  const [labels = {}] = (documents(patch) ?? []).flatMap(({ machine }) => machine?.nodeLabels ?? []);
  return { 'kubernetes.io/hostname': name, ...labels };
}
