import { isLong, textDiff } from '../../../synth/plan/text-diff';

const shown = (before: string, after: string, most?: number) =>
  textDiff(before, after, most).map(({ sign, text }) => `${sign}${text}`);

test('shows differing lines with one line of context', () => {
  expect(shown('a\nb\nc\nd\n', 'a\nB\nc\nd\n')).toEqual([' a', '-b', '+B']);
  expect(shown('1\n2\n3\n4\n5\n6\n', '0\n2\n3\n4\n5\n7\n')).toEqual(['-1', '+0', ' 2', '…', ' 5', '-6', '+7']);
  expect(shown('', 'a\nb\n')).toEqual(['+a', '+b']);
});

test('shows both sides if only a part fits', () => {
  const lines = (word: string) => Array.from({ length: 2000 }, (_, index) => `${word}${index}`).join('\n');
  const diff = shown(lines('a'), lines('b'), 9);
  expect(diff).toHaveLength(9);
  expect(diff.filter((line) => line.startsWith('-'))).toHaveLength(4);
  expect(diff.filter((line) => line.startsWith('+'))).toHaveLength(4);
  expect(diff.at(-1)).toBe('…3992 more lines');
});

test('compares a megabyte in time', () => {
  const begin = Date.now();
  textDiff('x\n'.repeat(500_000), 'y\n'.repeat(500_000));
  expect(Date.now() - begin).toBeLessThan(2000);
});

test('only texts of several lines are shown as a diff', () => {
  expect(isLong('a', 'b')).toBe(false);
  expect(isLong('a\n', 'b\n')).toBe(false);
  expect(isLong(undefined, 'a\nb')).toBe(true);
  expect(isLong({ a: 1 }, 'a\nb')).toBe(false);
});
