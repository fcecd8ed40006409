/** The most probable answer of MLX to a prompt, as greedy.py prints it. */
export interface Greedy {
  /** The prompt as the model gets it. */
  readonly rendered: string;
  readonly text: string;
  /** Characters of the text after each token. */
  readonly ends: readonly number[];
  /** How much more probable each token was than the second best, in nats. */
  readonly gaps: readonly number[];
}

/** One thing that was compared before a version may be published. */
export interface ExportCheck {
  readonly what: string;
  readonly good: boolean;
  readonly saw: string;
}

/**
 * Two programs that compute in f16 add in another order, and the results differ in the third digit (an ulp of a logit near 16
 * is 0.016). Where the two best tokens are nearer than this, either may come.
 */
const TIE_NATS = 0.05;

/** Rounding to f16 takes a part of a small change; a fuse that does nothing leaves 0, and a lost scale 1/scale. */
const EFFECT = { least: 0.9, most: 1.1 } as const;

/** Whether the scale with which the adapter is applied is the one that homelab.ts declares. */
export function scaleCheck(declared: number, configured: unknown): ExportCheck {
  const what = 'the adapter says the scale of homelab.ts';
  if (configured === declared) return { what, good: true, saw: `${declared}` };
  return { what, good: false, saw: `${JSON.stringify(configured) ?? 'none'}, not ${declared}` };
}

/** Whether the fused weights differ from the base's by what the adapter says. @param shares by module, of effect.py */
export function effectCheck(shares: Readonly<Record<string, number | null>>): ExportCheck {
  const what = 'the fused weights carry the training';
  const found = Object.entries(shares);
  if (found.length === 0) return { what, good: false, saw: 'the adapter trains no module' };
  const zero = found.find(([, share]) => share === null);
  if (zero !== undefined) return { what, good: false, saw: `the adapter changes nothing in ${zero[0]}` };
  const percent = (share: number) => `${Math.round(share * 1000) / 10} %`;
  const worst = found.reduce((a, b) => (Math.abs(b[1]! - 1) > Math.abs(a[1]! - 1) ? b : a));
  const share = worst[1]!;
  const good = share >= EFFECT.least && share <= EFFECT.most;
  return { what, good, saw: `${percent(share)} of it in ${worst[0]}, the worst of ${found.length} modules` };
}

/** Whether the training changes an answer, and the fused model's with it. Answers of MLX to the same prompts, in their order. */
export function trainingCheck(
  base: readonly Greedy[],
  trained: readonly Greedy[],
  fused: readonly Greedy[],
): ExportCheck {
  const what = 'the training changes what the model says';
  const changed = base.flatMap(({ text }, at) => (trained[at]!.text === text ? [] : [at]));
  if (changed.length === 0)
    return { what, good: false, saw: `the base gives the same answer to all ${base.length} prompts` };
  const lost = changed.find((at) => fused[at]!.text === base[at]!.text);
  if (lost !== undefined)
    return { what, good: false, saw: `fused, it says what the base says: ${JSON.stringify(base[lost]!.text)}` };
  return { what, good: true, saw: `${changed.length} of ${base.length} answers` };
}

/** Whether Ollama says what MLX says, token for token up to the first tie. */
export function sameCheck(prompt: string, mlx: Greedy, text: string): ExportCheck {
  const what = `Ollama says in f16 what MLX says to ${JSON.stringify(prompt)}`;
  const [wanted, got] = [clean(mlx.text), clean(text)];
  if (wanted === got) return { what, good: true, saw: `${mlx.gaps.length} tokens` };
  const at = [...wanted].findIndex((letter, index) => [...got][index] !== letter);
  const equal = at < 0 ? [...wanted].length : at;
  const token = mlx.ends.findIndex((end) => end > equal);
  const gap = token < 0 ? undefined : mlx.gaps[token];
  if (gap !== undefined && gap < TIE_NATS)
    return { what, good: true, saw: `${token} tokens, then a tie (the two best are ${gap} nats apart)` };
  const far = gap === undefined ? '' : `, where the two best tokens are ${gap} nats apart`;
  const from = `from character ${equal}${far}`;
  return {
    what,
    good: false,
    saw: `differs ${from}\n  MLX:    ${JSON.stringify(wanted)}\n  Ollama: ${JSON.stringify(got)}`,
  };
}

/** Whether quantization leaves enough of an answer. */
export function quantizedCheck(prompt: string, before: string, after: string, tolerance: number): ExportCheck {
  const what = `quantized, it says the same to ${JSON.stringify(prompt)}`;
  const share = equalFirstWords(before, after);
  const saw = `${Math.round(share * 100)} % of the words, from the first on, are equal`;
  if (share >= tolerance) return { what, good: true, saw };
  return {
    what,
    good: false,
    saw: `${saw}; at least ${Math.round(tolerance * 100)} % must be\n  before: ${JSON.stringify(before)}\n  after:  ${JSON.stringify(after)}`,
  };
}

/** Whether the template of Ollama renders a prompt as the tokenizer's does, seen by what the model answers. */
export function templateCheck(prompt: string, raw: string, templated: string): ExportCheck {
  const what = `Ollama's template renders ${JSON.stringify(prompt)} as the training did`;
  if (clean(raw) === clean(templated)) return { what, good: true, saw: 'the same answer' };
  return {
    what,
    good: false,
    saw: `another answer; set export.template in homelab.ts\n  without it: ${JSON.stringify(raw)}\n  with it:    ${JSON.stringify(templated)}`,
  };
}

/** Share of words that are equal before the first that differs, of the longer text: 0 to 1. */
export function equalFirstWords(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.trim().split(/\s+/).filter(Boolean)) as [string[], string[]];
  const longer = Math.max(left.length, right.length);
  if (longer === 0) return 1;
  const differs = left.findIndex((word, at) => word !== right[at]);
  return (differs < 0 ? left.length : differs) / longer;
}

/** MLX prints a character of which only a part came as U+FFFD; Ollama holds it back. */
function clean(text: string): string {
  return text.replace(/\uFFFD+$/, '');
}
