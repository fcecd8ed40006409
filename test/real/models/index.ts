import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Processes } from '../cluster/processes';
import { onLoopback } from '../loopback';
import { Laps, writeProofs } from '../proofs';
import { Tally } from '../tally';
import { BASES } from './bases';
import { CHAIN, CHAIN_OF_LLAMA } from './chain';
import { clientLibraries, ggufParser, mlxPython, OLLAMA_BUILT, ollamaBinary } from './binaries';
import { ESTIMATOR } from './estimator';
import { FULL_TRAINING } from './full-training';
import { GATEWAY } from './gateway';
import { HUB } from './hub';
import { RELEASE } from './release';
import type { ModelPart, ModelSuite } from './suite';
import { tinyBase } from './tiny';
import { TRAINING } from './training';
import { TRAINING_PEAK } from './training-peak';

/**
 * Tests models as releases with a real mlx_lm and a real Ollama: makes, trains, exports, publishes and asks tiny models of two
 * architectures. Uses no network except loopback. --only=NAME,NAME runs single parts, --full all cases of each.
 */
const PARTS: readonly ModelPart[] = [
  BASES,
  CHAIN,
  ESTIMATOR,
  GATEWAY,
  TRAINING,
  HUB,
  RELEASE,
  FULL_TRAINING,
  CHAIN_OF_LLAMA,
  TRAINING_PEAK,
];

/** The sample starts nothing that would end later than this, in seconds. */
const CLOCK = 285;

onLoopback(
  () => [ollamaBinary(), ggufParser(), mlxPython(), clientLibraries(), tinyBase('llama'), tinyBase('qwen2')],
  // Part release mounts a small disk for a full Ollama.
  ['--mount', '--propagation', 'private'],
);

async function main(): Promise<void> {
  const full = process.argv.includes('--full');
  const only = process.argv
    .find((arg) => arg.startsWith('--only='))
    ?.slice('--only='.length)
    .split(',');
  const names = PARTS.map(({ name }) => name);
  const unknown = only?.filter((name) => !names.includes(name)) ?? [];
  if (unknown.length > 0)
    throw new Error(`--only must name parts, got ${unknown.join(', ')} (allowed: ${names.join(', ')})`);
  const begin = Date.now();
  const mayBegin = (what: string, seconds: number) => {
    const enough = full || only !== undefined || (Date.now() - begin) / 1000 + seconds <= CLOCK;
    if (!enough) console.log(`left out: ${what}, because the sample ends after ${CLOCK} s (--full, or --only=...)`);
    return enough;
  };
  const folder = fs.mkdtempSync(join(tmpdir(), 'models-'));
  const suite: ModelSuite = { tally: new Tally(), laps: new Laps(), full, processes: new Processes(folder), mayBegin };
  for (const { name, seconds, run } of PARTS) {
    if (only ? !only.includes(name) : !mayBegin(`part ${name}`, seconds)) continue;
    try {
      await run(suite);
    } catch (error) {
      suite.tally.check(`part ${name} ends`, false, (error as Error).stack);
    }
    suite.laps.lap(`part ${name}`);
  }
  await suite.processes.stopAll();
  console.log(`Ollama ${OLLAMA_BUILT}`);
  if (full && only === undefined) writeProofs('models', [...suite.laps.lines, suite.tally.line()]);
  suite.tally.close();
}

void main();
