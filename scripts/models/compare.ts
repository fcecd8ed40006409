import * as fs from 'node:fs';
import { resolve } from 'node:path';
import { versionName } from '../../inventory';
import { ollama as ollamaOf } from '../clients/ollama';
import type { Context } from '../clients/context';
import { Blocked, EXIT, Usage } from '../engine/problem';
import type { ModelFlags } from './command';
import { comparisonPage } from './compare-page';
import { ANSWER_TOKENS } from './evaluation';
import type { Judged } from '../stages/models/published';
import { judged, similarity } from './expectations';
import { loadResident, releasesOf, versionOf } from '../clients/model-releases';
import { task } from './task';
import { tunedModel } from './tuned';

/** The answers of two versions to one prompt. */
export interface Compared {
  readonly prompt: string;
  readonly expected: string;
  readonly answers: readonly [Judged, Judged];
  /** Share of common words, 0 to 1. */
  readonly similarity: number;
}

/** Shows the answers of two versions to the prompts of homelab.ts side by side. Asks them on the AI VM. */
export async function compare(context: Context, args: readonly string[], { html }: ModelFlags): Promise<number> {
  const [name = '', first, second, file, ...more] = args;
  if (first === undefined || second === undefined || more.length > 0 || html !== (file !== undefined))
    throw new Usage('npm run models -- compare NAME vA vB [--html FILE]');
  const [, model] = tunedModel(context.homelab, [name]);
  const prompts = model.prompts ?? [];
  if (prompts.length === 0)
    throw new Blocked(
      `${name} has no prompts in homelab.ts to compare its versions with. Add one:\n  prompts: [{ prompt: '...', contains: '...' }]`,
    );
  const ollama = ollamaOf(context);
  const { versions } = await releasesOf(ollama, name, model);
  const tags = [first, second].map((text) => {
    const version = versionOf(text);
    if (versions.has(version)) return versionName(name, version);
    const there = [...versions.keys()].sort((a, b) => a - b).map((each) => `v${each}`);
    throw new Blocked(`${name} has no v${version} on ${ollama.vm.name} (there: ${there.join(', ') || 'none'})`);
  }) as [string, string];
  const ask = (tag: string) =>
    task(`ask ${tag}`, async (progress) => {
      const found: Judged[] = [];
      for (const [at, prompt] of prompts.entries()) {
        progress(`${tag} answers prompt ${at + 1} of ${prompts.length}`);
        const { tokens = ANSWER_TOKENS } = prompt;
        const { text } = await ollama.answer({ tag, context: model.context, prompt: prompt.prompt, tokens });
        found.push(judged(prompt, text));
      }
      await ollama.unload(tag);
      return found;
    });
  const both = [await ask(tags[0]), await ask(tags[1])] as const;
  await loadResident(ollama, context.homelab, () => undefined);
  const compared = prompts.map(({ prompt }, at): Compared => {
    const answers = [both[0][at]!, both[1][at]!] as const;
    return {
      prompt,
      answers,
      expected: answers[0].expected,
      similarity: similarity(answers[0].answer, answers[1].answer),
    };
  });
  if (file === undefined) console.log(sideBySide(tags, compared, process.stdout.columns ?? 120));
  else {
    fs.writeFileSync(resolve(file), comparisonPage(name, tags, compared));
    console.log(`wrote ${file}`);
  }
  return EXIT.done;
}

/** Two columns in the given width, one block for each prompt. */
export function sideBySide(tags: readonly [string, string], compared: readonly Compared[], width: number): string {
  const column = Math.max(20, Math.floor((width - 3) / 2));
  const row = (left: string, right: string) => `${left.padEnd(column)} | ${right}`.trimEnd();
  const lines = compared.flatMap(({ prompt, answers, similarity: share }) => {
    const [left, right] = answers.map(({ answer, good }) => wrapped(`${good ? 'ok' : 'BAD'}: ${answer}`, column)) as [
      string[],
      string[],
    ];
    const height = Math.max(left.length, right.length);
    return [
      ...wrapped(`> ${prompt}`, width),
      ...wrapped(
        `  ${answers[0].expected.replace(/: [\d.]+ of/, ':')}; ${Math.round(share * 100)} % of the words in common`,
        width,
      ),
      ...Array.from({ length: height }, (_, at) => row(left[at] ?? '', right[at] ?? '')),
      '',
    ];
  });
  return [row(...tags), row('-'.repeat(column), '-'.repeat(column)), ...lines].join('\n').trimEnd();
}

function wrapped(text: string, width: number): string[] {
  return text.split('\n').flatMap((line) => {
    const lines: string[] = [''];
    for (const word of line.match(new RegExp(`\\S{1,${width}}\\s*|\\s+`, 'gu')) ?? [])
      if ((lines.at(-1)! + word).trimEnd().length > width) lines.push(word);
      else lines[lines.length - 1] += word;
    return lines.map((each) => each.trimEnd());
  });
}
