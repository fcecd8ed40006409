import { planStep } from '../../../checks/step';
import type { State } from '../../../checks/step/step';
import type { Json } from '../cluster/client';
import type { Seen } from './workload-trial';

/**
 * Where the plan of a case, made of what was sent alone, and what happened disagree: refused or not, pods replaced or not, how
 * many and in which order. Undefined where they do not.
 */
export function planDisagreement(seen: Seen, kubernetes: string): string | undefined {
  const [change] = planStep({ before: state(seen.before), after: state(seen.after), kubernetes }, 'before').changes;
  const verdict = change?.itself ?? change?.verdict ?? 'nothing';
  const says = `the plan says ${verdict}: ${change?.reason ?? 'nothing changes'}`;
  if (seen.refused !== undefined)
    return verdict === 'refused' ? undefined : `${says}; refused: ${seen.refused.slice(0, 200)}`;
  if (verdict === 'refused') return `${says}; and it was accepted`;
  // What an earlier change left behind does not stand in what was sent.
  if (!seen.pods || seen.case.history.length > 0) return undefined;
  const planned = change?.rollout?.count ?? 0;
  // How many nodes there are, the plan does not know without a homelab.
  const replaced = seen.next.kind === 'DaemonSet' ? Math.min(1, seen.pods.replaced) : seen.pods.replaced;
  if (planned !== replaced) return `${says}, ${planned} pods; replaced were ${replaced}`;
  if ((verdict === 'restart') !== replaced > 0) return `${says}; replaced were ${replaced}`;
  const names = seen.next.kind === 'StatefulSet' && planned > 0 ? change!.rollout!.pods : [];
  return names.join() === (seen.pods.names ?? []).join()
    ? undefined
    : `${says}, ${names.join()}; it was ${seen.pods.names!.join()}`;
}

function state(object: Json): State {
  return { objects: [{ folder: 'own', file: 'own/object.yaml', object }], secrets: [] };
}
