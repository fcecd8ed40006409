import { Chart, Testing, type App } from 'cdk8s';
import { PersistentVolumes } from '../../constructs/volumes';
import { printYaml } from '../../synth';

export type Json = Record<string, any>;

/** A chart with a namespace, in an app of its own. */
export function chartIn(namespace = 'apps'): Chart {
  return new Chart(Testing.app(), namespace, { namespace });
}

/** Renders the disks of a chart's databases, as an app must, in a chart beside it. */
export function withVolumes(chart: Chart): Chart {
  new PersistentVolumes(new Chart(chart.node.root as App, 'platform'), 'volumes');
  return chart;
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

/** How many seconds a container may fail its probes, and how many each answer may take: [start, live, ready] where it has them. */
export function patience(container: Json): (readonly [seconds: number, timeout: number])[] {
  const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe];
  return probes.flatMap((probe) =>
    probe ? [[probe.periodSeconds * probe.failureThreshold, probe.timeoutSeconds ?? 1] as const] : [],
  );
}

/** Objects as they would stand in files; long texts, which dist/ shows, are left out. */
export function yamlOf(rendered: Chart | readonly Json[]): string {
  const all = Chart.isChart(rendered) ? objects(rendered) : rendered;
  return all.map((object) => printYaml(withoutLongTexts(object))).join('---\n');
}

function withoutLongTexts(value: unknown): unknown {
  if (typeof value === 'string') return value.split('\n').length > 50 ? '(a long text)' : value;
  if (Array.isArray(value)) return value.map(withoutLongTexts);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, withoutLongTexts(entry)]));
}
