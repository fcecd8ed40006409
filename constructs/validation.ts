import { Chart } from 'cdk8s';
import type { IConstruct } from 'constructs';
import { sentence, type Problem } from '../values/problem';

/** Throws a problem, with the path of the construct that got the value. */
export function fail(scope: IConstruct, problem: Problem | string): never {
  throw new Error(`${scope.node.path}: ${typeof problem === 'string' ? problem : sentence(problem)}`);
}

/** Throws the first problem (a sentence); undefined means that a value is valid. */
export function assertValid(scope: IConstruct, ...problems: readonly (string | undefined)[]): void {
  const first = problems.find((problem) => problem !== undefined);
  if (first !== undefined) fail(scope, first);
}

/** The given namespace, or the chart's. @throws when there is neither: objects would end up in kubectl's current namespace. */
export function namespaceOf(scope: IConstruct, given: string | undefined): string {
  const namespace = given ?? Chart.of(scope).namespace;
  if (namespace !== undefined) return namespace;
  return fail(scope, {
    what: 'a namespace must be known',
    got: undefined,
    fix: "give the construct a `namespace`, or its chart: new Chart(app, 'apps', { namespace: 'apps' })",
  });
}

const validators = new WeakMap<IConstruct, Set<(root: IConstruct) => string[]>>();

/** Validates the whole tree at synthesis, once for each validator, for any number of calls. */
export function validateTree(scope: IConstruct, validate: (root: IConstruct) => string[]): void {
  const { root } = scope.node;
  const known = validators.get(root) ?? new Set();
  if (known.has(validate)) return;
  validators.set(root, known.add(validate));
  root.node.addValidation({ validate: () => validate(root) });
}
