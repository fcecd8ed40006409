import { sentence } from '../values/problem';
import type { Homelab } from './homelab';
import { plain } from './plain';
import { referenceProblems } from './references';
import { homelabRule } from './shapes';

/** Maximum number of problems to print: more usually come from one mistake in a loop. */
const MAX_SHOWN = 50;

/** Reports all problems of a homelab at once. */
export class HomelabError extends Error {
  constructor(
    /** One sentence each: what, the value got, what is allowed, the fix. */
    readonly problems: readonly string[],
  ) {
    const first = problems.slice(0, MAX_SHOWN).map((problem) => `  - ${problem}`);
    const rest = problems.length > MAX_SHOWN ? [`  and ${problems.length - MAX_SHOWN} more`] : [];
    super(
      [
        `homelab.ts has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:`,
        ...first,
        ...rest,
      ].join('\n'),
    );
    this.name = 'HomelabError';
  }
}

/** Validates a homelab and returns it as plain data. @throws HomelabError with every problem: what, the value got, what is allowed, the fix */
export function defineHomelab(written: Homelab): Homelab {
  const problems: string[] = [];
  const homelab = plain(written, problems) as Homelab;
  if (problems.length === 0) homelabRule(homelab, '', problems);
  if (problems.length === 0) {
    const controlPlanes = Object.values(homelab.machines).filter(
      (machine) => machine.kind === 'talos' && machine.role === 'control-plane',
    ).length;
    if (controlPlanes % 2 === 0)
      problems.push(
        sentence({
          what: 'machines must hold an odd number of Talos control planes, so that etcd has a majority',
          got: controlPlanes,
          fix: "give one machine role: 'control-plane'",
        }),
      );
    problems.push(...referenceProblems(homelab));
  }
  if (problems.length > 0) throw new HomelabError(problems);
  return homelab;
}
