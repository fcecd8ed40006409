import type { Manifest } from './objects';

/**
 * What a change does, from harmless to worst; each field, object and plan has the worst that applies to it.
 *
 *   nothing       the cluster stays as it is: the API server fills in the same, or nobody acts on it
 *   live          updated in place, nothing restarts
 *   created       made anew
 *   pruned        deleted by Argo CD, with nothing in it that counts as data
 *   kept          leaves Git and stays in the cluster until its owner removes it
 *   restart       pods are replaced, as `rollout` says
 *   recreate      the object is deleted and made again
 *   access        somebody may do, reach or read more than before
 *   limit         a quota or the budget of a node is met on the way
 *   not-deployed  Argo CD leaves it out, or it waits for something that is not there
 *   refused       the API server refuses it: the sync fails
 *   data          data would be lost, or be there and not be found
 */
export const VERDICTS = [
  'nothing',
  'live',
  'created',
  'pruned',
  'kept',
  'restart',
  'recreate',
  'access',
  'limit',
  'not-deployed',
  'refused',
  'data',
] as const;

/** What a change does; VERDICTS has the meanings. */
export type ChangeVerdict = (typeof VERDICTS)[number];

/** One field of an object, before and after. */
export interface FieldChange {
  /** As spec.template.spec.containers[cassandra].image. */
  readonly path: string;
  /** Missing where the field is new. */
  readonly before?: unknown;
  /** Missing where the field is gone. */
  readonly after?: unknown;
  /** What the change of this field does. */
  readonly verdict: ChangeVerdict;
  /** Why, in one sentence. */
  readonly reason: string;
}

/** What happens to one object. */
export interface ObjectChange {
  /** As apps/StatefulSet cassandra/cassandra-r1. */
  readonly id: string;
  /** Folder of dist/. */
  readonly folder: string;
  /** As it is committed; missing where it is new. */
  readonly before?: Manifest;
  /** As it would be; missing where it leaves. */
  readonly after?: Manifest;
  /** The worst of its fields and of the risks that name it. */
  readonly verdict: ChangeVerdict;
  /** What the API server, the controllers and Argo CD make of it, without the risks that name it. @default verdict */
  readonly itself?: ChangeVerdict;
  /** Why, in one sentence. */
  readonly reason: string;
  /** What to do instead, where the API server refuses it. */
  readonly way?: string;
  /** Fields that differ, the worst verdict of each. */
  readonly fields: readonly FieldChange[];
  /** Pods that are replaced. @default none */
  readonly rollout?: Rollout;
}

/** Pods that are replaced. */
export interface Rollout {
  /** Names where they are known (StatefulSets), in the order in which they are replaced; else the name of the workload. */
  readonly pods: readonly string[];
  /** How many pods. */
  readonly count: number;
  /** As "one after another, from the last ordinal down", "all at once", "one more first, then the old one ends". */
  readonly order: string;
  /**
   * Sync wave of its application and its own, as 1/2. In one application a wave starts when the one before it is healthy;
   * applications that are there already sync each by itself, whatever their own waves are.
   */
  readonly wave: string;
  /** In seconds: what probes and grace make of it at least, and what they allow at most. */
  readonly seconds: { readonly least: number; readonly most: number };
  /** What goes on serving meanwhile, in one sentence. */
  readonly available: string;
  /** Workloads that are connected to it and notice, as services/chat. */
  readonly clients: readonly string[];
}

/** Something that one object alone does not show. */
export interface Risk {
  /** What kind of risk it is. */
  readonly verdict: 'data' | 'access' | 'limit' | 'not-deployed';
  /** Thing and aspect, as an accepted change names it: cassandra.racks. */
  readonly what: string;
  /** Ids of the objects in which it stands. */
  readonly objects: readonly string[];
  /** Field of those objects. @default the object as a whole */
  readonly path?: string;
  /** What it was, as an accepted change says it. */
  readonly from: string;
  /** What it becomes, as an accepted change says it. */
  readonly to: string;
  /** What would be lost, opened or missed, and why: one or two sentences. */
  readonly problem: string;
  /** The safe way, commit by commit, each with what to look at before the next one. @default none */
  readonly way?: readonly string[];
  /** Page and section of the documentation. */
  readonly docs?: string;
  /** The owner's reason, where homelab.ts accepts it. */
  readonly accepted?: string;
}

/** The next commit of a way that takes several. */
export interface NextCommit {
  /** What to write, as databases.mongodb.pods: 3. */
  readonly what: string;
  /** When it is safe, with the command that shows it. */
  readonly when: string;
}

/** What machines are told, and what that costs. */
export interface MachineChange {
  /** Name of the machine or host. */
  readonly machine: string;
  /** Files below scripts/rendered that say it. */
  readonly files: readonly string[];
  /** When and how it is taken over. */
  readonly effect: 'nothing' | 'live' | 'next-start' | 'node-reboot' | 'host-reboot' | 'new-machine' | 'gone' | 'data';
  /** Why, in one sentence. */
  readonly reason: string;
  /** Pods on it that stop meanwhile, as cassandra/cassandra-r1-0, and who notices. */
  readonly pods: readonly string[];
  /** Workloads that notice, as services/chat. */
  readonly clients: readonly string[];
  /** The command that carries it out. */
  readonly command?: string;
}

/** All that a step does. */
export interface Plan {
  /** What the second state is compared with, as HEAD (1a2b3c4). */
  readonly base: string;
  /** Objects that differ, by folder; unchanged ones are left out. */
  readonly changes: readonly ObjectChange[];
  /** What one object alone does not show, with the ways that are safe. */
  readonly risks: readonly Risk[];
  /** What machines are told; empty where no homelab is planned. */
  readonly machines: readonly MachineChange[];
  /** What the owner has to do after it. */
  readonly next: readonly NextCommit[];
  /** Commands that remove what stays behind, and other remarks, a line each. */
  readonly notes: readonly string[];
}

/** The worst of several. */
export function worst(verdicts: Iterable<ChangeVerdict>): ChangeVerdict {
  return [...verdicts].reduce(
    (a, b) => (VERDICTS.indexOf(a) >= VERDICTS.indexOf(b) ? a : b),
    'nothing' as ChangeVerdict,
  );
}
