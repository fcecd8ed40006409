import type { k8s } from 'cdk8s-plus-28';
import type { On } from '../values/privileges';

/** Nodes that pods require or prefer. */
export class Placement {
  /** Requires nodes whose label has one of the values. Pods stay Pending when no such node exists. */
  static onNodesLabelled(key: string, ...values: readonly [string, ...string[]]): Placement {
    return new Placement({
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key, operator: 'In', values: [...values] }] }],
      },
    });
  }

  /** Prefers nodes whose label has one of the values. Pods run on other nodes when these are full or drained. */
  static preferNodesLabelled(key: string, ...values: readonly [string, ...string[]]): Placement {
    return new Placement({
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 100, preference: { matchExpressions: [{ key, operator: 'In', values: [...values] }] } },
      ],
    });
  }

  private constructor(
    /** Renders `affinity.nodeAffinity` of a pod. */
    readonly nodeAffinity: k8s.NodeAffinity,
  ) {}
}

/** The nodes that a service requires. */
export function requiredNodes(on: On): Placement {
  return typeof on === 'string'
    ? Placement.onNodesLabelled('kubernetes.io/hostname', on)
    : Placement.onNodesLabelled(on.key, on.value);
}

/**
 * Spreads the selected pods over nodes as evenly as possible, but schedules them anyway if that is impossible. Only pods with the
 * same values of `matchLabelKeys` are counted together.
 */
export function spreadOverNodes(
  matchLabels: Readonly<Record<string, string>>,
  matchLabelKeys?: readonly string[],
): k8s.TopologySpreadConstraint[] {
  return [
    {
      maxSkew: 1,
      topologyKey: 'kubernetes.io/hostname',
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: { matchLabels: { ...matchLabels } },
      matchLabelKeys: matchLabelKeys && [...matchLabelKeys],
    },
  ];
}
