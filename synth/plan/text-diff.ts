import { visible } from '../../values/problem';

/** One line of a diff: `-` before, `+` after, a blank for context, `…` for lines that are left out. */
export interface DiffLine {
  readonly sign: '-' | '+' | ' ' | '…';
  readonly text: string;
}

/** Whether a field is shown as a line diff. */
export function isLong(before: unknown, after: unknown): boolean {
  return [before, after].every((each) => typeof each === 'string' || each === undefined) && hasLines(before, after);
}

function hasLines(...values: readonly unknown[]): boolean {
  return values.some((each) => typeof each === 'string' && each.trimEnd().includes('\n'));
}

/** More differing lines than this are not compared one by one, because the time grows with the square. */
const COMPARED = 400;

/** The line diff of two texts, cut to a number of lines. */
export function textDiff(before: string, after: string, most = 12, width = 200): DiffLine[] {
  const [a, b] = [before.split('\n'), after.split('\n')];
  let head = 0;
  while (head < Math.min(a.length, b.length) && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < Math.min(a.length, b.length) - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const [left, right] = [a.slice(head, a.length - tail), b.slice(head, b.length - tail)];
  const middle =
    left.length <= COMPARED && right.length <= COMPARED
      ? compared(left, right)
      : [...all('-', left), ...all('+', right)];
  const around = head > 0 ? [{ sign: ' ' as const, text: a[head - 1]! }] : [];
  return cut([...around, ...closeTogether(middle)], most).map(({ sign, text }) => ({
    sign,
    text: visible(text.length > width ? `${text.slice(0, width - 1)}…` : text),
  }));
}

function all(sign: '-' | '+', lines: readonly string[]): DiffLine[] {
  return lines.map((text) => ({ sign, text }));
}

/** The longest common subsequence. */
function compared(a: readonly string[], b: readonly string[]): DiffLine[] {
  const same = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      same[i]![j] = a[i] === b[j] ? same[i + 1]![j + 1]! + 1 : Math.max(same[i + 1]![j]!, same[i]![j + 1]!);
  const lines: DiffLine[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length)
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ sign: ' ', text: a[i]! });
      i++;
      j++;
    } else if (j >= b.length || (i < a.length && same[i + 1]![j]! >= same[i]![j + 1]!))
      lines.push({ sign: '-', text: a[i++]! });
    else lines.push({ sign: '+', text: b[j++]! });
  return lines;
}

/** Leaves out equal lines that are not next to a difference. */
function closeTogether(lines: readonly DiffLine[]): DiffLine[] {
  const near = (at: number) => [at - 1, at, at + 1].some((each) => lines[each] && lines[each].sign !== ' ');
  return lines.flatMap((line, at) => (near(at) ? [line] : near(at - 1) ? [{ sign: '…' as const, text: '' }] : []));
}

/** Shows the first lines of both sides if not all lines fit. */
function cut(lines: readonly DiffLine[], most: number): DiffLine[] {
  if (lines.length <= most) return [...lines];
  const shown = lines.slice(0, most - 1);
  if (!shown.some(({ sign }) => sign === '+')) {
    const added = lines.filter(({ sign }) => sign === '+').slice(0, Math.floor(most / 2));
    shown.splice(most - 1 - added.length, added.length, ...added);
  }
  return [...shown, { sign: '…', text: `${lines.length - shown.length} more lines` }];
}
