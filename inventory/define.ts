import { sentence } from '../values/problem';
import type { Homelab } from './homelab';
import { referenceProblems } from './references';
import { homelabRule } from './shapes';

/** Everything that is wrong with a homelab, at once. */
export class HomelabError extends Error {
  constructor(
    /** One sentence each: what, the value got, what is allowed, the fix. */
    readonly problems: readonly string[],
  ) {
    super(
      `homelab.ts has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`,
    );
    this.name = 'HomelabError';
  }
}

/** Judges a homelab where it is written. @throws HomelabError with every problem: what, the value got, what is allowed, the fix */
export function defineHomelab(homelab: Homelab): Homelab {
  const problems: string[] = [];
  homelabRule(homelab, '', problems);
  if (problems.length === 0) {
    const controlPlanes = Object.values(homelab.machines).filter(
      (machine) => machine.kind === 'talos' && machine.role === 'control-plane',
    ).length;
    if (controlPlanes % 2 === 0)
      problems.push(
        sentence({
          what: 'machines must hold one Talos control plane, or an odd number for etcd to agree',
          got: controlPlanes,
          fix: "give one machine role: 'control-plane'",
        }),
      );
    problems.push(...referenceProblems(homelab));
  }
  if (problems.length > 0) throw new HomelabError(problems);
  return homelab;
}
