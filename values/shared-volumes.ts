import { mountPathsProblem } from './files';
import { sentence } from './problem';
import { USER } from './processes';

/** A volume of another service of the same namespace, mounted here too: by a backup job, or a worker that makes previews. */
export interface SharedVolume {
  /** Name of the service that has the volume. */
  readonly of: string;
  /** Name of the volume in its `volumes`. */
  readonly volume: string;
  /** Whether the mount refuses writes. SQLite needs writes also to read a database that is in use. @default false */
  readonly readOnly?: boolean;
}

/** Volumes of other services by the absolute path at which they are mounted. */
export type SharedVolumes = Readonly<Record<string, SharedVolume>>;

/** What is wrong with the form of shared volumes, as a sentence, or undefined. */
export function sharedVolumesProblem(shared: unknown, what: string): string | undefined {
  const form = "{ '/var/lib/forge': { of: 'forge', volume: 'data' } }";
  if (typeof shared !== 'object' || shared === null || Array.isArray(shared))
    return sentence({ what: `${what} must be an object of volumes by path`, got: shared, fix: `write it as ${form}` });
  return mountPathsProblem(Object.keys(shared), what);
}

/** A volume of one service that the pods of another mount, as far as a rule can tell. */
interface Sharing {
  /** Place of the mount, for the sentence. */
  readonly what: string;
  /** Owner and volume, for the sentence. */
  readonly name: string;
  readonly perReplica: boolean;
  /** Whether it is a disk of a machine, which ties all pods that mount it to that machine. */
  readonly isDisk: boolean;
  /** Users of the pods of the owner and of the others. */
  readonly users: { readonly owner: number; readonly other: number };
}

/** Why pods of another service cannot mount a volume, as a sentence, or undefined. */
export function sharingProblem({ what, name, perReplica, isDisk, users }: Sharing): string | undefined {
  if (perReplica)
    return sentence({
      what: `${what} must be a volume that its service has once`,
      got: `${name}, which is one for each replica`,
      fix: 'let the service itself copy its files, or give it one replica without perReplica',
    });
  if (!isDisk)
    return sentence({
      what: `${what} must be a disk of a machine`,
      got: `${name}, which a storage class makes`,
      fix: 'move it to a disk: a volume of a class is attached to one node, and nothing keeps both pods there',
    });
  if (users.owner === users.other) return undefined;
  return sentence({
    what: `${what} must be mounted by the user that owns its files, ${users.owner}`,
    got: users.other,
    fix: `set user: ${users.owner}: another group would take the files from the service`,
  });
}

/** User and group of the pods of a service. */
export function userOf({
  user = USER,
  allow,
}: {
  readonly user?: number;
  readonly allow?: { readonly root?: unknown };
}) {
  return allow?.root === undefined ? user : 0;
}
