import type { Manifest } from '../objects';
import type { Risk } from '../plan';
import { referencesOf, type Reference } from './references';
import { containersOf, earlier, listed, type View, type Workload } from './view';

/** Secrets that the pods of a workload newly read. */
export interface NewSecrets {
  readonly workload: Workload;
  readonly isNew: boolean;
  readonly names: readonly string[];
}

/** Pods that newly read secrets. A key is not new if the whole secret was read before. */
export function newSecrets(before: View, after: View): NewSecrets[] {
  return [...after.workloads.values()].flatMap((workload) => {
    const then = earlier(workload, before);
    if (then && then.pod === workload.pod) return [];
    const old = then ? secretsOf(then) : [];
    const fresh = secretsOf(workload).filter(
      ({ name, key }) => !old.some((each) => each.name === name && (each.key === undefined || each.key === key)),
    );
    const names = namesOf(fresh, new Set(old.map(({ name }) => name)));
    return names.length === 0 ? [] : [{ workload, isNew: !then, names }];
  });
}

/** Names keys only if other keys of the same secret were read before. */
function namesOf(fresh: readonly Reference[], known: ReadonlySet<string>): string[] {
  const keys = new Map<string, Set<string>>();
  for (const { name, key } of fresh) {
    const found = keys.get(name) ?? new Set();
    keys.set(name, key === undefined ? found : found.add(key));
  }
  return [...keys].map(([name, found]) =>
    known.has(name) && found.size > 0 ? `${name} (${[...found].join(', ')})` : name,
  );
}

function secretsOf(workload: Workload): Reference[] {
  return referencesOf(workload).filter(({ kind, read }) => kind === 'Secret' && read);
}

/** What to do before pods start that need secrets which secrets.yaml newly lists. */
export function bootstrapNote(names: readonly string[], namespace: string, before: View, after: View): string {
  const listedNow = names
    .map((name) => name.split(' ')[0]!)
    .filter((name) => after.secrets.has(`${namespace}/${name}`) && !before.secrets.has(`${namespace}/${name}`));
  return listedNow.length === 0
    ? ''
    : ` secrets.yaml newly lists ${listed([...new Set(listedNow)])}: run npm run bootstrap -- apply secrets before pushing, or the pods wait.`;
}

/** Only for workloads that existed before. A Job that sets the password of a new user is reported only by that user. */
export function readerRisks(found: readonly NewSecrets[], before: View, after: View): Risk[] {
  const known = new Set([...before.secrets].map((each) => each.split('/')[1]));
  return found
    .filter(({ isNew }) => !isNew)
    .filter(
      ({ workload, names }) =>
        workload.object.kind !== 'Job' || !names.every((each) => isMadeNow(each, workload, known, after)),
    )
    .map(({ workload: { name, id, namespace }, names }) => ({
      verdict: 'access',
      what: `${name}.secrets`,
      objects: [id],
      path: 'spec.template.spec',
      from: 'not read',
      to: listed(names),
      problem: `Pods of ${name} newly read the secrets ${listed(names)}.${bootstrapNote(names, namespace, before, after)}`,
    }));
}

function isMadeNow(
  name: string,
  { namespace }: Workload,
  known: ReadonlySet<string | undefined>,
  after: View,
): boolean {
  return after.secrets.has(`${namespace}/${name}`) && !known.has(name);
}

/** A secret in one more namespace; if pods newly read it there, their risk reports it. */
export function spreadRisks(found: readonly NewSecrets[], before: View, after: View): Risk[] {
  const known = new Set([...before.secrets].map((each) => each.split('/')[1]!));
  const read = new Set(
    found.flatMap(({ workload, names }) => names.map((name) => `${workload.namespace}/${name.split(' ')[0]}`)),
  );
  return [...after.secrets]
    .filter((each) => !before.secrets.has(each) && !read.has(each) && known.has(each.split('/')[1]!))
    .map((each) => {
      const [namespace, name] = each.split('/') as [string, string];
      return {
        verdict: 'access' as const,
        what: `${name}.namespaces`,
        objects: [],
        from: `not in ${namespace}`,
        to: namespace,
        problem: `secrets.yaml lists ${name} in the namespace ${namespace}, too: everyone who may read secrets there can read it.`,
      };
    });
}

/** Credentials that moved from a secret into Git. */
export function plainRisks(before: View, after: View): Risk[] {
  return [...after.workloads.values()].flatMap((workload) => {
    const then = earlier(workload, before);
    if (!then || then.pod === workload.pod) return [];
    const secret = new Set(variables(then.pod, ({ valueFrom }) => valueFrom?.secretKeyRef !== undefined));
    const plain = variables(workload.pod, ({ value }) => value !== undefined).filter((each) => secret.has(each));
    if (plain.length === 0) return [];
    const { name, id } = workload;
    return [
      {
        verdict: 'access' as const,
        what: `${name}.env`,
        objects: [id],
        path: 'spec.template.spec.containers',
        from: 'from a secret',
        to: 'in plain text',
        problem: `${name} read ${listed(plain)} from a secret; now the value is in Git, and everyone who can read the repository or the object can read it.`,
      },
    ];
  });
}

function variables(pod: Manifest, wanted: (variable: Manifest) => boolean): string[] {
  return containersOf(pod).flatMap(({ name, env = [] }) =>
    env.filter(wanted).map((variable: Manifest) => `${variable.name} of ${name}`),
  );
}
