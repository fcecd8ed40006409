import * as fs from 'node:fs';
import { resolve } from 'node:path';

interface Locked {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const packages: Readonly<Record<string, Locked>> = JSON.parse(
  fs.readFileSync(resolve('package-lock.json'), 'utf8'),
).packages;

/** Whether Node would find a package from the folder of another: beside it, or in any folder above. */
function isLocked(name: string, from: string): boolean {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    if (packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`]) return true;
    if (folder === '') return false;
  }
}

test('the lock file holds the packages of every platform, or npm ci refuses it and the Mac has no compiler', () => {
  const wanted = Object.entries(packages).flatMap(([from, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).map((name) => ({ name, from })),
  );
  expect(wanted.filter(({ name, from }) => !isLocked(name, from))).toEqual([]);
  // Not for nothing: the compiler of the owner's Mac is one of them.
  expect(wanted.map(({ name }) => name)).toContain('@swc/core-darwin-arm64');
});
