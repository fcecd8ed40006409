import * as fs from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { checks, verdict } from '../checks';
import { homelabApp } from '../charts';
import { DeclaredSecret } from '../constructs';
import { defineHomelab } from '../inventory';
import { machineFiles } from '../machines';
import { printYaml, render } from '../synth';
import homelab from './fixtures/homelab';
import { changed } from './homelab';

/** The edits that docs/bootstrap.md asks an owner for: what stands in homelab.ts as it is shipped, and what an owner writes. */
const OWN: readonly (readonly [shipped: string, own: string])[] = [
  ['AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLE', 'AAAAC3NzaC1lZDI1NTE5AAAAIAbCdEfGhI'],
  ['https://github.com/owner/collab-homelab.git', 'git@github.com:someone/homelab.git'],
  ['192.168.1.', '192.168.178.'],
  ['collab.home.arpa', 'lab.example.org'],
];

/** Replaces in every text of a homelab, and leaves its quantities alone. */
function owned(value: any): any {
  if (typeof value === 'string') return OWN.reduce((text, [shipped, own]) => text.replaceAll(shipped, own), value);
  if (Array.isArray(value)) return value.map(owned);
  if (value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, owned(entry)]));
}

/** All that follows from a homelab: manifests, and what machines are told. */
function everything(of: typeof homelab): Map<string, string> {
  const manifests = render(homelabApp(of)).map(({ file, object }): [string, string] => [
    `dist/${file}`,
    printYaml(object),
  ]);
  return new Map([
    ...manifests,
    ...[...machineFiles(of)].map(([file, text]): [string, string] => [`scripts/rendered/${file}`, String(text)]),
  ]);
}

const own = defineHomelab(changed((copy) => Object.assign(copy, owned(copy))));

test("an owner's homelab passes every check", () => {
  const app = homelabApp(own);
  const secrets = DeclaredSecret.all(app).map(({ name, namespaces, keys }) => ({
    name,
    namespaces,
    keys: Object.keys(keys),
  }));
  const { findings } = verdict(checks, { rendering: render(app), homelab: own, secrets });
  expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
});

test("nothing of the shipped homelab is left in what follows from an owner's", () => {
  const left = [...everything(own)].flatMap(([file, text]) =>
    OWN.filter(([shipped]) => text.includes(shipped)).map(([shipped]) => `${file}: ${shipped}`),
  );
  expect(left).toEqual([]);
  // Each edit reaches a file: a search for a text that nothing holds would find nothing left.
  const all = [...everything(homelab).values()].join('');
  expect(OWN.filter(([shipped]) => !all.includes(shipped))).toEqual([]);
});

/** The one test of this homelab itself: its snapshot is for the owner to review. */
const REVIEWED = 'test/cli/budget.test.ts';

test('only the reviewed snapshot reads homelab.ts', () => {
  const root = join(__dirname, '..');
  const shipped = join(root, 'homelab');
  // The suites of test/real run what this homelab renders, whatever it is.
  const files = (fs.readdirSync(__dirname, { recursive: true }) as string[])
    .filter((file) => file.endsWith('.ts') && !file.startsWith('real'))
    .map((file) => join(__dirname, file));
  const readers = files.filter((file) =>
    [...fs.readFileSync(file, 'utf8').matchAll(/(?:from|import\(|require\()\s*'(\.[^']*)'/g)].some(
      ([, path]) => join(dirname(file), path!) === shipped,
    ),
  );
  expect(readers.map((file) => relative(root, file))).toEqual([REVIEWED]);
});
