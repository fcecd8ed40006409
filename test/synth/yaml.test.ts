import * as fc from 'fast-check';
import { load } from 'js-yaml';
import { parse } from 'yaml';
import { printYaml } from '../../synth/yaml';
import { awkward } from './awkward-strings';

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const anyString = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...awkward) },
  { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  {
    weight: 3,
    arbitrary: fc.string({
      unit: fc.constantFrom(...' \t\n\r:#-?|>\'"&*!%@`{}[],=<~0123456789abeEoOxXyYnN_+.\\\u0085\u2028\ufeff'),
      maxLength: 12,
    }),
  },
  fc.string({ minLength: 1000, maxLength: 1500 }),
);
const anyValue = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    anyString,
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(anyString, tie('value'), { maxKeys: 4 }),
  ),
})).value;

const normal = (value: unknown) => JSON.parse(JSON.stringify(value));
const readers: [string, (text: string) => unknown][] = [
  ['js-yaml', (text) => load(text)],
  ['yaml 1.2', (text) => parse(text, { version: '1.2' })],
  ['yaml 1.1', (text) => parse(text, { version: '1.1' })],
];

test.each(readers)(`%s reads back any value in any place unchanged (seed ${seed})`, (_name, read) => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const data = { value: normal(value) };
      expect(normal(read(printYaml(data)))).toEqual(data);
    }),
    { seed, numRuns: 1500 },
  );
});

test.each([
  '0o17',
  '0X3',
  '1e1_0',
  '0o_7',
  '-0X1',
  '0B1',
  'yes',
  'NO',
  '~',
  '1:20',
  '2024-01-01',
  '',
  ' a',
  'a ',
  'a: b',
  'a #b',
  '<<',
  '=',
])('%p is quoted', (text) => {
  expect(printYaml({ text })).toBe(`text: ${JSON.stringify(text)}\n`);
});

test.each([
  'docker.io/library/mongo:8.0.26',
  'cassandra.cassandra.svc.cluster.local',
  'Prune=false,Delete=false',
  'kubernetes.io/hostname',
  'http://a:80/v1',
])('%s needs no quotes', (text) => {
  expect(printYaml({ text })).toBe(`text: ${text}\n`);
});

test('a script is readable as a script', () => {
  expect(
    printYaml({
      data: { 'run.sh': 'set -e\n\nif true; then\n  echo: "x"\nfi\n' },
      list: [{ a: 1, b: [] }, ['x', 'y'], {}],
    }),
  ).toBe(
    [
      'data:',
      '  run.sh: |',
      '    set -e',
      '',
      '    if true; then',
      '      echo: "x"',
      '    fi',
      'list:',
      '  - a: 1',
      '    b: []',
      '  - - x',
      '    - "y"',
      '  - {}',
      '',
    ].join('\n'),
  );
});

test('fails on a value that YAML cannot represent, and names its place', () => {
  expect(() => printYaml({ a: [{ b: NaN }] })).toThrow('.a[0].b cannot be written as YAML: it is NaN');
  expect(() => printYaml({ a: '\ud800' })).toThrow('.a cannot be written as YAML: it holds half a surrogate pair');
  expect(() => printYaml({ a: () => 1 })).toThrow('.a cannot be written as YAML: it is a function');
});
