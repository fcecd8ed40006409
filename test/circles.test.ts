import * as fs from 'node:fs';
import { join } from 'node:path';

/** Rooms without circles. The lint rule of rooms forbids circles between rooms, this test forbids them within one. */
const ROOMS = ['values', 'inventory', 'charts', 'checks', 'synth', 'machines', 'scripts', 'cli'];

const files = ROOMS.flatMap((room) =>
  fs
    .readdirSync(room, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => join(room, path)),
);
const known = new Set(files);

/** Files that a file loads. A type import loads nothing. */
function imported(file: string): string[] {
  const text = fs.readFileSync(file, 'utf8');
  return [...text.matchAll(/^(?:import|export)\s+(?!type\b)[^;]*?from '(\.[^']*)';/gm)].flatMap(([, path]) => {
    const target = join(file, '..', path!);
    return [`${target}.ts`, join(target, 'index.ts')].filter((each) => known.has(each));
  });
}

/** The first circle among files, as a list that ends with its start. */
function circleOf(graph: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, above: readonly string[]): readonly string[] | undefined => {
    if (above.includes(file)) return [...above.slice(above.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of graph.get(file) ?? []) {
      const found = visit(next, [...above, file]);
      if (found !== undefined) return found;
    }
    done.add(file);
    return undefined;
  };
  return [...graph.keys()].map((file) => visit(file, [])).find((found) => found !== undefined);
}

test('no file imports itself through other files', () => {
  const graph = new Map(files.map((file) => [file, imported(file)]));
  expect([...graph.values()].flat().length).toBeGreaterThan(files.length);
  expect(circleOf(graph)).toBeUndefined();
});

test('a circle is found', () => {
  const graph = new Map([
    ['a', ['b']],
    ['b', ['c']],
    ['c', ['b']],
  ]);
  expect(circleOf(graph)).toEqual(['b', 'c', 'b']);
});
