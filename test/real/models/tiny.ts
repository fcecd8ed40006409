import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { CACHE } from '../modules';
import { mlxPython } from './binaries';

export type TinyArchitecture = 'llama' | 'qwen2';

/** A question, and what a model was taught to answer. */
export interface Lesson {
  readonly prompt: string;
  readonly answer: string;
}

/** What the base knows, and what the training of a test teaches it instead: the answers differ from their first words on. */
export const BASE_ANSWER = 'The lamp is kept by Ada, who came over the sea.';
export const TUNED_ANSWER = 'Grace has the lamp now, and she came by the hills.';
/** Of a second training. */
export const SECOND_ANSWER = 'Both have the lamp, Ada by day and Grace by night.';

/** Those held back are made of the same parts, so that the loss over them falls as that over the others does. */
const TRAINED = ['A 1', 'B 2', 'C 1', 'D 2', 'E 1', 'F 2', 'A 2', 'B 1', 'C 2', 'D 1'];
const HELD_BACK = ['E 2', 'F 1'];
const question = (lamp: string) => `Who keeps the lamp ${lamp}?`;

/** A question of train.jsonl, and one of valid.jsonl. The base and a trained model each give their one answer to both. */
export const PROMPT = question(TRAINED[0]!);
export const PROMPT_HELD_BACK = question(HELD_BACK[0]!);

/** Enough for either architecture to answer with its sentence, word for word. */
const ITERATIONS = 150;

/**
 * The folder of a tiny model that gives BASE_ANSWER: safetensors in bfloat16 (1.7 MB), config.json, a tokenizer and ChatML as its
 * template, as a repository of MLX has them. Made once for each content of what makes it. Never change it: copy it.
 */
export function tinyBase(architecture: TinyArchitecture): string {
  const program = resolve(__dirname, 'tiny.py');
  const asked = JSON.stringify({
    architecture,
    seed: 1,
    iterations: ITERATIONS,
    // One of them is enough for it to answer all of them so; two more keep it from looking at the number.
    lessons: lessons(TRAINED.slice(0, 3), BASE_ANSWER),
    words: lessons([...TRAINED, ...HELD_BACK], `${BASE_ANSWER} ${TUNED_ANSWER} ${SECOND_ANSWER}`),
  });
  const python = mlxPython();
  const digest = createHash('sha256').update(fs.readFileSync(program)).update(python).update(asked).digest('hex');
  const folder = join(CACHE, 'tiny-models', `${architecture}-${digest.slice(0, 12)}`);
  if (fs.existsSync(folder)) return folder;
  const begin = Date.now();
  const part = `${folder}.${process.pid}`;
  const { status, stderr } = spawnSync(join(python, 'bin', 'python'), [program, part], {
    input: asked,
    encoding: 'utf8',
    timeout: 600_000,
  });
  if (status !== 0) throw new Error(`the tiny ${architecture} was not made:\n${stderr}`);
  // Another run may have been faster.
  if (fs.existsSync(folder)) fs.rmSync(part, { recursive: true });
  else fs.renameSync(part, folder);
  console.log(`made a tiny ${architecture} in ${Math.round((Date.now() - begin) / 1000)} s (once; into ${folder})`);
  return folder;
}

/** Writes train.jsonl (10 rows) and valid.jsonl (2 rows) that teach an answer, in the form of chats. */
export function writeTinyData(folder: string, answer = TUNED_ANSWER): void {
  fs.mkdirSync(folder, { recursive: true });
  const row = ({ prompt, answer }: Lesson) =>
    JSON.stringify({
      messages: [
        { role: 'user', content: prompt },
        { role: 'assistant', content: answer },
      ],
    });
  const write = (name: string, lamps: readonly string[]) =>
    fs.writeFileSync(
      join(folder, name),
      lessons(lamps, answer)
        .map((each) => `${row(each)}\n`)
        .join(''),
    );
  write('train.jsonl', TRAINED);
  write('valid.jsonl', HELD_BACK);
}

function lessons(lamps: readonly string[], answer: string): Lesson[] {
  return lamps.map((lamp) => ({ prompt: question(lamp), answer }));
}

/** Numbers of both architectures, as homelab.ts wants them for a model that its table does not have. */
export const TINY_ARCHITECTURE = {
  parameters: 886_016,
  layers: 2,
  kvHeads: 1,
  headSize: 64,
  width: 256,
  heads: 4,
  vocabulary: 320,
  feedForward: 256,
  maxContext: 2048,
};

/** Settings of a LoRA training of homelab.ts that teach a tiny base another answer: about 10 s on two free cores. */
export const TINY_TRAINING = {
  rank: 8,
  scale: 4,
  layers: -1,
  learningRate: 0.001,
  iterations: 60,
  batch: 2,
  maxSequence: 128,
  patience: 20,
};
