/**
 * What a Deployment, StatefulSet or DaemonSet still waits for, or undefined when all its pods are of the newest kind and
 * ready. Asked for again and again: kubectl's own `rollout status` ends with the request's deadline.
 */
export function rolloutProblem({ kind, metadata, spec, status = {} }: any): string | undefined {
  if (status.observedGeneration === undefined || status.observedGeneration < metadata.generation)
    return 'its controller has not seen the change yet';
  const wanted: number = kind === 'DaemonSet' ? status.desiredNumberScheduled : (spec.replicas ?? 1);
  const updated: number = (kind === 'DaemonSet' ? status.updatedNumberScheduled : status.updatedReplicas) ?? 0;
  const ready: number = (kind === 'DaemonSet' ? status.numberAvailable : status.readyReplicas) ?? 0;
  if (updated < wanted) return `${updated} of ${wanted} pods are new`;
  if (kind !== 'DaemonSet' && (status.replicas ?? 0) > wanted)
    return `${status.replicas - wanted} old pods are still there`;
  return ready < wanted ? `${ready} of ${wanted} pods are ready` : undefined;
}
