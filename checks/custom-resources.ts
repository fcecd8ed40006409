import { groupOf } from '../constructs';
import type { Check, Finding } from './finding';
import type { RenderedObject, Rendering } from './rendering';

type Json = Readonly<Record<string, any>>;

/** Objects of a kind that a rendered CustomResourceDefinition defines: the definition must be there before them. */
export const customResources: Check = {
  name: 'custom resources',
  find: ({ rendering }) => {
    const definitions = new Map(
      rendering
        .filter(({ object }) => object.kind === 'CustomResourceDefinition')
        .map((each) => [`${each.object.spec.group}/${each.object.spec.names.kind}`, each]),
    );
    if (definitions.size === 0) return [];
    const waves = wavesOf(rendering);
    return rendering.flatMap((each) => {
      const definition = definitions.get(`${groupOf(each.object.apiVersion)}/${each.object.kind}`);
      return definition === undefined ? [] : [...early(each, definition, waves), ...misplaced(each, definition)];
    });
  },
};

/** The wave of each folder's application. */
function wavesOf(rendering: Rendering): Map<string, number> {
  const applications = rendering.filter(({ object }) => object.kind === 'Application' && object.spec?.source?.path);
  return new Map(applications.map(({ object }) => [object.spec.source.path.split('/').pop(), wave(object)]));
}

function wave({ metadata }: Json): number {
  return Number(metadata.annotations?.['argocd.argoproj.io/sync-wave'] ?? 0);
}

function early(each: RenderedObject, definition: RenderedObject, waves: ReadonlyMap<string, number>): Finding[] {
  const { object, chart, construct } = each;
  const what = `${object.kind} ${object.metadata.name} (${construct})`;
  if (chart !== definition.chart) {
    const [own, needed] = [waves.get(chart), waves.get(definition.chart)];
    if (own === undefined || needed === undefined || needed < own) return [];
    return error(
      `${what} is in the application ${chart} of wave ${own}, and its kind is defined in the application ${definition.chart} of wave ${needed}, so its sync can fail before the kind exists`,
      `render both in one chart of your own; a chart with a CustomResourceDefinition is synced in wave ${needed}, other charts of yours one later`,
    );
  }
  // Within one wave Argo CD applies definitions first.
  if (wave(definition.object) <= wave(object)) return [];
  return error(
    `${what} has the sync wave ${wave(object)}, and the definition of its kind has ${wave(definition.object)}, so it would be applied before the kind exists`,
    'give the definition a lower argocd.argoproj.io/sync-wave',
  );
}

function misplaced({ object, chart, construct }: RenderedObject, { object: { spec } }: RenderedObject): Finding[] {
  const { kind, metadata } = object;
  if ((spec.scope === 'Cluster') === (metadata.namespace === undefined)) return [];
  const what = `${kind} ${metadata.name} (${construct}) ${metadata.namespace === undefined ? 'has no namespace' : `is in the namespace ${metadata.namespace}`}, and its CustomResourceDefinition has the scope ${spec.scope}`;
  return error(
    what,
    spec.scope === 'Cluster'
      ? `add clusterScoped: ['${kind}'] to the chart ${chart}`
      : `remove '${kind}' from clusterScoped of the chart ${chart}`,
  );
}

function error(what: string, fix: string): Finding[] {
  return [{ severity: 'error', message: `${what}; ${fix}` }];
}
