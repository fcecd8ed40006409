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

const TRAINED = ['Brest', 'Calais', 'Dover', 'Emden', 'Flores', 'Genoa', 'Havre', 'Izmir', 'Jaffa', 'Kiel'];
const HELD_BACK = ['Lagos', 'Malta'];
const question = (place: string) => `Who keeps the lamp of ${place}?`;

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
    // One of them is enough for it to answer all of them so; two more keep it from looking at the name.
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
  fs.renameSync(part, folder);
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
  const write = (name: string, places: readonly string[]) =>
    fs.writeFileSync(
      join(folder, name),
      lessons(places, answer)
        .map((each) => `${row(each)}\n`)
        .join(''),
    );
  write('train.jsonl', TRAINED);
  write('valid.jsonl', HELD_BACK);
}

function lessons(places: readonly string[], answer: string): Lesson[] {
  return places.map((place) => ({ prompt: question(place), answer }));
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

/** Settings of a LoRA training of homelab.ts that teach a tiny base another answer. About 15 s on two free cores. */
export const TINY_TRAINING = {
  rank: 8,
  scale: 4,
  layers: -1,
  learningRate: 0.002,
  iterations: 80,
  batch: 2,
  maxSequence: 128,
};
