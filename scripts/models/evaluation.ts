import type { TunedModel } from '../../inventory';
import type { OllamaApi } from '../clients/ollama-api';
import { Blocked, Problem } from '../engine/problem';
import type { Progress } from '../engine/step';
import type { Evaluation, Judged } from '../stages/models/published';
import { judged } from './expectations';
import { gigabytes } from './task';

/** Most tokens of an answer, unless homelab.ts sets `tokens` of the prompt. */
export const ANSWER_TOKENS = 128;

/**
 * Sends the prompts of homelab.ts to a version on the machine that will serve it.
 * @param gpu whether the machine has a GPU; if so, the whole model must be on it
 * @throws Blocked when the model does not fit, Problem when an answer is not as expected
 */
export async function evaluate(
  ollama: OllamaApi,
  tag: string,
  model: TunedModel,
  gpu: boolean,
  progress: Progress,
): Promise<Evaluation> {
  progress(`Ollama loads ${tag}`);
  const { context } = model;
  await ollama.load(tag, context, '5m');
  const { size, sizeVram, context: there } = (await ollama.loaded()).get(tag) ?? { size: 0, sizeVram: 0, context: 0 };
  if (there < context)
    throw new Blocked(
      `${tag} takes at most ${there} tokens, less than its context in homelab.ts (${context}). Lower its context.`,
    );
  if (gpu && sizeVram === 0)
    throw new Blocked(
      `${tag} runs on the CPU of ${ollama.target.name}: Ollama finds no GPU there, or no room on it. Check the GPU:\n  npm run bootstrap -- verify`,
    );
  if (gpu && sizeVram !== size)
    throw new Blocked(
      `${tag} does not fit on the GPU beside the models that stay loaded: only ${gigabytes(sizeVram)} of ${gigabytes(size)} are on the GPU. Lower its context, use a smaller quantization, or set \`resident: true\` on fewer models.`,
    );
  const answers: Judged[] = [];
  const spent = { tokens: 0, seconds: 0 };
  for (const [at, prompt] of (model.prompts ?? []).entries()) {
    progress(`${tag} answers prompt ${at + 1} of ${model.prompts!.length}`);
    const tokens = prompt.tokens ?? ANSWER_TOKENS;
    const answer = await ollama.answer({ tag, context, prompt: prompt.prompt, tokens });
    answers.push(judged(prompt, answer.text));
    spent.tokens += answer.tokens;
    spent.seconds += answer.seconds;
  }
  const wrong = answers.filter(({ good }) => !good);
  if (wrong.length > 0)
    throw new Problem(
      [
        `${wrong.length} of ${answers.length} answers of ${tag} are not what homelab.ts expects. Clients still get the previous version.`,
        ...wrong.flatMap(({ prompt, answer, expected }) => [
          `  prompt:   ${JSON.stringify(prompt)}`,
          `  expected: ${expected}`,
          `  answer:   ${JSON.stringify(answer)}`,
        ]),
        'Train it again, or correct the expectation in homelab.ts.',
      ].join('\n'),
    );
  const tokensPerSecond = spent.seconds === 0 ? 0 : Math.round((spent.tokens / spent.seconds) * 100) / 100;
  return { answers, tokensPerSecond, size, sizeVram };
}
