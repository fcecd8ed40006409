import { stringify } from 'yaml';
import { Failure } from '../program';
import { table } from './table';
import { resources } from './resources';
import type { Session } from './session';

/** `talosctl get`, as a table, JSON, YAML or a JSON path. */
export function get(session: Session): string {
  const [name, id] = session.line.positional as [string, string?];
  const output = session.options.output ?? 'table';
  const found = session.nodes().flatMap((node) => {
    const all = resources(session, node, name).filter((each) => id === undefined || each.id === id);
    if (id !== undefined && all.length === 0) {
      const { type, namespace } = { type: name, namespace: 'runtime', ...resources(session, node, name)[0] };
      throw new Failure(
        `1 error occurred:\n\t* rpc error: code = NotFound desc = resource ${type}(${namespace}/${id}@undefined) doesn't exist\n`,
      );
    }
    return all.map((resource) => ({ node, ...resource }));
  });
  const documents = found.map(({ node, namespace, type, id: name, spec }) => ({
    metadata: {
      created: '2026-01-01T00:00:00Z',
      id: name,
      namespace,
      owner: 'controller',
      phase: 'running',
      type,
      updated: '2026-01-01T00:00:00Z',
      version: 1,
    },
    // In maintenance mode no node is named.
    node: session.options.insecure === 'true' ? '' : node.address,
    spec,
  }));
  if (output === 'json') return documents.map((each) => `${JSON.stringify(each, null, 4)}\n`).join('');
  if (output === 'yaml')
    return documents
      .map((each) => `---\n${stringify({ node: each.node, metadata: each.metadata, spec: each.spec })}`)
      .join('');
  const path = /^jsonpath=\{((?:\.[\w-]+)+)\}$/.exec(output)?.[1];
  if (path)
    return documents
      .map((each) =>
        path
          .slice(1)
          .split('.')
          .reduce((value: any, key) => value?.[key], each),
      )
      .map((value) => `${typeof value === 'object' ? JSON.stringify(value, null, 4) : String(value)}\n`)
      .join('');
  if (output !== 'table') throw new Failure(`output format "${output}" is not supported`);
  const columns = Object.keys(found[0]?.columns ?? {});
  return table([
    ['NODE', 'NAMESPACE', 'TYPE', 'ID', 'VERSION', ...columns.map((column) => column.toUpperCase())],
    ...found.map((each) => [
      session.options.insecure === 'true' ? '' : each.node.address,
      ...[each.namespace, each.type.replace(/es\..*|s\..*/, ''), each.id, '1'],
      ...columns.map((column) => String(each.columns[column])),
    ]),
  ]);
}
