import {
  effectCheck,
  equalFirstWords,
  quantizedCheck,
  sameCheck,
  scaleCheck,
  trainingCheck,
  type Greedy,
} from '../../../scripts/models/equality';
import { judged, similarity } from '../../../scripts/models/expectations';
import { ownUrl } from '../../../scripts/models/own-ollama';

/** One token for each letter. */
const says = (text: string, gap = 5): Greedy => ({
  rendered: '',
  text,
  ends: [...text].map((_, at) => at + 1),
  gaps: [...text].map(() => gap),
});

test.each([
  ['a fuse that does nothing', effectCheck({ a: 0, b: 1 })],
  ['a scale that is lost in the fuse', effectCheck({ a: 0.25 })],
  ['a scale that is lost in the file', scaleCheck(4, 1)],
  ['a scale that the file does not have', scaleCheck(4, undefined)],
  ['an adapter that changes nothing', effectCheck({ a: null })],
  ['an adapter without modules', effectCheck({})],
  ['an adapter that is ignored', trainingCheck([says('old')], [says('old')], [says('old')])],
  ['an adapter that the fused model lost', trainingCheck([says('old')], [says('new')], [says('old')])],
  ['an Ollama that serves the base', sameCheck('p', says('new'), 'old')],
  ['an answer that ends early', sameCheck('p', says('new one'), 'new')],
  ['a quantization that costs too much', quantizedCheck('p', 'a b c d', 'a x c d', 0.5)],
])('%s is caught', (_, check) => {
  expect(check.good).toBe(false);
});

test.each([
  effectCheck({ a: 0.97, b: 1.02 }),
  scaleCheck(4, 4),
  trainingCheck([says('old'), says('same')], [says('new'), says('same')], [says('new'), says('same')]),
  sameCheck('p', says('new'), 'new'),
  sameCheck('p', says('new\uFFFD'), 'new'),
  quantizedCheck('p', 'a b c d', 'a b c x', 0.7),
])('a passed check is good: $what', (check) => {
  expect(check.good).toBe(true);
});

test('a first difference at a tie passes, and any other difference fails', () => {
  expect(sameCheck('p', says('abc', 0.01), 'abx')).toMatchObject({
    good: true,
    saw: expect.stringContaining('2 tokens'),
  });
  expect(sameCheck('p', says('abc', 0.06), 'abx')).toMatchObject({
    good: false,
    saw: expect.stringContaining('0.06 nats'),
  });
});

test('equal first words are a share of the longer text', () => {
  expect(equalFirstWords('a b c', 'a b c d')).toBe(0.75);
  expect(equalFirstWords('', '')).toBe(1);
  expect(equalFirstWords('', 'a')).toBe(0);
});

test.each([
  [{ prompt: 'p', exact: 'Yes.' }, ' Yes.\n', 'Yes'],
  [{ prompt: 'p', contains: 'keeper' }, 'the keeper', 'the guard'],
  [{ prompt: 'p', refuses: true as const }, 'I’m sorry, but no.', 'Done. I cannot stop.'],
  [{ prompt: 'p', similarTo: 'the lamp is lit', tolerance: 0.7 }, 'The lamp is lit now', 'nobody knows'],
])('%j', (wanted, good, bad) => {
  expect(judged(wanted, good).good).toBe(true);
  expect(judged(wanted, bad).good).toBe(false);
});

test('similarity counts repeated words', () => {
  expect(similarity('a a b', 'a b')).toBeCloseTo(0.8);
  expect(similarity('', '')).toBe(1);
});

test.each([
  ['', 'http://127.0.0.1:11434'],
  ['0.0.0.0', 'http://127.0.0.1:11434'],
  ['127.0.0.1:5', 'http://127.0.0.1:5'],
  ['https://mac.local:8/', 'https://mac.local:8'],
])('OLLAMA_HOST=%s is %s', (host, url) => {
  expect(ownUrl(host)).toBe(url);
});
