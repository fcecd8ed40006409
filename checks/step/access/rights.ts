import { identity, type Manifest } from '../objects';
import { listed, stable, type View } from './view';

/** Permissions of subjects by Roles and bindings, one at a time, to compare them by meaning. */

/** One thing that a subject may do. */
export interface Right {
  /** Namespace, or * for the whole cluster. */
  readonly scope: string;
  /** Undefined for a non-resource path. */
  readonly group?: string;
  /** Resource, or the path. */
  readonly resource: string;
  readonly verb: string;
  /** Name of the object, or * for all. */
  readonly name: string;
}

/** What a subject may do, and by which objects. */
export interface Grants {
  readonly rights: readonly Right[];
  readonly objects: readonly string[];
}

/** Permissions by subject: ServiceAccount NAMESPACE/NAME, User NAME, Group NAME, or a subject that is bound elsewhere. */
export function grantsOf(view: View): Map<string, Grants> {
  const found = new Map<string, { rights: Right[]; objects: string[] }>();
  const bound = new Set<string>();
  const grant = (subject: string, rights: readonly Right[], objects: readonly string[]) => {
    const known = found.get(subject) ?? { rights: [], objects: [] };
    known.rights.push(...rights);
    known.objects.push(...objects);
    found.set(subject, known);
  };
  for (const kind of ['RoleBinding', 'ClusterRoleBinding'])
    for (const binding of view.ofKind(kind)) {
      const { roleRef, subjects = [], metadata } = binding;
      const namespace = metadata.namespace ?? 'default';
      const role = roleId(roleRef, namespace);
      bound.add(role);
      const scope = kind === 'RoleBinding' ? namespace : '*';
      const rights = rightsOf(view, role, roleRef.name, scope);
      for (const subject of subjects) grant(subjectName(subject, namespace), rights, [identity(binding), role]);
    }
  for (const role of [...view.ofKind('Role'), ...view.ofKind('ClusterRole')])
    for (const [holder, rights] of holders(view, role, bound)) grant(holder, rights, [identity(role)]);
  return found;
}

function roleId({ kind, name }: Manifest, namespace: string): string {
  const place = kind === 'ClusterRole' ? '' : namespace;
  return `rbac.authorization.k8s.io/${kind} ${place}/${name}`;
}

/** The subject of a binding. A ServiceAccount without a namespace is in that of the binding. */
export function subjectName({ kind, name, namespace }: Manifest, home: string): string {
  return kind === 'ServiceAccount' ? `ServiceAccount ${namespace ?? home}/${name}` : `${kind} ${name}`;
}

/** Subjects of a role without a rendered binding, or of a cluster role that aggregates this one. */
function holders(view: View, role: Manifest, bound: ReadonlySet<string>): [string, Right[]][] {
  const id = identity(role);
  const scope = role.kind === 'Role' ? (role.metadata.namespace ?? 'default') : '*';
  const labels = Object.keys(role.metadata.labels ?? {});
  const into = labels
    .filter((key) => key.startsWith(AGGREGATE) && role.metadata.labels[key] === 'true')
    .map((key) => `everyone who has the ClusterRole ${key.slice(AGGREGATE.length)}`);
  const alone = bound.has(id) || into.length > 0 ? [] : [`everyone who has the ${role.kind} ${role.metadata.name}`];
  const rights = rightsOf(view, id, role.metadata.name, scope);
  return [...into, ...alone].map((holder) => [holder, rights]);
}

const AGGREGATE = 'rbac.authorization.k8s.io/aggregate-to-';

/** Permissions of one role. */
export function rightsOf(view: View, id: string, name: string, scope: string): Right[] {
  const role = view.byId.get(id);
  if (role) return rulesOf(view, role).flatMap((rule) => expanded(rule, scope));
  const all = { scope, verb: '*', name: '*' };
  if (name === 'cluster-admin')
    return [
      { ...all, group: '*', resource: '*' },
      { ...all, resource: '*' },
    ];
  // A role that is not rendered, such as a default role of the cluster: only its name can be compared.
  return [{ ...all, group: 'role', resource: `all that the role ${name} permits` }];
}

/** Permissions of a role, and of the roles that it aggregates. */
function rulesOf(view: View, { rules = [], aggregationRule }: Manifest): readonly Manifest[] {
  const selectors: readonly Manifest[] = aggregationRule?.clusterRoleSelectors ?? [];
  if (selectors.length === 0) return rules;
  const taken = view
    .ofKind('ClusterRole')
    .filter(({ metadata }) =>
      selectors.some(({ matchLabels = {} }) =>
        Object.entries(matchLabels).every(([key, value]) => metadata.labels?.[key] === value),
      ),
    );
  return [...rules, ...taken.flatMap((role) => role.rules ?? [])];
}

function expanded(rule: Manifest, scope: string): Right[] {
  const { verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const names: readonly string[] = resourceNames.length > 0 ? resourceNames : ['*'];
  return verbs.flatMap((verb: string) => [
    // Non-resource paths are cluster-wide only.
    ...(scope === '*' ? nonResourceURLs.map((resource: string) => ({ scope, resource, verb, name: '*' })) : []),
    ...apiGroups.flatMap((group: string) =>
      resources.flatMap((resource: string) => names.map((name) => ({ scope, group, resource, verb, name }))),
    ),
  ]);
}

/** Rights that other rights do not include. */
export function rightsWithout(rights: readonly Right[], others: readonly Right[]): Right[] {
  const known = new Set(others.map((right) => stable(right)));
  const wide = others.filter(isWide);
  const unique = new Map(rights.map((right) => [stable(right), right]));
  return [...unique]
    .filter(([key, right]) => !known.has(key) && !wide.some((other) => includes(other, right)))
    .map(([, right]) => right);
}

function isWide({ scope, group, resource, verb, name }: Right): boolean {
  return scope === '*' || group === '*' || verb === '*' || name === '*' || resource.includes('*');
}

function includes(wide: Right, right: Right): boolean {
  const same = (pattern: string, text: string) => pattern === '*' || pattern === text;
  if ((wide.group === undefined) !== (right.group === undefined)) return false;
  return (
    same(wide.scope, right.scope) &&
    same(wide.verb, right.verb) &&
    same(wide.name, right.name) &&
    (wide.group === undefined
      ? isUnder(wide.resource, right.resource)
      : same(wide.group, right.group!) && isResource(wide.resource, right.resource))
  );
}

/** In a path, * is a wildcard only at the end. */
function isUnder(pattern: string, path: string): boolean {
  return pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : pattern === path;
}

/** In a resource, a star means all resources. A star before a slash means the same subresource of all resources. */
function isResource(pattern: string, resource: string): boolean {
  if (pattern === '*' || pattern === resource) return true;
  return pattern.startsWith('*/') && resource.endsWith(pattern.slice(1));
}

/** Text for messages: list, watch secrets in web. */
export function rightsText(rights: readonly Right[]): string {
  const byThing = new Map<string, Set<string>>();
  for (const { scope, group, resource, verb, name } of rights) {
    const kind = resource === '*' ? 'everything' : group && group !== 'role' ? `${resource}.${group}` : resource;
    const only = name === '*' ? '' : ` ${name}`;
    const thing = `${kind}${only} in ${scope === '*' ? 'the whole cluster' : scope}`;
    byThing.set(thing, (byThing.get(thing) ?? new Set()).add(verb === '*' ? 'do everything with' : verb));
  }
  return listed([...byThing].map(([thing, verbs]) => `${[...verbs].join(', ')} ${thing}`));
}
