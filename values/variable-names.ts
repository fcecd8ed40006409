import { sentence } from './problem';

/** Names that the API server of every supported version accepts (IsEnvVarName of apimachinery). */
const ANY_VERSION = /^[-._A-Za-z][-._A-Za-z0-9]*$/;
/** Names that it accepts from Kubernetes 1.32 on (RelaxedEnvironmentVariableValidation): printable ASCII without =. */
const RELAXED = /^[ -<>-~]+$/;
/** First minor version of Kubernetes in which the relaxed names are on by default. */
const RELAXED_SINCE = 32;

/**
 * What is wrong with the name of an environment variable, as a sentence, or undefined.
 * @param kubernetes version of the API server, such as v1.36.3; undefined when it is unknown, which then accepts the relaxed names
 */
export function variableNameProblem(value: unknown, what: string, kubernetes?: string): string | undefined {
  const name = typeof value === 'string' ? value : '';
  const problem = (allowed: string, fix: string) =>
    sentence({ what: `${what} must be the name of an environment variable`, got: value, allowed, fix });
  if (!RELAXED.test(name))
    return problem('printable ASCII characters other than =', 'rename it, for example to LOG_LEVEL');
  if (ANY_VERSION.test(name) && name !== '.' && !name.startsWith('..')) return undefined;
  if (kubernetes === undefined || minorOf(kubernetes) >= RELAXED_SINCE) return undefined;
  return problem(
    `letters, digits, _, - and ., not starting with a digit or .. in Kubernetes ${kubernetes}`,
    `rename it, or use Kubernetes 1.${RELAXED_SINCE} or newer`,
  );
}

function minorOf(version: string): number {
  return Number(/^v?1\.(\d+)/.exec(version)?.[1] ?? 0);
}
