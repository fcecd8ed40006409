import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Yaml } from 'cdk8s';
import * as fc from 'fast-check';
import { printYaml } from '../../synth';
import { awkward } from '../synth/awkward-strings';
import { Tally } from './tally';

/** Whether Python's reader and Go's (kubectl's, which is Argo CD's) read back every string that we print, and that they would not everything. */
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const folder = fs.mkdtempSync(join(tmpdir(), 'yaml-readers-'));
const tally = new Tally();

/** Strings as values of a ConfigMap and as values and keys of a list of objects; Kubernetes allows only plain keys in data. */
const random = fc.sample(
  fc.oneof(
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.string({ unit: fc.constantFrom(...' \t\n:#-?|>\'"&*!%@`{}[],=<~0123456789abeEoOxXyYnN_+.\\'), maxLength: 10 }),
  ),
  { seed, numRuns: 2500 },
);
const strings = [...awkward, ...random];
const object = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'strings' },
  data: Object.fromEntries(strings.map((text, index) => [`s${index}`, text])),
};

function judge(
  what: string,
  text: string | undefined,
  read: (file: string) => string[],
  expected: readonly string[],
): number {
  const file = join(folder, 'object.yaml');
  if (text !== undefined) fs.writeFileSync(file, text);
  const found = read(file);
  const changed = expected.filter((each, index) => found[index] !== each);
  console.log(`${what}: ${expected.length - changed.length} of ${expected.length} strings read back as they were`);
  return changed.length;
}

const kubectl = (file: string): string[] => {
  const out = execFileSync('kubectl', ['label', '--local', '-f', file, 'a=b', '-o', 'json'], {
    maxBuffer: 1e9,
  }).toString();
  const { data } = JSON.parse(out);
  return strings.map((_, index) => data[`s${index}`]);
};
const python = (file: string): string[] => {
  const program = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1], encoding="utf-8"))))';
  const { data } = JSON.parse(execFileSync('python3', ['-c', program, file], { maxBuffer: 1e9 }).toString());
  return strings.map((_, index) => data[`s${index}`]);
};
/** Keys too: Python reads any. */
const pythonKeys = (file: string): string[] => {
  const program =
    'import json, sys, yaml; print(json.dumps([list(each)[0] for each in yaml.safe_load(open(sys.argv[1], encoding="utf-8"))]))';
  return JSON.parse(execFileSync('python3', ['-c', program, file], { maxBuffer: 1e9 }).toString());
};

console.log(`seed ${seed}`);
try {
  const printed = printYaml(object);
  tally.check('kubectl', judge('kubectl', printed, kubectl, strings) === 0);
  tally.check('Python', judge('Python', printed, python, strings) === 0);
  const keys = strings.filter((text) => text !== '__proto__');
  tally.check(
    'Python, keys',
    judge('Python, as keys', printYaml(keys.map((key) => ({ [key]: 1 }))), pythonKeys, keys) === 0,
  );
  // Not for nothing: the same strings, printed by cdk8s, are changed on the way. One document each, or one that Go refuses hides the rest.
  const lost = ['0o17', '0X3', '1e1_0', '0o_7', '-0X1', '0B1'].filter((text) => {
    fs.writeFileSync(
      join(folder, 'cdk8s.yaml'),
      Yaml.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', annotations: { a: text } } }),
    );
    try {
      const out = execFileSync('kubectl', ['label', '--local', '-f', join(folder, 'cdk8s.yaml'), 'a=b', '-o', 'json'], {
        stdio: 'pipe',
      }).toString();
      return JSON.parse(out).metadata.annotations.a !== text;
    } catch {
      return true;
    }
  });
  console.log(`cdk8s' own printer: ${lost.length} strings changed or refused by kubectl (${lost.join(', ')})`);
  tally.check("cdk8s' own printer loses some of them", lost.length > 0);
} finally {
  fs.rmSync(folder, { recursive: true });
}
tally.close();
