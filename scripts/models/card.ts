import * as fs from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from '../engine/sops';
import type { Published } from '../stages/models/published';
import type { ExportRecord } from './export-record';
import { cardFolder } from './folders';
import { lossPicture } from './loss-picture';
import { duration, gibibytes } from './progress';

/** Data that the card of a version shows. */
export interface Card {
  readonly exported: ExportRecord;
  readonly published: Published;
}

/** Files that show a reviewer where a version comes from: card.json for programs, card.md and loss.svg for people. */
export function cardFiles(card: Card): ReadonlyMap<string, string> {
  return new Map([
    ['card.json', `${JSON.stringify(cardData(card), null, 2)}\n`],
    ['card.md', cardText(card)],
    ['loss.svg', lossPicture(card.exported.training)],
  ]);
}

export function writeCard(card: Card): void {
  const { name, version } = card.exported;
  const folder = cardFolder(name, version);
  fs.mkdirSync(folder, { recursive: true });
  for (const [file, text] of cardFiles(card)) writeWhole(join(folder, file), text);
}

/** Leaves out paths of this machine. */
function cardData({ exported }: Card) {
  const { name, version, source, checks, versions, made, training } = exported;
  const { adapter: _, ...trained } = training;
  return {
    name,
    version,
    training: trained,
    export: {
      quantization: source.quantization,
      files: exported.blobs.map(({ name: file, digest, size }) => ({ name: file, digest, size })),
      checks,
      versions,
      made,
    },
  };
}

function cardText({ exported, published }: Card): string {
  const { name, version, source, blobs, checks, training } = exported;
  const { best, iterations, losses, data } = training;
  const { evaluation } = published;
  return [
    `# ${name} v${version}`,
    '',
    ...table(
      ['', ''],
      [
        ['base', `${training.base}, ${training.revision}`],
        ['licence of the base', training.license],
        ['data', `${data.train} examples, ${data.valid} to validate; ${data.digest}`],
        [
          'training',
          `${iterations} iterations in ${duration(training.seconds)}, at most ${gibibytes(training.peakMemory)}`,
        ],
        [
          'validation loss',
          `${losses[0]!.valid.toFixed(3)} before, ${best.loss.toFixed(3)} at iteration ${best.iteration} (exported)`,
        ],
        ['adapter', training.adapterDigest],
        ['quantization', source.quantization],
        ...blobs.map(({ name: file, digest, size }) => [file, `${digest}, ${(size / 1e6).toFixed(1)} MB`]),
        [
          'versions',
          Object.entries({ ...training.versions, ...exported.versions })
            .map(([what, one]) => `${what} ${one}`)
            .join(', '),
        ],
        ['exported', exported.made],
        ['published', `${published.at} on ${published.machine}, Ollama ${published.ollama}`],
        [
          'speed on that machine',
          `${evaluation.tokensPerSecond} tokens/s; ${gibibytes(evaluation.size)}, ${gibibytes(evaluation.sizeVram)} of them on the GPU`,
        ],
      ],
    ),
    '',
    '![Loss](loss.svg)',
    '',
    '## Settings',
    '',
    ...table(
      ['setting', 'value'],
      Object.entries(training.config).map(([key, value]) => [key, JSON.stringify(value)]),
    ),
    '',
    '## Checks of the export',
    '',
    ...table(
      ['check', 'result', 'seen'],
      checks.map(({ what, good, saw }) => [what, good ? 'good' : 'BAD', saw]),
    ),
    '',
    '## Answers',
    '',
    ...(evaluation.answers.length === 0
      ? ['homelab.ts has no prompts for this model.']
      : table(
          ['prompt', 'expected', 'answer', 'result'],
          evaluation.answers.map(({ prompt, expected, answer, good }) => [
            prompt,
            expected,
            answer,
            good ? 'good' : 'BAD',
          ]),
        )),
    '',
  ].join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

/** Escapes text for a table cell, so that it cannot end the row or become a link or an image. */
function cell(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/[\\`*_[\]<>|!]/g, (character) => (character === '_' ? character : `\\${character}`))
    .trim();
}
