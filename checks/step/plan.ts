import type { Manifest } from './objects';

/**
 * The effect of a change, from harmless to worst; each field, object and plan has the worst that applies.
 *
 *   nothing       the cluster does not change: the API server stores the same, or nothing reacts to it
 *   live          updated in place, nothing restarts
 *   created       created
 *   pruned        deleted by Argo CD; it holds no data
 *   kept          leaves Git and stays in the cluster until its owner removes it
 *   restart       pods are replaced, as `rollout` says
 *   recreate      the object is deleted and recreated
 *   access        a subject, pod or person may do, reach or read more than before
 *   limit         a quota or the budget of a node is exceeded on the way
 *   not-deployed  Argo CD does not deploy it, or it waits for something that does not exist
 *   refused       the API server refuses it: the sync fails
 *   data          data would be lost, or still exist but not be found
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

/** The effect of a change; VERDICTS explains each. */
export type ChangeVerdict = (typeof VERDICTS)[number];

/** One field of an object, before and after. */
export interface FieldChange {
  /** As spec.template.spec.containers[cassandra].image. */
  readonly path: string;
  /** Undefined if the field is new. */
  readonly before?: unknown;
  /** Undefined if the field is removed. */
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
  /** The committed object; undefined if it is new. */
  readonly before?: Manifest;
  /** The new object; undefined if it leaves. */
  readonly after?: Manifest;
  /** The worst of its fields and of the risks that name it. */
  readonly verdict: ChangeVerdict;
  /** Effect by the API server, the controllers and Argo CD, without the risks that name it. @default verdict */
  readonly itself?: ChangeVerdict;
  /** Why, in one sentence. */
  readonly reason: string;
  /** What to do instead if the API server refuses it. */
  readonly way?: string;
  /** Fields that differ, the worst verdict of each. */
  readonly fields: readonly FieldChange[];
  /** Pods that are replaced. @default none */
  readonly rollout?: Rollout;
}

/** Pods that are replaced. */
export interface Rollout {
  /** Names if they are known (StatefulSets), in the order of replacement; else the name of the workload. */
  readonly pods: readonly string[];
  /** How many pods. */
  readonly count: number;
  /** As "one after another, from the last ordinal down", "all at once", "one more first, then the old one ends". */
  readonly order: string;
  /**
   * Sync wave of its application and its own, as 1/2. In one application a wave starts when the one before it is healthy;
   * existing applications sync independently; their own waves do not matter.
   */
  readonly wave: string;
  /**
   * Jobs that the step starts in an earlier wave of the same application, as services/chat-before-1a2b3c4d5e. The pods are replaced
   * after these have succeeded; if one fails, they stay as they are. @default none
   */
  readonly after?: readonly string[];
  /** In seconds, without the Jobs in `after`: the least and the most time by probes and grace period. */
  readonly seconds: { readonly least: number; readonly most: number };
  /** What keeps serving meanwhile, in one sentence. */
  readonly available: string;
  /** Connected workloads that notice it, as services/chat. */
  readonly clients: readonly string[];
}

/** A risk that one object alone does not show. */
export interface Risk {
  /** What kind of risk it is. */
  readonly verdict: 'data' | 'access' | 'limit' | 'not-deployed';
  /** Thing and aspect, as an accepted change names it: cassandra.racks. */
  readonly what: string;
  /** Ids of its objects. */
  readonly objects: readonly string[];
  /** Field of those objects. @default the object as a whole */
  readonly path?: string;
  /** The old value, as written in an accepted change. */
  readonly from: string;
  /** The new value, as written in an accepted change. */
  readonly to: string;
  /** The problem and its reason: one or two sentences. */
  readonly problem: string;
  /** The safe way, commit by commit, with what to check before the next one. @default none */
  readonly way?: readonly string[];
  /** Page and section of the documentation. */
  readonly docs?: string;
  /** The owner's reason if homelab.ts accepts it. */
  readonly accepted?: string;
}

/** The next commit of a change that takes several. */
export interface NextCommit {
  /** What to write, as databases.mongodb.pods: 3. */
  readonly what: string;
  /** When it is safe, with the command that shows it. */
  readonly when: string;
}

/** A change of a machine's files, and its effect. */
export interface MachineChange {
  /** Name of the machine or host. */
  readonly machine: string;
  /** The changed files below scripts/rendered. */
  readonly files: readonly string[];
  /** When and how it is applied. */
  readonly effect: 'nothing' | 'live' | 'next-start' | 'node-reboot' | 'host-reboot' | 'new-machine' | 'gone' | 'data';
  /** Why, in one sentence. */
  readonly reason: string;
  /** Pods on it that stop meanwhile, as cassandra/cassandra-r1-0. */
  readonly pods: readonly string[];
  /** Workloads that notice, as services/chat. */
  readonly clients: readonly string[];
  /** The command that applies it. */
  readonly command?: string;
}

/** All that a step does. */
export interface Plan {
  /** Name of the base, as HEAD (1a2b3c4). */
  readonly base: string;
  /** Objects that differ, by folder; unchanged ones are left out. */
  readonly changes: readonly ObjectChange[];
  /** Risks that one object alone does not show, with the safe ways. */
  readonly risks: readonly Risk[];
  /** Changes of machines; empty without a homelab. */
  readonly machines: readonly MachineChange[];
  /** What to do after it. */
  readonly next: readonly NextCommit[];
  /** Commands that remove what is left over, and other remarks, one line each. */
  readonly notes: readonly string[];
}

/** The worst of several. */
export function worst(verdicts: Iterable<ChangeVerdict>): ChangeVerdict {
  return [...verdicts].reduce(
    (a, b) => (VERDICTS.indexOf(a) >= VERDICTS.indexOf(b) ? a : b),
    'nothing' as ChangeVerdict,
  );
}
