import type { Manifest } from '../objects';
import type { Risk } from '../plan';
import type { Pair } from '../step';

const ENFORCE = 'pod-security.kubernetes.io/enforce';

/** Levels from permissive to strict. Without a label the default of the cluster applies: Talos enforces baseline, plain Kubernetes nothing. */
const LEVELS = ['privileged', undefined, 'baseline', 'restricted'];

/** Namespaces that admit pods which they rejected before. The levels of `warn` and `audit` reject nothing. */
export function namespaceRisks(pairs: readonly Pair[]): Risk[] {
  return pairs.flatMap(({ id, before, after }) => {
    if (after?.object.kind !== 'Namespace') return [];
    const [was, is] = [levelOf(before?.object), levelOf(after.object)];
    const { name } = after.object.metadata;
    if (!before && is.level !== 'privileged') return [];
    if (before && !isLower(was, is)) return [];
    const from = before ? levelText(was) : 'no namespace';
    return [
      {
        verdict: 'access',
        what: `${name}.podSecurity`,
        objects: [id],
        path: `metadata.labels[${ENFORCE}]`,
        from,
        to: levelText(is),
        problem: `The namespace ${name} admits pods that it refused before: Pod Security ${from} becomes ${levelText(is)}.`,
      },
    ];
  });
}

interface Level {
  readonly level?: string;
  readonly version: string;
}

function levelOf(namespace: Manifest | undefined): Level {
  const labels = namespace?.metadata.labels ?? {};
  return { level: labels[ENFORCE], version: labels[`${ENFORCE}-version`] ?? 'latest' };
}

/** Newer versions of a level reject more pods. */
function isLower(was: Level, is: Level): boolean {
  const [old, now] = [LEVELS.indexOf(was.level), LEVELS.indexOf(is.level)];
  if (old !== now) return now < old;
  return is.level !== undefined && is.level !== 'privileged' && minor(is.version) < minor(was.version);
}

function minor(version: string): number {
  return version === 'latest' ? Infinity : Number(version.split('.')[1]);
}

function levelText({ level, version }: Level): string {
  if (level === undefined) return "the cluster's default";
  return version === 'latest' ? level : `${level} of ${version}`;
}
