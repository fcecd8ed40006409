import { groupOf, isClusterScoped } from '../constructs';
import type { Check, Finding } from './finding';
import type { RenderedObject, Rendering } from './rendering';

/**
 * Argo CD deploys only what its applications name: it never reads a folder without an application, and an object whose kind or
 * namespace its project does not permit stops the sync of its whole folder. Finds nothing if no application is rendered:
 * then another tool deploys.
 */
export const deployed: Check = {
  name: 'deployed',
  find: ({ rendering }) => undeployed(rendering).map(({ severity, message }) => ({ severity, message })),
};

/** A reason why Argo CD would not deploy, and the objects concerned. */
export interface Undeployed extends Finding {
  readonly objects: readonly RenderedObject[];
}

/** Everything in a rendering that Argo CD would not deploy. */
export function undeployed(rendering: Rendering): Undeployed[] {
  const applications = argoObjects(rendering, 'Application');
  if (applications.length === 0) return [];
  const made = new Set([...OF_KUBERNETES, ...rendering.flatMap(({ object }) => namespaceMade(object))]);
  const projects = new Map(argoObjects(rendering, 'AppProject').map((object) => [object.metadata.name, object]));
  return [...byFolder(rendering)].flatMap(([folder, objects]) => {
    const application = applications.find(({ spec }) => reads(spec, folder));
    if (application === undefined) return [unread(folder, objects, applications)];
    const project = projects.get(application.spec.project);
    return project === undefined ? [] : objects.flatMap((object) => refused(object, application, project, made));
  });
}

type ArgoObject = Readonly<Record<string, any>>;

function argoObjects(rendering: Rendering, kind: string): ArgoObject[] {
  return rendering
    .map(({ object }) => object)
    .filter((object) => object.kind === kind && groupOf(object.apiVersion) === 'argoproj.io');
}

function byFolder(rendering: Rendering): Map<string, RenderedObject[]> {
  const folders = new Map<string, RenderedObject[]>();
  for (const object of rendering) folders.set(object.chart, [...(folders.get(object.chart) ?? []), object]);
  return folders;
}

function reads({ source, sources = [] }: ArgoObject, folder: string): boolean {
  return [source, ...sources].some((each) => each?.path?.split('/').at(-1) === folder);
}

function unread(folder: string, objects: readonly RenderedObject[], applications: readonly ArgoObject[]): Undeployed {
  const names = objects.slice(0, 3).map(({ object }) => `${object.kind} ${object.metadata.name}`);
  const more = objects.length > names.length ? ` and ${objects.length - names.length} more` : '';
  const charts = applications.flatMap(({ spec }) => spec.source?.path?.split('/').at(-1) ?? []).sort();
  return error(
    objects,
    `dist/${folder} is read by no Argo CD application, so ${names.join(', ')}${more} would never be deployed`,
    `make them in a chart of your own, homelabApp(homelab, { charts: [{ name: '${folder}', make: (chart) => ... }] }), or put them into a chart that has an application (${charts.join(', ')})`,
  );
}

function refused(
  rendered: RenderedObject,
  application: ArgoObject,
  project: ArgoObject,
  made: ReadonlySet<string>,
): Undeployed[] {
  const { object, construct } = rendered;
  const { kind, metadata, apiVersion } = object;
  const { namespaceResourceWhitelist, clusterResourceWhitelist = [] } = project.spec;
  const group = groupOf(apiVersion);
  const isListed = (list: readonly ArgoObject[]) =>
    list.some((each) => fits(each.group, group) && fits(each.kind, kind));
  // The scope of a custom kind is known only by the list that permits it.
  const clusterWide = isClusterScoped(kind) || isListed(clusterResourceWhitelist);
  const permitted = clusterWide ? clusterResourceWhitelist : namespaceResourceWhitelist;
  const what = `${kind} ${metadata.name} (${construct})`;
  const findings: Undeployed[] = [];
  if (permitted !== undefined && !isListed(permitted))
    findings.push(
      error(
        [rendered],
        `${what} is of a kind that the project ${project.metadata.name} does not permit, ${wholeSync(application)}`,
        `add { group: '${group}', kind: '${kind}' } to spec.${clusterWide ? 'cluster' : 'namespace'}ResourceWhitelist of that AppProject`,
      ),
    );
  const lost = clusterWide ? undefined : homeless(metadata.namespace, application, project, made);
  if (lost !== undefined) findings.push(error([rendered], `${what} ${lost[0]}`, lost[1]));
  return findings;
}

/** Why a namespaced object would have no place in the cluster, and the fix. */
function homeless(
  namespace: string | undefined,
  application: ArgoObject,
  project: ArgoObject,
  made: ReadonlySet<string>,
): readonly [string, string] | undefined {
  const { destinations = [] } = project.spec;
  const render = `render that namespace: new IsolatedNamespace(chart, 'namespace', { name: '${namespace}' })`;
  if (namespace === undefined)
    return [
      `has no namespace, so Argo CD would put it into ${application.spec.destination?.namespace}, that of the application ${application.metadata.name}`,
      'give its chart or its metadata a namespace',
    ];
  if (!destinations.some((each: ArgoObject) => fits(each.namespace, namespace)))
    return [
      `is in the namespace ${namespace}, which the project ${project.metadata.name} does not permit, ${wholeSync(application)}`,
      `use one of ${destinations.map((each: ArgoObject) => each.namespace).join(', ')} (a Helm chart gets it as namespace: chart.namespace), or ${render}`,
    ];
  if (made.has(namespace)) return undefined;
  return [`is in the namespace ${namespace}, which nothing renders, so the API server would refuse it`, render];
}

function wholeSync({ metadata }: ArgoObject): string {
  return `so Argo CD would refuse the sync of the whole application ${metadata.name}`;
}

/** Namespaces that Kubernetes makes itself. */
const OF_KUBERNETES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

function namespaceMade({ kind, metadata }: ArgoObject): string[] {
  return kind === 'Namespace' ? [metadata.name] : [];
}

/** Compares like Argo CD: * matches any characters. */
function fits(pattern: string, text: string): boolean {
  const literal = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${literal.join('.*')}$`).test(text);
}

function error(objects: readonly RenderedObject[], what: string, fix: string): Undeployed {
  return { severity: 'error', message: `${what}; ${fix}`, objects };
}
