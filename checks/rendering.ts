import { ApiObject, Chart, type App } from 'cdk8s';
import { jsonOf, renderOnce } from '../constructs';

/** A rendered object and its file. */
export interface RenderedObject {
  /** The chart's id: its folder in dist/ and its Argo CD application. */
  readonly chart: string;
  /** Path of the construct that rendered it. */
  readonly construct: string;
  /** File below dist/. */
  readonly file: string;
  /** Plain JSON, in the order in which it is printed. */
  readonly object: Readonly<Record<string, any>>;
}

/** Everything that one app rendered. */
export type Rendering = readonly RenderedObject[];

/** Renders each object of an app once. @throws all errors of the constructs' validations at once */
export function render(app: App): Rendering {
  const rendering = renderOnce(() => {
    const constructs = app.node.findAll();
    // Validations of the whole tree are at its root, which has no path.
    const problems = constructs.flatMap(({ node }) =>
      node.validate().map((message) => (node.path === '' ? message : `${node.path}: ${message}`)),
    );
    if (problems.length > 0) throw new Error(problems.join('\n'));
    return constructs.filter(ApiObject.isApiObject).map(renderedObject);
  });
  const files = new Map<string, string>();
  for (const { file, construct } of rendering) {
    // Ignores case, like the file system of a Mac.
    const other = files.get(file.toLowerCase());
    if (other)
      throw new Error(
        `${other} and ${construct} would both be written to dist/${file}; give one of the two another name`,
      );
    files.set(file.toLowerCase(), construct);
  }
  return rendering.sort((a, b) => (a.file < b.file ? -1 : 1));
}

function renderedObject(apiObject: ApiObject): RenderedObject {
  const construct = apiObject.node.path;
  const object = inOrder(jsonOf(apiObject), true) as RenderedObject['object'];
  const { kind, metadata } = object;
  if (typeof metadata?.name !== 'string')
    throw new Error(
      `${construct}: metadata.name must be text when it is rendered, got ${JSON.stringify(metadata?.name)}; it cannot be a lazy value`,
    );
  const chart = Chart.of(apiObject);
  const elsewhere = metadata.namespace !== undefined && metadata.namespace !== chart.namespace;
  const parts = [kind.toLowerCase(), ...(elsewhere ? [metadata.namespace] : []), metadata.name];
  return { chart: chart.node.id, construct, file: `${chart.node.id}/${parts.join('.')}.yaml`, object };
}

const FIRST = ['apiVersion', 'kind', 'metadata'];

/** Sorts keys by code unit, in any locale; apiVersion, kind and metadata come first. */
function inOrder(value: unknown, top = false): unknown {
  if (Array.isArray(value)) return value.map((entry) => inOrder(entry));
  if (typeof value !== 'object' || value === null) return value;
  const record = value as Record<string, unknown>;
  const keys = Object.keys(record)
    .filter((key) => record[key] !== undefined)
    .sort();
  const ordered = top
    ? [...FIRST.filter((key) => keys.includes(key)), ...keys.filter((key) => !FIRST.includes(key))]
    : keys;
  return Object.fromEntries(ordered.map((key) => [key, inOrder(record[key])]));
}
