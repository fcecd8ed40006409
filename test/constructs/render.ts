import { Chart, Testing, Yaml } from 'cdk8s';

export type Json = Record<string, any>;

/** A chart with a namespace, in an app of its own. */
export function chartIn(namespace = 'apps'): Chart {
  return new Chart(Testing.app(), namespace, { namespace });
}

/** The one rendered object of a kind, by name where there are several. */
export function objectOf(chart: Chart, kind: string, name?: string): Json {
  const found = objects(chart).filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  );
  if (found.length !== 1) throw new Error(`${found.length} objects are a ${kind}${name ? ` named ${name}` : ''}`);
  return found[0]!;
}

export function objects(chart: Chart): Json[] {
  return Testing.synth(chart);
}

/** All objects as they would stand in files. */
export function yamlOf(chart: Chart): string {
  return objects(chart)
    .map((object) => Yaml.stringify(object))
    .join('---\n');
}
