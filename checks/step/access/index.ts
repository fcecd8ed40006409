import type { Risk } from '../plan';
import type { Pair, Step } from '../step';
import { grouped } from '../workloads';
import { copyRisks } from './copies';
import { entryRisks } from './entries';
import { hardeningRisks } from './hardening';
import { loginRisks } from './logins';
import { namespaceRisks } from './namespaces';
import { openings, type Opening } from './network';
import { isDns } from './peer-text';
import { projectRisks } from './projects';
import { bootstrapNote, newSecrets, plainRisks, readerRisks, spreadRisks, type NewSecrets } from './secrets';
import { rightRisks } from './subjects';
import { listed, viewOf, type View, type Workload } from './view';
import { waitingRisks } from './waiting';

/**
 * Finds subjects and pods that may do, reach or read more than before. Compares what objects permit: renamed, reordered or
 * split objects are no risk. Reports the needs of a new service in one line.
 */
export function accessRisks({ before, after }: Step, pairs: readonly Pair[]): Risk[] {
  const [was, is] = [viewOf(before), viewOf(after)];
  const opened = openings(was, is);
  const secrets = newSecrets(was, is);
  return [
    ...namespaceRisks(pairs),
    ...rightRisks(was, is),
    ...hardeningRisks(was, is),
    ...networkRisks(opened.filter(({ isNew, outside, direction }) => !isNew || (outside && direction === 'egress'))),
    ...entryRisks(was, is),
    ...loginRisks(was, is),
    ...copyRisks(was, is),
    ...projectRisks(pairs),
    ...readerRisks(secrets, was, is),
    ...spreadRisks(secrets, was, is),
    ...plainRisks(was, is),
    ...newcomers(
      opened.filter(({ isNew, outside, direction }) => isNew && !(outside && direction === 'egress')),
      secrets.filter(({ isNew }) => isNew),
      was,
      is,
    ),
    ...waitingRisks(was, is),
  ];
}

/** One risk for each direction of a workload. Workloads of a namespace with the same change share a risk. */
function networkRisks(opened: readonly Opening[]): Risk[] {
  const subjects = grouped(opened, ({ subject, direction }) => `${direction} ${subject.id}`);
  const alike = grouped([...subjects.values()], (all) =>
    JSON.stringify([all[0]!.direction, all[0]!.subject.namespace, all.map(({ peer }) => peer).sort()]),
  );
  return [...alike.values()].map((groups) => networkRisk(groups));
}

function networkRisk(groups: readonly (readonly Opening[])[]): Risk {
  const [all] = groups as [readonly Opening[]];
  const { direction, subject } = all[0]!;
  const names = [...new Set(groups.map(([first]) => first!.subject.name))];
  const peers = [...new Set(all.map(({ peer }) => peer))];
  const out = direction === 'egress';
  const outward = all.some(({ outside }) => outside);
  const verb = out ? 'may newly reach' : 'can newly be reached from';
  const extra = out && outward ? ' These targets are outside the cluster.' : '';
  const objects = [...new Set(groups.flat().flatMap((each) => each.objects))];
  return {
    verdict: 'access',
    what: `${names.length === 1 ? subject.name : subject.namespace}.${direction}`,
    objects: objects.length > 0 ? objects : groups.map(([first]) => first!.subject.id),
    path: `spec.${direction}`,
    from: 'not permitted',
    to: listed(peers),
    problem: `${podsOf(names)} ${verb} ${listed(peers)}.${extra}`,
  };
}

/** Names of pods that are not rendered contain the word pods already. */
function podsOf(names: readonly string[]): string {
  const text = listed([...names].sort((a, b) => Number(!a.includes('/')) - Number(!b.includes('/'))));
  return names.every((name) => !name.includes('/')) ? `${text[0]!.toUpperCase()}${text.slice(1)}` : `Pods of ${text}`;
}

/** What a new workload connects to, is reached from and reads: one line each. */
function newcomers(opened: readonly Opening[], secrets: readonly NewSecrets[], before: View, after: View): Risk[] {
  const found = new Map<string, { workload: Workload; texts: string[]; names: readonly string[]; objects: string[] }>();
  const entry = (workload: Workload) => {
    const known = found.get(workload.id) ?? { workload, texts: [], names: [], objects: [] };
    found.set(workload.id, known);
    return known;
  };
  for (const [, all] of grouped(opened, ({ subject, direction }) => `${direction} ${subject.id}`)) {
    const peers = [...new Set(all.map(({ peer }) => peer))].filter((peer) => !isDns(peer));
    if (peers.length === 0) continue;
    const { subject, direction } = all[0]!;
    const known = entry(subject);
    known.texts.push(`${direction === 'egress' ? 'may reach' : 'is reached from'} ${listed(peers)}`);
    known.objects.push(...all.flatMap(({ objects }) => objects));
  }
  for (const { workload, names } of secrets) {
    const known = entry(workload);
    known.texts.push(`reads the secrets ${listed(names)}`);
    known.names = names;
  }
  return [...found.values()].map(({ workload, texts, names, objects }) => ({
    verdict: 'access',
    what: workload.name,
    objects: [...new Set([...(after.byId.has(workload.id) ? [workload.id] : []), ...objects])],
    from: 'nothing',
    to: `new: ${texts.join('; ')}`,
    problem: `New: ${workload.name} ${texts.join('; ')}.${bootstrapNote(names, workload.namespace, before, after)}`,
  }));
}
