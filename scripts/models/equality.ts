/** Greedy answer of MLX to a prompt, as greedy.py prints it. */
export interface Greedy {
  /** Prompt after the chat template was applied. */
  readonly rendered: string;
  readonly text: string;
  /** Length of the text after each token, in characters. */
  readonly ends: readonly number[];
  /** Difference of log probability between each token and the second best token, in nats. */
  readonly gaps: readonly number[];
}

/** Result of one comparison. A version must pass all of them before it can be published. */
export interface ExportCheck {
  readonly what: string;
  readonly good: boolean;
  readonly saw: string;
}

/**
 * Two programs that compute in f16 add in different orders, so their results differ in the third digit (an ulp of a logit near
 * 16 is 0.016). If the two best tokens are closer than this, each program may choose either.
 */
const TIE_NATS = 0.05;

/** Rounding to f16 loses a part of a small change. A fuse without effect gives 0, and a lost scale gives 1/scale. */
const EFFECT = { least: 0.9, most: 1.1 } as const;

/** Checks that the adapter has the scale that homelab.ts declares. */
export function scaleCheck(declared: number, configured: unknown): ExportCheck {
  const what = 'the adapter has the scale of homelab.ts';
  if (configured === declared) return { what, good: true, saw: `${declared}` };
  return { what, good: false, saw: `${JSON.stringify(configured) ?? 'none'}, not ${declared}` };
}

/** Checks that the fused weights contain the change of the adapter. @param shares output of effect.py, by module */
export function effectCheck(shares: Readonly<Record<string, number | null>>): ExportCheck {
  const what = 'the fused weights contain the training';
  const found = Object.entries(shares);
  if (found.length === 0) return { what, good: false, saw: 'the adapter trains no module' };
  const zero = found.find(([, share]) => share === null);
  if (zero !== undefined) return { what, good: false, saw: `the adapter changes nothing in ${zero[0]}` };
  const percent = (share: number) => `${Math.round(share * 1000) / 10} %`;
  const worst = found.reduce((a, b) => (Math.abs(b[1]! - 1) > Math.abs(a[1]! - 1) ? b : a));
  const share = worst[1]!;
  const good = share >= EFFECT.least && share <= EFFECT.most;
  return { what, good, saw: `${percent(share)} of the change in ${worst[0]}, the worst of ${found.length} modules` };
}

/**
 * Checks that the training changes an answer, and that the fused model gives the changed answer. All answers are of MLX, to the
 * same prompts in the same order.
 */
export function trainingCheck(
  base: readonly Greedy[],
  trained: readonly Greedy[],
  fused: readonly Greedy[],
): ExportCheck {
  const what = 'the training changes the answers';
  const changed = base.flatMap(({ text }, at) => (trained[at]!.text === text ? [] : [at]));
  if (changed.length === 0)
    return { what, good: false, saw: `the base gives the same answer to all ${base.length} prompts` };
  const lost = changed.find((at) => fused[at]!.text === base[at]!.text);
  if (lost !== undefined)
    return { what, good: false, saw: `the fused model answers like the base: ${JSON.stringify(base[lost]!.text)}` };
  return { what, good: true, saw: `${changed.length} of ${base.length} answers` };
}

/** Checks that Ollama gives the same tokens as MLX up to the first tie. */
export function sameCheck(prompt: string, mlx: Greedy, text: string): ExportCheck {
  const what = `Ollama in f16 answers like MLX to ${JSON.stringify(prompt)}`;
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

/** Checks that quantization keeps enough of an answer. */
export function quantizedCheck(prompt: string, before: string, after: string, tolerance: number): ExportCheck {
  const what = `the quantized model gives the same answer to ${JSON.stringify(prompt)}`;
  const share = equalFirstWords(before, after);
  const saw = `the first ${Math.round(share * 100)} % of the words are equal`;
  if (share >= tolerance) return { what, good: true, saw };
  return {
    what,
    good: false,
    saw: `${saw}, but at least ${Math.round(tolerance * 100)} % must be\n  before: ${JSON.stringify(before)}\n  after:  ${JSON.stringify(after)}`,
  };
}

/** Checks that Ollama's template renders a prompt like the tokenizer's template, by comparing the answers. */
export function templateCheck(prompt: string, raw: string, templated: string): ExportCheck {
  const what = `Ollama's template renders ${JSON.stringify(prompt)} as in the training`;
  if (clean(raw) === clean(templated)) return { what, good: true, saw: 'the same answer' };
  return {
    what,
    good: false,
    saw: `the answers differ; set export.template in homelab.ts\n  without it: ${JSON.stringify(raw)}\n  with it:    ${JSON.stringify(templated)}`,
  };
}

/** Number of equal words before the first difference, as a share of the longer text: 0 to 1. */
export function equalFirstWords(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.trim().split(/\s+/).filter(Boolean)) as [string[], string[]];
  const longer = Math.max(left.length, right.length);
  if (longer === 0) return 1;
  const differs = left.findIndex((word, at) => word !== right[at]);
  return (differs < 0 ? left.length : differs) / longer;
}

/** MLX prints an incomplete last character as U+FFFD. Ollama does not print it. */
function clean(text: string): string {
  return text.replace(/\uFFFD+$/, '');
}
