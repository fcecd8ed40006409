import type { Manifest } from './objects';

/** The repository to which restic writes the backups of a database. */
export interface Store {
  /** Machine and folder, bucket, or volume, for people. */
  readonly place: string;
  /** User of that machine. */
  readonly user?: string;
  /** Host keys; the machine must have one of them. */
  readonly hostKeys: readonly string[];
}

/** The repository of a pod; undefined if no container runs restic. */
export function storeOf(
  pod: Manifest | undefined,
  namespace: string,
  byId: ReadonlyMap<string, Manifest>,
): Store | undefined {
  const containers: readonly Manifest[] = pod?.containers ?? [];
  const container = containers.find((each) => repositoryOf(each) !== undefined);
  if (!container) return undefined;
  const repository = repositoryOf(container)!;
  const mounts: readonly Manifest[] = container.volumeMounts ?? [];
  const mounted = mounts.map((mount): Mounted => {
    const volume = (pod!.volumes ?? []).find(({ name }: Manifest) => name === mount.name) ?? {};
    return { at: mount.mountPath, volume };
  });
  const path = /^sftp:target:(.*)$/.exec(repository)?.[1];
  return path === undefined
    ? { place: onVolume(repository, mounted, namespace, byId), hostKeys: [] }
    : sshStore(path, filesOf(mounted, namespace, byId));
}

/** A volume and its mount path in a container. */
interface Mounted {
  readonly at: string;
  readonly volume: Manifest;
}

function repositoryOf({ env = [] }: Manifest): string | undefined {
  return env.find(({ name }: Manifest) => name === 'RESTIC_REPOSITORY')?.value;
}

function sshStore(path: string, files: Readonly<Record<string, string>>): Store {
  const setting = (name: string) => new RegExp(`^\\s*${name} (.*)$`, 'm').exec(files.ssh_config ?? '')?.[1];
  return {
    place: `sftp:${setting('HostName')}:${setting('Port')}:${path}`,
    user: setting('User'),
    hostKeys: (files.known_hosts ?? '').split('\n').flatMap((line) => line.split(' ').slice(1).join(' ') || []),
  };
}

/** A path does not name its machine, but the volume does. A bucket is not a path. */
function onVolume(
  repository: string,
  mounted: readonly Mounted[],
  namespace: string,
  byId: ReadonlyMap<string, Manifest>,
): string {
  const found = mounted.find(({ at }) => repository.startsWith(`${at}/`));
  if (!found) return repository;
  const name = found.volume.persistentVolumeClaim?.claimName;
  const claim = byId.get(`/PersistentVolumeClaim ${namespace}/${name}`);
  const nfs = found.volume.nfs ?? byId.get(`/PersistentVolume /${claim?.spec.volumeName}`)?.spec.nfs;
  const base = nfs ? `nfs:${nfs.server}:${nfs.path.replace(/\/+$/, '')}` : `claim:${name}`;
  return `${base}${repository.slice(found.at.length)}`;
}

/** Files of the ConfigMaps that a container mounts. */
function filesOf(
  mounted: readonly Mounted[],
  namespace: string,
  byId: ReadonlyMap<string, Manifest>,
): Record<string, string> {
  const names = mounted.flatMap(({ volume }) => volume.configMap?.name ?? []);
  return Object.assign({}, ...names.map((name) => byId.get(`/ConfigMap ${namespace}/${name}`)?.data));
}
