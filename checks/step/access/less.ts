import type { Step } from '../step';
import { grouped } from '../workloads';
import { lessRights } from './logins';
import { openings } from './network';
import { newSecrets } from './secrets';
import { listed, viewOf, type View } from './view';

/**
 * Lists subjects and pods that may do, reach or read less than before. That is safe, but clients that still try will fail. Leaves
 * out removed workloads.
 */
export function lessAccess({ before, after }: Step): string[] {
  const [was, is] = [viewOf(before), viewOf(after)];
  const secrets = newSecrets(is, was)
    .filter(({ isNew }) => !isNew)
    .map(({ workload, names }) => `${workload.name} no longer reads the secrets ${listed(names)}`);
  return [...lessRights(was, is), ...closings(was, is), ...secrets].map((line) => `Less access: ${line}.`);
}

/** Connections that pods of a namespace lose. Pods with the same change share a line. */
function closings(was: View, is: View): string[] {
  const closed = openings(is, was).filter(({ isNew }) => !isNew);
  const subjects = [...grouped(closed, ({ subject, direction }) => `${direction} ${subject.id}`).values()].map(
    (all) => {
      const { subject, direction } = all[0]!;
      const verb = direction === 'egress' ? 'may no longer reach' : 'can no longer be reached from';
      const says = `${verb} ${listed([...new Set(all.map(({ peer }) => peer))].sort())}`;
      return { subject, says };
    },
  );
  return [...grouped(subjects, ({ subject, says }) => `${subject.namespace} ${says}`).values()].map(
    (all) => `${listed(all.map(({ subject }) => subject.name))} ${all[0]!.says}`,
  );
}
