import { Duration, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import fc from 'fast-check';
import { homelabApp } from '../../charts';
import { checks, verdict } from '../../checks';
import { defineHomelab, HomelabError, type Homelab } from '../../inventory';
import { render } from '../../synth';
import { changed } from '../homelab';

class Foreign {
  readonly kind = 'talos';
}

const fails = (): never => {
  throw new Error('not today');
};
const cyclic: Record<string, unknown> = {};
cyclic.self = cyclic;
const nested = Array.from({ length: 500 }).reduce<unknown>((inner) => ({ inner }), 'deep');

/** Values that a program, a typing error or a merge may leave in place of a valid one. */
const junk: readonly (readonly [name: string, value: unknown])[] = [
  ['undefined', undefined],
  ['null', null],
  ['NaN', NaN],
  ['-0', -0],
  ['infinity', Infinity],
  ['a fraction', 1.5],
  ['a negative number', -1],
  ['a huge number', 1e300],
  ['a bigint', 10n],
  ['a symbol', Symbol('s')],
  ['true', true],
  ['empty text', ''],
  ['a space', ' '],
  ['control characters', 'a\u0000\u001b[31m\r\n\u2028\u202eb'],
  ['half a pair', '\ud800'],
  ['long text', 'x'.repeat(100_000)],
  ['a name of every object', '__proto__'],
  ['another name of every object', 'constructor'],
  ['a reference', '$(NOPE)'],
  ['a function', () => 1],
  ['a failing function', fails],
  ['no list', []],
  ['a list with a hole', [, 'a']], // eslint-disable-line no-sparse-arrays
  ['a long list', Array.from({ length: 20_000 }, () => ({}))],
  ['a longer list without entries', new Array(4_000_000_000)],
  ['a list in a list', [[[]]]],
  ['no object', {}],
  ['an object without prototype', Object.create(null)],
  ['an object that is in itself', cyclic],
  ['an object in 500 objects', nested],
  ['an object with a symbol', { [Symbol('s')]: 1 }],
  ['an object with awkward names', { ['__proto__']: {}, constructor: {}, toString: 1, '': 1, 'a.b': 1, '\u0000': 1 }],
  ['an object with a failing getter', Object.defineProperty({}, 'kind', { enumerable: true, get: fails })],
  ['a failing toJSON', { toJSON: fails }],
  ['a proxy that fails', new Proxy({}, { get: fails, ownKeys: fails, getPrototypeOf: fails, has: fails })],
  ['a proxy that fails when it is read', new Proxy({ kind: 'talos' }, { get: fails })],
  ['a proxy that was revoked', revoked()],
  ['an instance', new Foreign()],
  ['a date', new Date(NaN)],
  ['a map', new Map([['a', 1]])],
  ['bytes', new Uint8Array(3)],
  ['a boxed text', new String('mongodb')],
  ['a promise', Promise.resolve(1)],
  ['a size', Size.gibibytes(5)],
  ['a size of nothing', Size.gibibytes(0)],
  ['a huge size', Size.tebibytes(1e300)],
  ['a size that is NaN', Size.gibibytes(NaN)],
  ['a duration', Duration.minutes(2)],
  ['a duration in fractions', Duration.millis(1)],
  ['a huge duration', Duration.days(1e300)],
  ['cores', Cpu.units(2)],
  ['huge cores', Cpu.units(1e300)],
  ['what looks like a size', { asString: () => '5Gi' }],
  ['what looks like a size and says nothing', { asString: () => undefined }],
  ['what looks like a size and fails', { asString: fails }],
  ['what looks like a duration', { toSeconds: () => 'soon' }],
  ['what looks like a duration and fails', { toSeconds: fails }],
  ['what looks like cores', { amount: {} }],
  ['what looks like cores of nothing', { amount: '' }],
];

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

/** Every place of a homelab: properties and entries of lists, quantities as one place. */
function places(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...path, key]))];
}

/** One place of each kind: all services behave alike. */
const everyPlace = [
  ...new Map(
    places(changed(() => undefined))
      .filter((path) => path.length > 0)
      .map((path) => [
        `${path.length} ${path[0]} ${
          path.length > 2
            ? path
                .slice(2)
                .filter((key) => !/^\d+$/.test(String(key)))
                .at(-1)
            : path[1]
        }`,
        path,
      ]),
  ).values(),
];

function put(
  homelab: any,
  path: readonly (string | number)[],
  change: (owner: any, key: string | number) => void,
): void {
  const owner = path.slice(0, -1).reduce((inner, key) => inner?.[key], homelab);
  if (typeof owner === 'object' && owner !== null) change(owner, path.at(-1)!);
}

/** As `put`, but leaves what an earlier change put there and lets nobody in: that fails here and not in what is tested. */
function putWhereItCan(...args: Parameters<typeof put>): void {
  try {
    put(...args);
  } catch {
    // A throwing proxy is on the path.
  }
}

/** What a person sees of a homelab: its own sentences, or what rendering and checks say. @throws on anything else */
function outcome(homelab: unknown): readonly string[] {
  let defined: Homelab;
  try {
    defined = defineHomelab(homelab as Homelab);
  } catch (error) {
    if (!(error instanceof HomelabError)) throw error;
    return error.problems;
  }
  let rendering;
  try {
    rendering = render(homelabApp(defined));
  } catch (error) {
    // A construct's own refusal: its path, what, the value got, the fix.
    if (!/^[\w-]+(\/[\w-]+)*: .*, got .*; /.test((error as Error).message)) throw error;
    return [];
  }
  verdict(checks, { rendering, homelab: defined });
  return [];
}

const SENTENCE = /^[\w"'[\].\\ -]+.* must .*(, got |, but it is missing).*; \S/;

test.each(junk)('%s in any place is rejected with its path, or does no harm', (_name, value) => {
  for (const path of everyPlace) {
    const homelab = changed((h) => put(h, path, (owner, key) => (owner[key] = value)));
    const problems = outcome(homelab);
    for (const problem of problems) {
      expect(problem).toMatch(SENTENCE);
      // One line that a terminal shows as it is.
      // eslint-disable-next-line no-control-regex
      expect(problem).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u202e]/);
      expect(problem.length).toBeLessThan(3000);
    }
  }
});

test('rejects holes, missing properties and junk in several places at once', () => {
  const place = fc.constantFrom(...everyPlace);
  const change = fc.oneof(
    fc.record({ place, index: fc.nat(junk.length - 1) }).map(({ place: path, index }) => ({
      path,
      apply: (owner: any, key: any) => (owner[key] = junk[index]![1]),
    })),
    place.map((path) => ({ path, apply: (owner: any, key: any) => Reflect.deleteProperty(owner, key) })),
    fc
      .record({ place, name: fc.string({ maxLength: 12 }), value: fc.anything() })
      .map(({ place: path, name, value }) => ({
        path,
        apply: (owner: any) =>
          Object.defineProperty(owner, name, { value, enumerable: true, configurable: true, writable: true }),
      })),
  );
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const homelab = changed((h) => {
        for (const { path, apply } of changes) putWhereItCan(h, path, apply);
      });
      for (const problem of outcome(homelab)) expect(problem).toMatch(SENTENCE);
    }),
    { numRuns: 400 },
  );
});

test('rejects what is not a homelab', () => {
  for (const [, value] of junk) expect(() => defineHomelab(value as Homelab)).toThrow(HomelabError);
});
