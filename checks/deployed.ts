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
  const projects = new Map(argoObjects(rendering, 'AppProject').map((object) => [object.metadata.name, object]));
  return [...byFolder(rendering)].flatMap(([folder, objects]) => {
    const application = applications.find(({ spec }) => reads(spec, folder));
    if (application === undefined) return [unread(folder, objects, applications)];
    const project = projects.get(application.spec.project);
    return project === undefined ? [] : objects.flatMap((object) => refused(object, application, project));
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
    `put them into a chart that has one (${charts.join(', ')}), as new MyConstruct(app.node.findChild('services') as Chart, 'my'), or render an Application for dist/${folder} in the chart argocd`,
  );
}

function refused(rendered: RenderedObject, application: ArgoObject, project: ArgoObject): Undeployed[] {
  const { object, construct } = rendered;
  const { kind, metadata } = object;
  const { destinations = [], namespaceResourceWhitelist, clusterResourceWhitelist = [] } = project.spec;
  const group = groupOf(object.apiVersion);
  const whole = `so Argo CD would refuse the sync of the whole application ${application.metadata.name}`;
  const what = `${kind} ${metadata.name} (${construct})`;
  const clusterWide = isClusterScoped(kind);
  const permitted = clusterWide ? clusterResourceWhitelist : namespaceResourceWhitelist;
  const findings: Undeployed[] = [];
  if (
    permitted !== undefined &&
    !permitted.some((each: ArgoObject) => fits(each.group, group) && fits(each.kind, kind))
  )
    findings.push(
      error(
        [rendered],
        `${what} is of a kind that the project ${project.metadata.name} does not permit, ${whole}`,
        `add { group: '${group}', kind: '${kind}' } to spec.${clusterWide ? 'cluster' : 'namespace'}ResourceWhitelist of that AppProject`,
      ),
    );
  const namespace = metadata.namespace ?? application.spec.destination?.namespace;
  if (!clusterWide && !destinations.some((each: ArgoObject) => fits(each.namespace, namespace)))
    findings.push(
      error(
        [rendered],
        `${what} is in the namespace ${namespace}, which the project ${project.metadata.name} does not permit, ${whole}`,
        `use one of ${destinations.map((each: ArgoObject) => each.namespace).join(', ')}, or render that namespace: new IsolatedNamespace(chart, 'namespace', { name: '${namespace}' })`,
      ),
    );
  return findings;
}

/** Compares like Argo CD: * matches any characters. */
function fits(pattern: string, text: string): boolean {
  const literal = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${literal.join('.*')}$`).test(text);
}

function error(objects: readonly RenderedObject[], what: string, fix: string): Undeployed {
  return { severity: 'error', message: `${what}; ${fix}`, objects };
}
