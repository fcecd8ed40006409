import type { AcceptedChange, Homelab } from '../../inventory';
import { identity, type Manifest } from './objects';

/** A change from the committed state to the new one: the input of the plan and the guard. */
export interface Step {
  /** The deployed state: dist/ of a Git ref. */
  readonly before: State;
  /** The new state. */
  readonly after: State;
  /** Version of Kubernetes that the cluster runs, as v1.36.3. @default the newest whose rules are known here */
  readonly kubernetes?: string;
  /** The homelab of the new state; undefined if constructs are used without one. */
  readonly homelab?: Homelab;
  /** Risks that the owner accepts. @default those of the homelab */
  readonly accept?: readonly AcceptedChange[];
}

/** Content of one dist/. */
export interface State {
  /** Every object, in the order of its files. */
  readonly objects: readonly Placed[];
  /** The entries of secrets.yaml, one for each namespace and name. */
  readonly secrets: readonly Manifest[];
  /** Files for machines, by their path below scripts/rendered. @default none */
  readonly machines?: ReadonlyMap<string, string>;
  /** Hash of dist/ as a Git tree; an entry that accepts everything names it. @default none: no entry matches */
  readonly tree?: string;
}

/** An object and its file. */
export interface Placed {
  /** Folder of dist/, which is the name of its Argo CD application. */
  readonly folder: string;
  /** Path below dist/. */
  readonly file: string;
  readonly object: Manifest;
}

/** One object before and after; at least one of the two is defined. */
export interface Pair {
  /** Group, kind, namespace and name: apps/StatefulSet cassandra/cassandra-r1. */
  readonly id: string;
  readonly before?: Placed;
  readonly after?: Placed;
}

/** Every object of a step, including unchanged ones, in the order of their folders and files. */
export function pairs({ before, after }: Step): Pair[] {
  const found = new Map<string, { id: string; before?: Placed; after?: Placed }>();
  for (const [side, { objects }] of [
    ['before', before],
    ['after', after],
  ] as const)
    for (const placed of objects) {
      const id = identity(placed.object);
      const pair = found.get(id) ?? { id };
      pair[side] = placed;
      found.set(id, pair);
    }
  const place = ({ before: was, after: is }: Pair) => (is ?? was)!.file;
  return [...found.values()].sort((a, b) => (place(a) < place(b) ? -1 : place(a) > place(b) ? 1 : 0));
}
