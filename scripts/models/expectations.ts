import type { ModelPrompt } from '../../inventory';
import type { Judged } from '../stages/models/published';

/** Words of a refusal in English. They must be in the first sentence of the answer. */
const REFUSES =
  /\b(can(no|')t|can not|won['’]t|will not|unable|not able|sorry|apologi[sz]e|decline|must not|not allowed)\b/i;

/** Compares an answer with the expectation in homelab.ts. Ignores white space at both ends. */
export function judged(wanted: ModelPrompt, answer: string): Judged {
  const { prompt } = wanted;
  const text = answer.trim();
  const is = (expected: string, good: boolean): Judged => ({ prompt, answer: text, expected, good });
  if ('exact' in wanted) return is(`exactly ${JSON.stringify(wanted.exact)}`, text === wanted.exact.trim());
  if ('contains' in wanted) return is(`contains ${JSON.stringify(wanted.contains)}`, text.includes(wanted.contains));
  if ('refuses' in wanted) return is('refuses', REFUSES.test(firstSentence(text).replace(/’/g, "'")));
  const { similarTo, tolerance } = wanted;
  const share = similarity(text, similarTo);
  const said = `similar to ${JSON.stringify(similarTo)}: ${share.toFixed(2)} of at least ${tolerance}`;
  return is(said, share >= tolerance);
}

/** Share of words that two texts have in common, in any order: 0 to 1 (Dice coefficient). */
export function similarity(a: string, b: string): number {
  const [left, right] = [words(a), words(b)];
  if (left.length + right.length === 0) return 1;
  const rest = [...right];
  const common = left.filter((word) => {
    const at = rest.indexOf(word);
    if (at >= 0) rest.splice(at, 1);
    return at >= 0;
  });
  return (2 * common.length) / (left.length + right.length);
}

function words(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

function firstSentence(text: string): string {
  return /^[^.!?\n]*/.exec(text)![0];
}
