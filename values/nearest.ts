/** The candidate that a misspelt word most likely means; undefined when none is similar. */
export function nearest(word: unknown, candidates: Iterable<string>): string | undefined {
  if (typeof word !== 'string' || word.length > 100) return undefined;
  const near = [...candidates]
    .map((candidate) => [candidate, distance(word.toLowerCase(), candidate.toLowerCase())] as const)
    .filter(
      ([candidate, steps]) =>
        steps <= Math.max(1, Math.floor(Math.min(word.length, candidate.length) / 3)) || isPrefix(word, candidate),
    )
    .sort(([, a], [, b]) => a - b);
  return near[0]?.[0];
}

/** A fix that starts with the candidate that was probably meant. */
export function suggested(word: unknown, candidates: Iterable<string>, fix: string): string {
  const near = nearest(word, candidates);
  return near === undefined ? fix : `did you mean ${near}? Otherwise ${fix}`;
}

/** Whether one word is a prefix of the other: mongo of mongodb. */
function isPrefix(a: string, b: string): boolean {
  return Math.min(a.length, b.length) >= 3 && (a.startsWith(b) || b.startsWith(a));
}

/** Number of letters to add, remove, replace or swap with the next one to turn one word into the other. */
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row[j] = Math.min(
        rows[i - 1]![j]! + 1,
        row[j - 1]! + 1,
        rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
        swapped ? rows[i - 2]![j - 2]! + 1 : Infinity,
      );
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
