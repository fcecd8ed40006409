import type { k8s } from 'cdk8s-plus-28';

/** Which nodes pods may, or would rather, run on. */
export class Placement {
  /** Only nodes whose label has one of the values. Pods stay Pending where there is none. */
  static onNodesLabelled(key: string, ...values: readonly [string, ...string[]]): Placement {
    return new Placement({
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key, operator: 'In', values: [...values] }] }],
      },
    });
  }

  /** Nodes whose label has one of the values first, any other when those are full or drained. */
  static preferNodesLabelled(key: string, ...values: readonly [string, ...string[]]): Placement {
    return new Placement({
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 100, preference: { matchExpressions: [{ key, operator: 'In', values: [...values] }] } },
      ],
    });
  }

  private constructor(
    /** As it stands in a pod's `affinity.nodeAffinity`. */
    readonly nodeAffinity: k8s.NodeAffinity,
  ) {}
}

/**
 * Spreads the pods that the labels select over nodes: as evenly as possible, but never at the price of not running. Only
 * pods that agree in `matchLabelKeys` are counted together.
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
