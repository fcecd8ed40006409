import type { Manifest } from '../objects';
import { claimTemplates, podNames } from '../data/workloads';
import type { Risk } from '../plan';
import { referencesOf, type Reference } from './references';
import { earlier, listed, type View, type Workload } from './view';

/**
 * Pods that newly need an object which the repository does not create. They do not start until it exists. Does not report objects
 * that they needed before and that are created elsewhere. Reports objects that leave Git while pods need them.
 */
export function waitingRisks(before: View, after: View): Risk[] {
  const made = { before: madeByOthers(before), after: madeByOthers(after) };
  return [...after.workloads.values()].flatMap((workload) => {
    const then = earlier(workload, before);
    const old = new Set(then ? needs(then).map(key) : []);
    const missing = needs(workload).filter(
      (need) =>
        !isThere(need, workload, after, made.after) &&
        (!old.has(key(need)) || isThere(need, workload, before, made.before)),
    );
    if (missing.length === 0) return [];
    return [risk(workload, [...new Set(missing.map(({ kind, name }) => `${kind} ${name}`))], missing, old)];
  });
}

function risk(
  { name, id }: Workload,
  texts: readonly string[],
  missing: readonly Reference[],
  old: ReadonlySet<string>,
): Risk {
  const leaves = missing.every((need) => old.has(key(need)));
  return {
    verdict: 'not-deployed',
    what: `${name}.waits`,
    objects: [id],
    path: 'spec.template.spec',
    from: leaves ? `${listed(texts)} in Git` : 'not needed',
    to: `${listed(texts)}, not created here`,
    problem: leaves
      ? `Pods of ${name} need ${listed(texts)}, which leaves Git in this step: they do not start again without it.`
      : `Pods of ${name} newly need ${listed(texts)}, which neither dist/ nor secrets.yaml has: they wait until it exists.`,
    way: [`Create ${listed(texts)} first, or render it.`],
  };
}

function needs(workload: Workload): Reference[] {
  return referencesOf(workload).filter(({ optional }) => !optional);
}

function key({ kind, name }: Reference): string {
  return `${kind} ${name}`;
}

function isThere({ kind, name }: Reference, { namespace }: Workload, view: View, made: ReadonlySet<string>): boolean {
  if (kind === 'PriorityClass')
    return name.startsWith('system-') || view.byId.has(`scheduling.k8s.io/PriorityClass /${name}`);
  if (kind === 'ServiceAccount' && name === 'default') return true;
  if (kind === 'ConfigMap' && name === 'kube-root-ca.crt') return true;
  if (view.byId.has(`/${kind} ${namespace}/${name}`)) return true;
  if (kind === 'PersistentVolumeClaim') return made.has(`${kind} ${namespace}/${name}`);
  return kind === 'Secret' && (view.secrets.has(`${namespace}/${name}`) || made.has(`${kind} ${namespace}/${name}`));
}

/** Kinds from which an operator creates a Secret, and the field with its name. */
const MAKERS: Readonly<Record<string, (object: Manifest) => unknown>> = {
  Certificate: ({ spec }) => spec?.secretName,
  SealedSecret: ({ metadata, spec }) => spec?.template?.metadata?.name ?? metadata.name,
  ExternalSecret: ({ metadata, spec }) => spec?.target?.name ?? metadata.name,
  VaultStaticSecret: ({ spec }) => spec?.destination?.name,
  OnePasswordItem: ({ metadata }) => metadata.name,
  BitwardenSecret: ({ spec }) => spec?.secretName,
  InfisicalSecret: ({ spec }) => spec?.managedSecretReference?.secretName,
  SopsSecret: ({ metadata }) => metadata.name,
};

/** Secrets that operators create, and claims that StatefulSets create for their pods. */
function madeByOthers(view: View): Set<string> {
  const secrets = Object.entries(MAKERS).flatMap(([kind, name]) =>
    view.ofKind(kind).map((object) => `Secret ${object.metadata.namespace ?? 'default'}/${name(object) as string}`),
  );
  const claims = view
    .ofKind('StatefulSet')
    .flatMap((set) =>
      claimTemplates(set).flatMap(({ metadata }) =>
        podNames(set).map(
          (pod) => `PersistentVolumeClaim ${set.metadata.namespace ?? 'default'}/${metadata.name}-${pod}`,
        ),
      ),
    );
  return new Set([...secrets, ...claims]);
}
