import type { AcceptedChange, Homelab } from '../../inventory';
import { identity, type Manifest } from './objects';

/** A change from what is committed to what would be: what the plan and its guard judge. */
export interface Step {
  /** What is deployed: dist/ of a Git ref. */
  readonly before: State;
  /** What would be deployed after it. */
  readonly after: State;
  /** Version of Kubernetes that the cluster runs, as v1.36.3. @default the newest whose rules are known here */
  readonly kubernetes?: string;
  /** The homelab that the second state was rendered from; constructs are used without one, too. */
  readonly homelab?: Homelab;
  /** Risks that the owner lets through. @default those of the homelab */
  readonly accept?: readonly AcceptedChange[];
}

/** All that one dist/ says. */
export interface State {
  /** Every object, in the order of its files. */
  readonly objects: readonly Placed[];
  /** What secrets.yaml lists: one entry per namespace and name. */
  readonly secrets: readonly Manifest[];
  /** Files that machines are told, by their path below scripts/rendered. @default none */
  readonly machines?: ReadonlyMap<string, string>;
  /** Hash of dist/ as Git's tree, to which an accepted change of everything is bound. @default none: nothing matches it */
  readonly tree?: string;
}

/** An object and where it stands. */
export interface Placed {
  /** Folder of dist/, which is the name of its Argo CD application. */
  readonly folder: string;
  /** Below dist/. */
  readonly file: string;
  readonly object: Manifest;
}

/** One object before and after; at least one of the two is there. */
export interface Pair {
  /** Group, kind, namespace and name: apps/StatefulSet cassandra/cassandra-r1. */
  readonly id: string;
  readonly before?: Placed;
  readonly after?: Placed;
}

/** Every object of a step, those that do not change included, in the order of their folders and files. */
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
