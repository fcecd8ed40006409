import type { Size } from 'cdk8s';
import { mountPathsProblem, normal, SHARED_MEMORY } from './files';
import type { MountedFiles } from './mounted-files';
import { fieldsProblem, type Validator } from './fields';
import { sentence } from './problem';
import { bytes, sizeProblem } from './quantity';
import type { Secrets } from './secret';

/** The storage class of static volumes, one disk each. */
export const LOCAL_STORAGE_CLASS = 'local-data';

/** A folder that outlives the pods of a service, on a volume. */
export interface VolumeMount {
  /** Absolute path of the folder, in every container of the pod. */
  readonly path: string;
  /**
   * Folder of the volume that is mounted, made before the first start with the service's user as its owner. For images that
   * want an empty folder or one that they own, such as postgres. @default the whole volume, which the service's group may write
   */
  readonly folder?: string;
  /**
   * Whether each replica has a volume of its own. The pods are then named NAME-0, NAME-1 and so on, and are updated one at a
   * time. @default false: one volume, so there is one pod, which stops before its successor starts
   */
  readonly perReplica?: boolean;
}

/** Volumes by name. */
export type VolumeMounts = Readonly<Record<string, VolumeMount>>;

/** Largest size of an empty folder: on the system disk of the node, or in memory, where it counts as memory of the service. */
export type ScratchSize = Size | { readonly memory: Size };

/** Empty folders by path. They end with their pod. */
export type Scratch = Readonly<Record<string, ScratchSize>>;

/** Names that volumes of the pod already have, and one that the construct library keeps. */
const TAKEN = /^(tmp|files|secrets?(-.*)?|scratch-.*|shared-\d+|constructor)$/;

/** What is wrong with the volumes of a service, as a sentence, or undefined. */
export function volumesProblem(volumes: unknown, what: string): string | undefined {
  if (typeof volumes !== 'object' || volumes === null || Array.isArray(volumes))
    return sentence({
      what: `${what} must be an object of volumes by name`,
      got: volumes,
      fix: "write it as { uploads: { path: '/uploads' } }",
    });
  const all = Object.entries(volumes as Record<string, Partial<VolumeMount> | null>);
  for (const [name, volume] of all) {
    const problem = nameProblem(name, what) ?? volumeProblem(volume, `${what}.${name}`);
    if (problem !== undefined) return problem;
  }
  const [first] = all;
  const other = all.find(([, volume]) => (volume!.perReplica ?? false) !== (first![1]!.perReplica ?? false));
  if (other)
    return sentence({
      what: `${what} must all have perReplica, or none`,
      got: `${first![0]} and ${other[0]}`,
      fix: 'set perReplica: true on each: pods of one service are made in one way',
    });
  return undefined;
}

function nameProblem(name: string, what: string): string | undefined {
  if (!/^[a-z]([-a-z0-9]{0,18}[a-z0-9])?$/.test(name))
    return sentence({
      what: `a name in ${what} must be a DNS label of at most 20 characters that starts with a letter`,
      got: name,
      fix: 'write it like uploads',
    });
  if (!TAKEN.test(name)) return undefined;
  return sentence({
    what: `a name in ${what} must differ from other volumes of the pod`,
    got: name,
    fix: 'name it after what it holds, like uploads',
  });
}

function volumeProblem(volume: Partial<VolumeMount> | null, what: string): string | undefined {
  if (typeof volume !== 'object' || volume === null)
    return sentence({ what: `${what} must be a volume`, got: volume, fix: "write it as { path: '/uploads' }" });
  const { path, folder, perReplica } = volume;
  const wrong = mountPathsProblem([path as string], `${what}.path`);
  if (wrong !== undefined) return wrong;
  if (normal(path as string) === SHARED_MEMORY)
    return sentence({
      what: `${what}.path must be a folder on a disk`,
      got: path,
      fix: "write scratch: { '/dev/shm': { memory: Size.mebibytes(64) } }: programs map this folder as memory",
    });
  if (perReplica !== undefined && typeof perReplica !== 'boolean')
    return sentence({
      what: `${what}.perReplica must be true or false`,
      got: perReplica,
      fix: 'write perReplica: true',
    });
  if (folder === undefined || (typeof folder === 'string' && /^[\w-][\w.-]{0,99}$/.test(folder))) return undefined;
  return sentence({
    what: `${what}.folder must be the name of one folder`,
    got: folder,
    allowed: 'letters, digits, -, _ and .',
    fix: 'write it like data, or leave it out for the whole volume',
  });
}

/** What is wrong with volumes and scratch folders beside the other options of a service, as sentences. `at` gives the place of a field. */
export function volumeProblems(options: PodsOfVolumes & Mounts, at: (field: string) => string): string[] {
  return [podsOfVolumesProblem(options, at), mountsProblem(options, at)].filter((each) => each !== undefined);
}

interface PodsOfVolumes {
  readonly volumes?: VolumeMounts;
  readonly replicas?: number;
  readonly autoscaling?: unknown;
}

interface Mounts {
  readonly sharedVolumes?: object;
  readonly volumes?: VolumeMounts;
  readonly scratch?: Scratch;
  readonly files?: MountedFiles;
  readonly secrets?: Secrets;
}

/** What is wrong with the number of pods of a service with volumes, as a sentence, or undefined. */
export function podsOfVolumesProblem(
  { volumes = {}, replicas, autoscaling }: PodsOfVolumes,
  at: (field: string) => string,
): string | undefined {
  const [first] = Object.entries(volumes);
  if (first === undefined) return undefined;
  const [name, { perReplica }] = first;
  if (autoscaling !== undefined)
    return sentence({
      what: `${at('autoscaling')} must not be set with volumes`,
      got: `volumes.${name}`,
      fix: `use replicas with volumes.${name}.perReplica: true: each pod needs a volume that exists before it`,
    });
  if (perReplica === true || replicas === undefined || replicas === 1) return undefined;
  return sentence({
    what: `${at('replicas')} must be 1 with a volume that pods share`,
    got: replicas,
    fix: `set volumes.${name}.perReplica: true for a volume for each pod, or keep the files in a database or an object storage`,
  });
}

/** What is wrong with scratch folders, as a sentence, or undefined. */
export function scratchProblem(scratch: unknown, what: string): string | undefined {
  if (typeof scratch !== 'object' || scratch === null || Array.isArray(scratch))
    return sentence({
      what: `${what} must be an object of sizes by path`,
      got: scratch,
      fix: "write it as { '/var/cache/app': Size.mebibytes(200) }",
    });
  for (const [path, size] of Object.entries(scratch)) {
    const place = `${what}[${JSON.stringify(path)}]`;
    const inMemory = (size as { memory?: unknown } | null)?.memory;
    const problem =
      mountPathsProblem([path], what) ??
      (normal(path) === SHARED_MEMORY ? sharedMemoryProblem(size, place) : undefined) ??
      (inMemory === undefined
        ? sizeProblem(size, place)
        : fieldsProblem<{ memory: Size }>(size, place, { memory: validSize }));
    if (problem !== undefined) return problem;
  }
  return undefined;
}

const validSize: Validator = (value, what) => sizeProblem(value, what);

function sharedMemoryProblem(size: unknown, what: string): string | undefined {
  if ((size as { memory?: unknown } | null)?.memory !== undefined) return undefined;
  return sentence({
    what: `${what} must be in memory`,
    got: size,
    fix: 'write { memory: Size.mebibytes(64) }: programs map this folder as memory',
  });
}

/** What is wrong with paths of volumes and scratch folders together, as a sentence, or undefined. Each is right by itself. */
function mountsProblem(
  { volumes = {}, sharedVolumes = {}, scratch = {}, files = {}, secrets = {} }: Mounts,
  at: (field: string) => string,
): string | undefined {
  const ofSecrets = Object.values(secrets).flatMap(({ path }) => path ?? []);
  const byPath = [withTmp(scratch), files, sharedVolumes].flatMap((each) => Object.keys(each));
  return mountPathsProblem(
    [...byPath, ...pathsOf(volumes), ...ofSecrets],
    `each path in ${at('volumes')}, sharedVolumes, scratch, files and secrets`,
  );
}

/** What is wrong with scratch folders in memory beside the memory of the service, as a sentence, or undefined. */
export function scratchMemoryProblem(scratch: Scratch | undefined, memory: Size, what: string): string | undefined {
  const inMemory = Object.values(scratch ?? {}).filter(isInMemory);
  if (inMemory.length === 0) return undefined;
  const sum = inMemory.reduce((total, size) => total + bytes(size.memory), 0);
  if (sum < bytes(memory)) return undefined;
  return sentence({
    what: `scratch folders of ${what} in memory must leave memory to its program`,
    got: `${sum / 1024 ** 2} MiB of ${bytes(memory) / 1024 ** 2} MiB`,
    fix: 'raise memory, or make them smaller: a full one ends the container (out of memory)',
  });
}

export function isInMemory(size: ScratchSize): size is { readonly memory: Size } {
  return (size as { memory?: unknown }).memory !== undefined;
}

/** Scratch folders with /tmp, which is always there. @param tmp its size where none is given */
export function withTmp<T>(scratch: Readonly<Record<string, T>>, tmp?: T): Readonly<Record<string, T>> {
  return { ['/tmp']: tmp as T, ...scratch };
}

function pathsOf(volumes: VolumeMounts): string[] {
  return Object.values(volumes).map(({ path }) => path);
}
