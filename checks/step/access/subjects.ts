import type { Risk } from '../plan';
import { grantsOf, rightsOf, rightsText, rightsWithout, type Grants, type Right } from './rights';
import { earlier, stable, type View, type Workload } from './view';

/** New permissions of a subject, or of pods by their service account. */
export function rightRisks(before: View, after: View): Risk[] {
  const kinds = ['Role', 'ClusterRole', 'RoleBinding', 'ClusterRoleBinding'];
  const text = (view: View) => kinds.map((kind) => view.ofKind(kind).map(stable).sort().join()).join();
  const old = grantsOf(before);
  const now = text(before) === text(after) ? old : grantsOf(after);
  return [
    ...(now === old ? [] : [...now].flatMap(([subject, grants]) => subjectRisk(subject, grants, old, before, after))),
    ...[...after.workloads.values()].flatMap((workload) => accountRisk(workload, old, now, before, after)),
  ];
}

function subjectRisk(
  subject: string,
  { rights, objects }: Grants,
  old: ReadonlyMap<string, Grants>,
  before: View,
  after: View,
): Risk[] {
  const base = baseline(subject, objects, old, before, after);
  const fresh = base && rightsWithout(rights, base);
  if (!fresh || fresh.length === 0) return [];
  const changed = objects.filter((id) => stable(before.byId.get(id)) !== stable(after.byId.get(id)));
  return [
    {
      verdict: 'access',
      what: `${subject}.rights`,
      objects: [...new Set(changed)],
      from: 'not permitted',
      to: rightsText(fresh),
      problem: `${subject} may newly ${rightsText(fresh)}.`,
    },
  ];
}

/** Permissions of a subject before, including those of its groups. Undefined for a new role without a binding. */
function baseline(
  subject: string,
  [role]: readonly string[],
  old: ReadonlyMap<string, Grants>,
  before: View,
  after: View,
): readonly Right[] | undefined {
  const own = old.get(subject)?.rights ?? [];
  if (subject.startsWith('ServiceAccount ')) {
    const [namespace, name] = subject.slice('ServiceAccount '.length).split('/') as [string, string];
    return [...own, ...accountRights(namespace, name, old), ...inherited(namespace, name, old, before, after)];
  }
  if (!subject.startsWith('everyone who ') || own.length > 0) return own;
  const known = before.byId.get(role!);
  if (known) return rightsOf(before, role!, known.metadata.name, known.metadata.namespace ?? '*');
  return after.byId.get(role!)?.metadata.name === subject.split(' ').at(-1) ? undefined : own;
}

/** Compares a new service account with the one that all of its pods used before. */
function inherited(
  namespace: string,
  name: string,
  old: ReadonlyMap<string, Grants>,
  before: View,
  after: View,
): readonly Right[] {
  if (before.byId.has(`/ServiceAccount ${namespace}/${name}`)) return [];
  const users = [...after.workloads.values()].filter(
    (workload) => workload.namespace === namespace && accountOf(workload) === name,
  );
  const earlierOnes = users.map((workload) => earlier(workload, before));
  const [first, ...others] = earlierOnes.map((workload) =>
    workload && mountsToken(workload, before) ? accountRights(namespace, accountOf(workload), old) : [],
  );
  if (!first) return [];
  return first.filter((right) => others.every((rights) => rightsWithout([right], rights).length === 0));
}

/** Pods that newly get a token, or that of another account. */
function accountRisk(
  workload: Workload,
  old: ReadonlyMap<string, Grants>,
  now: ReadonlyMap<string, Grants>,
  before: View,
  after: View,
): Risk[] {
  const then = earlier(workload, before);
  if (!then || !mountsToken(workload, after)) return [];
  const had = mountsToken(then, before);
  const [account, earlierAccount] = [accountOf(workload), accountOf(then)];
  if (had && account === earlierAccount) return [];
  const { namespace, name, id } = workload;
  const fresh = rightsWithout(
    accountRights(namespace, account, now),
    had ? accountRights(namespace, earlierAccount, old) : [],
  );
  if (had && fresh.length === 0) return [];
  const may = fresh.length > 0 ? `, which may ${rightsText(fresh)}` : ', which has no right in dist/';
  return [
    {
      verdict: 'access',
      what: `${name}.serviceAccount`,
      objects: [id],
      path: 'spec.template.spec.serviceAccountName',
      from: had ? earlierAccount : 'no token',
      to: account,
      problem: `Pods of ${name} newly hold a token of the service account ${namespace}/${account}${may}: an attacker in such a pod can call the API server with it.`,
    },
  ];
}

/** Rights of a service account, including those of the groups of all service accounts. */
function accountRights(namespace: string, name: string, grants: ReadonlyMap<string, Grants>): readonly Right[] {
  return [
    `ServiceAccount ${namespace}/${name}`,
    `Group system:serviceaccounts:${namespace}`,
    'Group system:serviceaccounts',
    'Group system:authenticated',
  ].flatMap((subject) => grants.get(subject)?.rights ?? []);
}

/** Name of the pods' service account. */
export function accountOf({ pod }: Workload): string {
  return pod.serviceAccountName ?? pod.serviceAccount ?? 'default';
}

function mountsToken(workload: Workload, view: View): boolean {
  const { pod, namespace } = workload;
  const projected = (pod.volumes ?? []).some((volume: any) =>
    (volume.projected?.sources ?? []).some((source: any) => source.serviceAccountToken),
  );
  const account = view.byId.get(`/ServiceAccount ${namespace}/${accountOf(workload)}`);
  return projected || (pod.automountServiceAccountToken ?? account?.automountServiceAccountToken ?? true);
}
