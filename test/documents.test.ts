import * as fs from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** Written by commands: an owner may remove them. */
const GENERATED = ['dist', 'lib', 'docs/reference', 'scripts/rendered'];

const documents = fs
  .readdirSync('.', { withFileTypes: true })
  .filter(({ name }) => name === '.github' || !/^\.|^node_modules$/.test(name))
  .flatMap((entry) => (entry.isDirectory() ? below(entry.name) : [entry.name]))
  .filter((path) => path.endsWith('.md') && !isGenerated(path));

function below(folder: string): string[] {
  return fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path));
}

function isGenerated(path: string): boolean {
  return GENERATED.some((folder) => path === folder || path.startsWith(`${folder}/`));
}

/** A document without its code, in which brackets are no links and # is no heading. */
function prose(path: string): string {
  return fs
    .readFileSync(path, 'utf8')
    .replace(/^ *(?:\d+\. +|[-*] +)?(```+)[^]*?^ *\1[ \t]*$/gm, '')
    .replace(/<!--[^]*?-->/g, '');
}

/** The anchors of a document, as GitHub makes them of its headings. */
function anchors(path: string): Set<string> {
  const seen = new Map<string, number>();
  const headings = [...prose(path).matchAll(/^#{1,6} +(.+?) *#*$/gm)].map(([, heading]) =>
    heading!
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M} _-]/gu, '')
      .replace(/ /g, '-'),
  );
  return new Set(
    headings.map((name) => {
      const before = seen.get(name) ?? 0;
      seen.set(name, before + 1);
      return before === 0 ? name : `${name}-${before}`;
    }),
  );
}

/** Targets of links and pictures inside of this repository. */
function targets(path: string): string[] {
  const text = prose(path).replace(/`[^`\n]*`/g, '');
  return [...text.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)]
    .map(([, target]) => target!)
    .filter((target) => !/^[a-z]+:/i.test(target));
}

/** What is wrong with a link, or nothing. */
function fault(path: string, target: string): string | undefined {
  const [file = '', anchor] = target.split('#');
  const to = file === '' ? path : normalize(join(dirname(path), decodeURIComponent(file)));
  if (!isGenerated(to.replace(/\/$/, '')) && !fs.existsSync(to)) return `${path}: ${target} leads to no file`;
  if (anchor === undefined || anchor === '') return undefined;
  return to.endsWith('.md') && anchors(to).has(anchor) ? undefined : `${path}: ${target} leads to no heading`;
}

test('each link of a document leads to a file, and its anchor to a heading', () => {
  const links = documents.flatMap((path) => targets(path).map((target) => ({ path, target })));
  expect(links.length).toBeGreaterThan(100);
  expect(links.map(({ path, target }) => fault(path, target)).filter((each) => each !== undefined)).toEqual([]);
});

test('a link to a file or a heading that does not exist is found', () => {
  expect(fault('docs/day-2.md', 'nowhere.md')).toBe('docs/day-2.md: nowhere.md leads to no file');
  expect(fault('docs/day-2.md', 'bootstrap.md#nothing')).toBe(
    'docs/day-2.md: bootstrap.md#nothing leads to no heading',
  );
  expect(fault('docs/day-2.md', 'bootstrap.md#9-kubectl-and-talosctl-by-hand')).toBeUndefined();
});

test('each command of npm that README and CONTRIBUTING name is a script or comes with npm', () => {
  const { scripts } = JSON.parse(fs.readFileSync('package.json', 'utf8'));
  const named = ['README.md', 'CONTRIBUTING.md'].flatMap((path) =>
    [...fs.readFileSync(path, 'utf8').matchAll(/npm run (?:-s |--silent )?([\w:-]+)/g)].map(([, script]) => script!),
  );
  expect(named.length).toBeGreaterThan(10);
  expect([...new Set(named)].filter((script) => scripts[script] === undefined)).toEqual([]);
});

test('each file and folder that README and CONTRIBUTING name exists', () => {
  const rooms = fs.readdirSync('.').filter((name) => !['lib', 'node_modules'].includes(name));
  const paths = ['README.md', 'CONTRIBUTING.md'].flatMap((path) =>
    [...prose(path).matchAll(/`([\w.-]+(?:\/[\w.-]+)*\/?)`/g)].map(([, name]) => name!),
  );
  const inside = paths.filter((path) => rooms.includes(path.split('/')[0]!) && !/NAME/.test(path));
  expect(inside.length).toBeGreaterThan(20);
  expect(inside.filter((path) => !isGenerated(path.replace(/\/$/, '')) && !fs.existsSync(path))).toEqual([]);
});
