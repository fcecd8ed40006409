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

/** What differences between two patches do. @param nodes the nodes that get the patch */
export function talosFindings(before: string, after: string, nodes: readonly string[]): Finding[] {
  const found = fields(before, after);
  const gone = new Set(volumesOf(before).filter((name) => !volumesOf(after).includes(name)));
  const fresh = new Set(volumesOf(after).filter((name) => !volumesOf(before).includes(name)));
  const changed = found.filter(({ document }) => ![...gone, ...fresh].some((name) => document === `${VOLUME}/${name}`));
  return [
    ...[...gone].map((name) => ({
      machines: nodes,
      effect: 'data' as const,
      reason: `the volume ${name} is declared no more: Talos does not mount its disk again`,
      command: APPLY.talos,
    })),
    ...[...fresh].map((name) => ({
      machines: nodes,
      effect: 'live' as const,
      reason: `the new disk ${name} is formatted and mounted at /var/mnt/${name}`,
      command: APPLY.talos,
    })),
    ...changed.map((field) => ({ machines: nodes, ...judged(field, nodes) })),
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

/** Every field by document and path; lists count as a whole. */
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

type Judgement = Omit<Finding, 'machines'>;

function judged(field: Field, nodes: readonly string[]): Judgement {
  const { document, path, from, to } = field;
  const [kind = ''] = document.split('/');
  const what = `${kind ? `${document} ` : ''}${path} ${text(from)} becomes ${text(to)}`;
  const live = { effect: 'live' as const, command: APPLY.talos };
  if (kind !== '') return ofDocument(kind, what, field);
  if (path === 'machine.install.image') return image(String(from), String(to));
  if (path.startsWith('machine.install'))
    return { effect: 'nothing', reason: `${what}: it counts when a machine is installed` };
  if (path.startsWith('machine.kubelet')) return { ...live, reason: `${what}: the kubelet starts again, pods go on` };
  if (path.startsWith('machine.nodeLabels'))
    return { ...live, reason: `${what}: pods that run stay, new ones are placed by it` };
  if (/^cluster\.network\.(podSubnets|serviceSubnets)/.test(path))
    return {
      effect: 'new-machine',
      reason: `${what}: a cluster keeps the networks that it was made with; only one that is made anew has others`,
    };
  if (path.startsWith('cluster.network.cni'))
    return {
      ...live,
      reason: `${what}: flannel starts again on every node, and pods cannot reach each other for some seconds`,
    };
  if (path.startsWith('cluster.') || AT_ONCE.test(path)) return { ...live, reason: `${what} while it runs` };
  return {
    effect: 'node-reboot',
    reason: `${what}: Talos takes it over with the next start`,
    command: nodes.map((node) => maintenance(node, APPLY.talos, false)).join('; '),
  };
}

/** What Talos 1.13 applies without a reboot (CanApplyImmediate of v1alpha1_runtime.go), below machine. */
const AT_ONCE =
  /^machine\.(ca|acceptedCAs|time|certSANs|network|sysfs|sysctls|logging|controlPlane|kernel|registries|pods|seccompProfiles|nodeAnnotations|nodeTaints|udev|features\.(kubernetesTalosAPIAccess|kubePrism|hostDNS|imageCache|nodeAddressSortAlgorithm))(\.|$)/;

function image(from: string, to: string): Judgement {
  const version = (name: string) => name.split(':').at(-1)!;
  if (version(from) === version(to))
    return {
      effect: 'live',
      reason: `the image becomes ${to}: it counts with the next upgrade of Talos`,
      command: APPLY.talos,
    };
  return {
    effect: 'node-reboot',
    reason: `Talos ${version(from)} becomes ${version(to)}: each node starts again, one after the other, the control plane first`,
    command: APPLY.upgrade,
  };
}

function ofDocument(kind: string, what: string, { path, from, to }: Field): Judgement {
  const live = { effect: 'live' as const, command: APPLY.talos };
  if (kind === 'HostnameConfig' && path === 'hostname')
    return {
      effect: 'data',
      reason: `${what}: the node registers under another name and finds none of its local volumes`,
      command: APPLY.talos,
    };
  if (kind === VOLUME && path === 'provisioning.minSize') {
    const grows = parseFloat(String(to)) > parseFloat(String(from));
    return grows
      ? { effect: 'next-start', reason: `${what}: its file system grows with the next start`, command: APPLY.talos }
      : { ...live, reason: `${what}: the disk is as large as before` };
  }
  if (kind === VOLUME)
    return {
      effect: 'data',
      reason: `${what}: Talos neither formats nor looks for the disk of a volume again`,
      command: APPLY.talos,
    };
  if (kind === 'LinkConfig')
    return { ...live, reason: `${what}: at once, and what knows the old address finds the node no more` };
  return { ...live, reason: `${what} while it runs` };
}

function text(value: unknown): string {
  if (value === undefined) return 'unset';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Labels that a node's patch gives it, its name included. */
export function nodeLabels(name: string, patch: string): Readonly<Record<string, string>> {
  const [labels = {}] = (documents(patch) ?? []).flatMap(({ machine }) => machine?.nodeLabels ?? []);
  return { 'kubernetes.io/hostname': name, ...labels };
}
