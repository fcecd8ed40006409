import { membersPerRackProblem, membersProblem, podsProblem } from '../values/members';
import { sentence } from '../values/problem';
import { databasePods, diskSize } from './derived';
import type { Homelab, NodeLabel } from './homelab';
import { twice } from './reference';
import { at } from './shape';

/** Validates databases against the machines. */
export function databaseProblems(homelab: Homelab): string[] {
  const { databases: all, machines, preferredNodes } = homelab;
  const problems = preferredNodes ? labelProblems('preferredNodes', preferredNodes, machines) : [];
  for (const [name, database] of Object.entries(all)) {
    const place = at('databases', name);
    problems.push(...labelProblems(`${place}.nodeLabel`, database.nodeLabel, machines));
    const { key, value } = database.nodeLabel;
    for (const pod of databasePods(name, database)) {
      const elsewhere = Object.entries(machines).find(
        ([, machine]) => machine.kind === 'talos' && machine.dataDisks?.[pod] && machine.labels?.[key] !== value,
      );
      if (elsewhere) {
        const what = `${place} must have its disks on nodes labelled ${key}=${value}`;
        problems.push(
          sentence({ what, got: `disk ${pod} on ${elsewhere[0]}`, fix: 'move the disk, or label that machine' }),
        );
      }
    }
    const sizes = new Map(databasePods(name, database).map((pod) => [diskSize(homelab, pod)?.asString(), pod]));
    sizes.delete(undefined);
    if (sizes.size > 1) {
      const got = [...sizes].map(([size, pod]) => `${pod} ${size}`).join(', ');
      problems.push(
        sentence({ what: `${place} must have disks of one size`, got, fix: 'give all of its disks the same size' }),
      );
    }
    if (database.kind === 'mongodb') {
      const wrong = membersProblem(
        database.members,
        `${place}.members`,
        database.memberOptions,
        `${place}.memberOptions`,
      );
      if (wrong) problems.push(wrong);
    }
    if (database.kind === 'mongodb' && database.pods !== undefined) {
      const few = podsProblem(database.pods, database.members, `${place}.pods`);
      if (few) problems.push(few);
    }
    if (database.kind === 'cassandra' && database.membersPerRack !== undefined) {
      const many = membersPerRackProblem(
        database.membersPerRack,
        database.nodesPerRack ?? 1,
        `${place}.membersPerRack`,
      );
      if (many) problems.push(many);
    }
    if (database.kind === 'cassandra')
      problems.push(...twice(database.racks.map((rack, index) => [`${place}.racks[${index}]`, rack])));
  }
  // The cluster name keeps rings apart: otherwise a node that gets an old address of another ring would join that ring.
  const rings = Object.entries(all).flatMap(([name, database]) =>
    database.kind === 'cassandra'
      ? [[at(at('databases', name), 'clusterName'), database.clusterName] as [string, string]]
      : [],
  );
  problems.push(...twice(rings));
  return problems;
}

function labelProblems(place: string, { key, value }: NodeLabel, machines: Homelab['machines']): string[] {
  if (Object.values(machines).some((machine) => machine.kind === 'talos' && machine.labels?.[key] === value)) return [];
  const fix = `add labels: { '${key}': '${value}' } to the machine that should run it`;
  return [sentence({ what: `${place} must be a label of a machine`, got: `${key}=${value}`, fix })];
}
