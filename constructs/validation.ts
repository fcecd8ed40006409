import { Chart } from 'cdk8s';
import type { IConstruct } from 'constructs';
import { sentence, type Problem } from '../values/problem';

/** Throws what is wrong, with the path of the construct that was given the value. */
export function fail(scope: IConstruct, problem: Problem | string): never {
  throw new Error(`${scope.node.path}: ${typeof problem === 'string' ? problem : sentence(problem)}`);
}

/** Refuses when one of the judgements found a problem (a sentence); undefined means that all is well. */
export function assertValid(scope: IConstruct, ...problems: readonly (string | undefined)[]): void {
  const first = problems.find((problem) => problem !== undefined);
  if (first !== undefined) fail(scope, first);
}

/** The namespace that was given, or the chart's. @throws when there is neither: objects would land in whatever namespace kubectl has. */
export function namespaceOf(scope: IConstruct, given: string | undefined): string {
  const namespace = given ?? Chart.of(scope).namespace;
  if (namespace !== undefined) return namespace;
  return fail(scope, {
    what: 'a namespace must be known',
    got: undefined,
    fix: "give the construct a `namespace`, or its chart: new Chart(app, 'apps', { namespace: 'apps' })",
  });
}

const judged = new WeakMap<IConstruct, Set<(root: IConstruct) => string[]>>();

/** Judges the whole tree when it is synthesized, once, however many constructs ask for it. */
export function validateTree(scope: IConstruct, judge: (root: IConstruct) => string[]): void {
  const { root } = scope.node;
  const judges = judged.get(root) ?? new Set();
  if (judges.has(judge)) return;
  judged.set(root, judges.add(judge));
  root.node.addValidation({ validate: () => judge(root) });
}
