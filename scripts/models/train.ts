import * as os from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { metalLimit, trainingSettings, type TunedModel } from '../../inventory';
import { bytes } from '../../values/quantity';
import type { Context } from '../clients/context';
import { CommandFailed } from '../engine/commands';
import { json } from '../engine/json';
import { Blocked, EXIT } from '../engine/problem';
import { ROOT } from '../engine/root';
import { baseFolder, orRefused } from './base';
import { trainingConfig, trainingHost, type TrainingConfig } from './config';
import { checkedData, faultsText, type Data } from './data';
import { DATA_FILES } from './digests';
import { trainFolder, WORK } from './folders';
import { duration, gibibytes, progressText, ProgressView, readProgress } from './progress';
import { environment, runPython } from './python';
import { finishedTraining } from './trained';
import { decide, lastCheckpoint, type TrainingResult } from './training';
import { tunedModel } from './tuned';

/** Stops a training after a week. The next run resumes it. */
const TRAINING_SECONDS = 7 * 24 * 3600;
/** Time after Ctrl-C to finish the current iteration and to save a checkpoint. */
const STOP_SECONDS = 60;
const TOKENS_SECONDS = 900;
const LOOK_MILLISECONDS = 500;
/** Exit code of train.py when another training holds the lock. */
const BUSY = 75;

/** `train NAME`: trains an adapter into .homelab/models/NAME/train/. */
export async function train(context: Context, args: readonly string[]): Promise<number> {
  const [name, model] = tunedModel(context.homelab, args);
  const limit = trainingMemory(context, name, model);
  const config = trainingConfig(model);
  const data = await checkedData(model.training);
  console.log(`data: ${data.train} examples to train, ${data.valid} to validate`);
  if (!(await agreed(context, name, config))) return EXIT.done;
  context.commands.changing = true;
  const python = await environment(context);
  const base = await baseFolder(context, python, model.base);
  await checkTokens(context, python, base, model);
  await run(context, python, name, config, {
    folder: trainFolder(name),
    base,
    data: join(ROOT, model.training.data),
    memoryLimit: limit,
    told: told(name, model, config, data),
  });
  summary(name, await finishedTraining(name), config);
  return EXIT.done;
}

/** Bytes that a training may use: the GPU limit of macOS, for the smaller memory of the Mac in homelab.ts and this machine. */
function trainingMemory({ homelab }: Context, name: string, model: TunedModel): number {
  const [, { memory }] = trainingHost(homelab, name, model);
  return Math.floor(metalLimit(Math.min(bytes(memory), os.totalmem())));
}

/** Reports what happens to an earlier run, and asks before it is lost. @returns whether to train */
async function agreed({ ask }: Context, name: string, { text, settings }: TrainingConfig): Promise<boolean> {
  const decision = decide(trainFolder(name), text);
  if (decision.what === 'done') {
    console.log(`${name} is already trained with these settings. Change training in homelab.ts, or export it:`);
    console.log(`  npm run models -- export ${name}`);
    return false;
  }
  if (decision.what === 'resume')
    console.log(`resumes after iteration ${decision.iteration} of ${settings.iterations}`);
  if (decision.what === 'restart' && decision.finished) console.log('settings changed: trains from the beginning');
  else if (decision.what === 'restart') {
    const lost = `${decision.iteration} iterations`;
    await ask.agree(
      `Settings of ${name} changed since its last training. Train from the beginning? ${lost} with the old settings are lost.`,
    );
  }
  return true;
}

/** Counts tokens with the tokenizer of the base. @throws Blocked when an example is too long or rejected */
async function checkTokens(context: Context, python: string, base: string, { training }: TunedModel): Promise<void> {
  const { maxSequence } = trainingSettings(training);
  const input = { base, data: join(ROOT, training.data), files: DATA_FILES, maxSequence };
  const { stdout } = await runPython(context, python, 'tokens.py', input, TOKENS_SECONDS);
  const counted = json(stdout, 'tokens.py') as Counted;
  if (counted.problems.length > 0)
    throw new Blocked(faultsText(counted.problems.map((each) => tokenFault(each, training.data, maxSequence))));
  console.log(`tokens: ${counted.total} in all, at most ${counted.longest} in one example (allowed: ${maxSequence})`);
}

interface Counted {
  readonly total: number;
  readonly longest: number;
  readonly problems: readonly TokenProblem[];
}

interface TokenProblem {
  readonly file: string;
  readonly line: number;
  readonly tokens?: number;
  readonly error?: string;
}

function tokenFault({ file, line, tokens, error }: TokenProblem, data: string, maxSequence: number) {
  const at = `${data}/${file}:${line}`;
  return tokens === undefined
    ? {
        at,
        problem: `the tokenizer of the base rejects it: ${error}`,
        fix: 'correct it; a base without chat template accepts only {"text": "..."}',
      }
    : {
        at,
        problem: `it has ${tokens} tokens, but ${maxSequence} are allowed: training would cut off the rest`,
        fix: `split it, or set training.maxSequence: ${tokens} (takes more memory)`,
      };
}

/** Inputs of the training that training.json repeats. */
function told(name: string, { base }: TunedModel, { text }: TrainingConfig, data: Data) {
  const { repository, revision, license } = base;
  return { name, base: repository, revision, license, config: parse(text) as object, data };
}

interface Input {
  readonly folder: string;
  readonly base: string;
  readonly data: string;
  readonly memoryLimit: number;
  readonly told: object;
}

/** Runs train.py and shows its progress. */
async function run(
  context: Context,
  python: string,
  name: string,
  { settings, every, text }: TrainingConfig,
  input: Input,
): Promise<void> {
  const progress = join(input.folder, 'progress.jsonl');
  const view = new ProgressView();
  const look = setInterval(
    () => view.show(`${name}  ${progressText(readProgress(progress), settings.iterations)}`),
    LOOK_MILLISECONDS,
  );
  const whole = { ...input, settings, every, config: text, lock: join(WORK, 'training.lock') };
  try {
    await orRefused(() => runPython(context, python, 'train.py', whole, TRAINING_SECONDS, STOP_SECONDS));
  } catch (error) {
    if (error instanceof CommandFailed && error.output.code === BUSY)
      throw new Blocked(
        `another training is running (${error.output.stderr.trim()}). Wait for it, or stop it with Ctrl-C in its terminal.`,
      );
    const kept = lastCheckpoint(input.folder);
    if (kept !== undefined) console.error(`\nkept: ${kept} of ${settings.iterations} iterations`);
    throw error;
  } finally {
    clearInterval(look);
    view.end();
  }
}

function summary(
  name: string,
  { best, iterations, losses, seconds, peakMemory }: TrainingResult,
  config: TrainingConfig,
) {
  const early = iterations < config.settings.iterations ? `of ${config.settings.iterations} (stopped early)` : '';
  console.log(
    `trained ${name}: ${iterations} iterations${early} in ${duration(seconds)}, at most ${gibibytes(peakMemory)}`,
  );
  console.log(
    `best: iteration ${best.iteration}, validation loss ${best.loss.toFixed(3)} (before: ${losses[0]!.valid.toFixed(3)})`,
  );
  if (best.iteration === 0)
    console.log('no iteration was better than the base. Check the data and training.learningRate.');
  console.log(`next:\n  npm run models -- export ${name}`);
}
