import type { TunedModel } from '../../inventory';
import type { OllamaApi } from '../clients/ollama-api';
import { Blocked, Problem } from '../engine/problem';
import type { Progress } from '../engine/step';
import type { Evaluation, Judged } from '../stages/models/published';
import { judged } from './expectations';
import { gigabytes } from './task';

/** Tokens of an answer when homelab.ts says nothing. */
export const ANSWER_TOKENS = 128;

/**
 * Has a version answer the prompts of homelab.ts where it will be served.
 * @param gpu whether the machine has one, on which the model must be as a whole
 * @throws Blocked when it does not fit, Problem when an answer is not as expected
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
      `${tag} must take ${context} tokens, and takes no more than ${there}; lower its context in homelab.ts`,
    );
  if (gpu && sizeVram !== size)
    throw new Blocked(
      `${tag} must be on the GPU as a whole, and ${gigabytes(sizeVram)} of ${gigabytes(size)} are: it does not fit beside the models that stay loaded. Give it less context, or a smaller quantization, or fewer models \`resident: true\``,
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
        `${tag} must answer as homelab.ts expects, and ${wrong.length} of ${answers.length} answers differ; clients still get the version before`,
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
