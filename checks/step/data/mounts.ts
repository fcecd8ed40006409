import { identity, type Manifest } from '../objects';
import type { Risk } from '../plan';
import type { Pair } from '../step';
import type { Index } from './databases';
import { nameIn } from './names';
import { dataRisk } from './risk';
import { claimTemplates, podOf, wordsOf } from './workloads';

/** Where pods keep data: which claim or folder is mounted at which path, and how their configuration refers to it. */
export function mountRisks(pairs: readonly Pair[], before: Index): Risk[] {
  return pairs.flatMap(({ before: was, after: is }) => {
    if (!was || !is || was.object === is.object || !podOf(was.object) || !podOf(is.object)) return [];
    return workload(was.object, is.object, before);
  });
}

function workload(was: Manifest, is: Manifest, before: Index): Risk[] {
  const lasting = volumesOf(was);
  if (lasting.size === 0) return [];
  const now = volumesOf(is);
  return (podOf(was)?.containers ?? []).flatMap((container: Manifest) => {
    const next = (podOf(is)?.containers ?? []).find(({ name }: Manifest) => name === container.name);
    // A renamed container still mounts the volume.
    const others: readonly Manifest[] = podOf(is)?.containers ?? [];
    const [first] = others;
    // A sidecar that no longer mounts the data of the main container loses nothing.
    const helped = (mount: Mount): boolean =>
      next !== undefined &&
      first !== undefined &&
      next !== first &&
      !mountsOf(next, now).some(({ path }) => path === mount.path) &&
      mountsOf(first, now).some(({ path, shows }) => path === mount.path && shows === mount.shows);
    const mounts = mountsOf(container, lasting).filter((mount) => !helped(mount));
    return [
      ...mounts.flatMap((mount) => movedMount(mount, next ? [next] : others, now, was, is, before)),
      ...(next ? folders(mounts, container, next, was, is, before) : []),
    ];
  });
}

interface Mount {
  readonly path: string;
  /** The volume and the folder in it, for example "claim data" or "claim files, folder a". */
  readonly shows: string;
}

/** Persistent volumes of a pod, by name. */
function volumesOf(object: Manifest): Map<string, string> {
  const found = new Map<string, string>();
  for (const { metadata } of claimTemplates(object)) found.set(metadata.name, `claim ${metadata.name}`);
  for (const volume of podOf(object)?.volumes ?? []) {
    const { name, persistentVolumeClaim, hostPath, nfs, csi, iscsi } = volume as Manifest;
    if (persistentVolumeClaim) found.set(name, `claim ${persistentVolumeClaim.claimName}`);
    else if (hostPath) found.set(name, `folder ${hostPath.path} of the node`);
    else if (nfs) found.set(name, `${nfs.server}:${nfs.path}`);
    else if (csi || iscsi) found.set(name, JSON.stringify(csi ?? iscsi));
  }
  return found;
}

function mountsOf({ volumeMounts = [] }: Manifest, volumes: ReadonlyMap<string, string>): Mount[] {
  return volumeMounts
    .filter(({ name, readOnly }: Manifest) => volumes.has(name) && readOnly !== true)
    .map(({ name, mountPath, subPath, subPathExpr }: Manifest) => {
      const folder = subPath ?? subPathExpr;
      return { path: mountPath, shows: `${volumes.get(name)}${folder ? `, folder ${folder}` : ''}` };
    });
}

function movedMount(
  { path, shows }: Mount,
  containers: readonly Manifest[],
  now: ReadonlyMap<string, string>,
  was: Manifest,
  is: Manifest,
  before: Index,
): Risk[] {
  const mounts = containers.flatMap((each) => mountsOf(each, now));
  if (mounts.some((each) => each.path === path && each.shows === shows)) return [];
  // Another rule handles a removed claim template.
  const template = claimTemplates(was).some(({ metadata }) => shows.startsWith(`claim ${metadata.name}`));
  const gone = template && !claimTemplates(is).some(({ metadata }) => shows.startsWith(`claim ${metadata.name}`));
  if (gone) return [];
  const there = mounts.find((each) => each.path === path);
  const moved = mounts.find((each) => each.shows === shows);
  return [
    dataRisk({
      what: `${nameIn(was, before)}.mounts.${path}`,
      section: 'storage',
      objects: [identity(is)],
      path: 'spec.template.spec',
      from: shows,
      to: there?.shows ?? (moved ? `at ${moved.path}` : 'no lasting volume'),
      problem: `The program finds ${there ? `${there.shows} at ${path}` : `nothing lasting at ${path}`} and starts empty; what it wrote stays behind in ${shows}${
        there ? '' : ', and what it writes now goes with its pod'
      }.`,
      way: [
        'put the old mount back',
        'or first copy the data to where the program will look for it, with the program stopped, then change the mount with an accepted change that says so',
      ],
    }),
  ];
}

/** Options and variables that name a folder on a persistent volume, such as --dbpath=/data/db or PGDATA. */
function folders(
  mounts: readonly Mount[],
  was: Manifest,
  is: Manifest,
  object: Manifest,
  after: Manifest,
  before: Index,
): Risk[] {
  const isData = (value: string) => mounts.some(({ path }) => value === path || value.startsWith(`${path}/`));
  const now = settings(is);
  return [...settings(was)]
    .filter(([name, value]) => isData(value) && isDataOption(name) && now.get(name) !== value)
    .map(([name, value]) =>
      dataRisk({
        what: `${nameIn(object, before)}.${name.replace(/^-+/, '')}`,
        section: 'storage',
        objects: [identity(after)],
        path: `spec.template.spec.containers[${is.name}]`,
        from: value,
        to: now.get(name),
        problem: `The program looks for its data elsewhere and starts empty; what it wrote stays behind in ${value}.`,
        way: ['put the old folder back, or copy the data first, with the program stopped'],
      }),
    );
}

function settings(container: Manifest): Map<string, string> {
  const words = wordsOf(container);
  const found = new Map<string, string>();
  words.forEach((word, at) => {
    const [, name, value] = /^(--?[\w.-]+)(?:=(.*))?$/.exec(word) ?? [];
    const given = value ?? words[at + 1];
    if (name !== undefined && given !== undefined) found.set(name, given);
  });
  for (const { name, value } of container.env ?? []) if (typeof value === 'string') found.set(name, value);
  return found;
}

/** Whether an option names a folder with data. Logs and sockets may move. */
function isDataOption(name: string): boolean {
  return /data|^-D$|dbpath|store|storage|dir$|home|path|root/i.test(name) && !/log|sock|pid|tmp|conf/i.test(name);
}
