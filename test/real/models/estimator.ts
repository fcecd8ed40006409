import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import {
  architectureOfConfig,
  knownArchitecture,
  modelMemory,
  weightBytes,
  type KvCacheType,
} from '../../../inventory';
import { create } from './bases';
import { TestOllama } from './ollama';
import { tinyBase } from './tiny';
import { ggufParser } from './binaries';
import { writeGguf, type GgufOptions } from './gguf-file';
import type { ModelPart, ModelSuite } from './suite';

/** Compares our memory estimate with that of gguf-parser-go, which reads the header of a file that this part writes. */
export const ESTIMATOR: ModelPart = { name: 'estimator', seconds: 30, run: estimator };

/** Largest allowed ratio of our estimate to theirs. Ours must never be below theirs. */
const ABOVE = 1.05;

interface Case extends GgufOptions {
  readonly name: string;
  readonly context: number;
  readonly cache: KvCacheType;
  readonly parallel?: number;
}

const q4 = { quantization: 'q4_K_M', tied: false, cache: 'q8_0' } as const;
const CASES: readonly Case[] = [
  { ...q4, name: 'qwen2.5:14b', family: 'qwen2', context: 16384 },
  { ...q4, name: 'llama3.1:8b', family: 'llama', context: 131072, cache: 'f16' },
  { ...q4, name: 'qwen2.5:32b', family: 'qwen2', context: 32768 },
  { ...q4, name: 'qwen2.5:3b', family: 'qwen2', context: 8192, tied: true },
  { ...q4, name: 'llama3.2:1b', family: 'llama', context: 8192, tied: true, cache: 'q4_0' },
  { ...q4, name: 'llama3.2:3b', family: 'llama', context: 16384, tied: true, parallel: 4 },
  { ...q4, name: 'llama3.3:70b', family: 'llama', context: 16384 },
  { ...q4, name: 'qwen3:8b', family: 'qwen3', context: 40960 },
  { ...q4, name: 'qwen3:32b', family: 'qwen3', context: 8192, cache: 'q4_0' },
  { ...q4, name: 'qwen3:30b', family: 'qwen3moe', context: 32768 },
  { ...q4, name: 'mistral:7b', family: 'llama', context: 32768, parallel: 2 },
  { ...q4, name: 'mistral-nemo:12b', family: 'llama', context: 65536 },
  { ...q4, name: 'mistral-small:24b', family: 'llama', context: 32768, cache: 'f16' },
  { ...q4, name: 'gemma2:9b', family: 'gemma2', context: 8192, tied: true },
  { ...q4, name: 'gemma3:12b', family: 'gemma3', context: 32768, tied: true },
  { ...q4, name: 'gemma3:27b', family: 'gemma3', context: 131072, tied: true },
  { ...q4, name: 'llama2:13b', family: 'llama', context: 4096, cache: 'f16' },
  { ...q4, name: 'granite3.3:8b', family: 'granite', context: 32768, tied: true },
  { ...q4, name: 'llama3.1:8b', family: 'llama', context: 8192, quantization: 'q8_0' },
  { ...q4, name: 'qwen2.5:7b', family: 'qwen2', context: 32768, quantization: 'f16' },
];

async function estimator(suite: ModelSuite): Promise<void> {
  againstGgufParser(suite);
  await againstOllama(suite);
}

function againstGgufParser({ tally, laps, processes }: ModelSuite): void {
  const ratios: number[] = [];
  for (const each of CASES) {
    const { name, family, quantization, context, cache, parallel = 1 } = each;
    const architecture = { ...knownArchitecture(name)!, vision: 0 };
    const path = join(processes.folder, 'estimated.gguf');
    writeGguf(path, architecture, each);
    const theirs = theirEstimate(path, context * parallel, parallel, cache);
    fs.rmSync(path);
    const weights = weightBytes(architecture, quantization);
    const load = { architecture, weights, context, parallel, cache, flash: true };
    const ours = modelMemory(load);
    const ratio = ours.total / theirs.total;
    ratios.push(ratio);
    // The comparison must detect a cache that is counted too small, and weights that are counted too large.
    const wrong = modelMemory({ ...load, context: context / 2, cache: 'q4_0' });
    const heavy = modelMemory({ ...load, weights: weightBytes(architecture, 'q6_K') });
    tally.check(`${name} with half of its context is detected as too low`, wrong.total < theirs.total);
    if (quantization === 'q4_K_M')
      tally.check(
        `${name} with larger weights is detected as too high`,
        heavy.total / theirs.total > ABOVE,
        `${heavy.total}`,
      );
    const line = `${name} (${family}, ${quantization}, ${context} x ${parallel}, ${cache}): ours / theirs ${ratio.toFixed(4)}`;
    tally.check(
      `${line} is between 1 and ${ABOVE}`,
      ratio >= 1 && ratio <= ABOVE,
      `ours ${inMiB(ours)}\ntheirs ${inMiB(theirs)}`,
    );
    if (process.argv.includes('--verbose')) console.log(`${line}\n  ours ${inMiB(ours)}\n  theirs ${inMiB(theirs)}`);
  }
  const range = `${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)}`;
  laps.lap(`memory of ${CASES.length} models against gguf-parser-go: ${range} of its estimate`);
}

/** Compares ours with the buffers in Ollama's log, on a machine without a GPU: without flash attention, with a cache in f16. */
async function againstOllama({ tally, laps, processes }: ModelSuite): Promise<void> {
  for (const parallel of [1, 2]) {
    const env = { OLLAMA_NUM_PARALLEL: String(parallel), OLLAMA_FLASH_ATTENTION: '1', OLLAMA_KV_CACHE_TYPE: 'q8_0' };
    const name = `allocating-${parallel}`;
    const ollama = await TestOllama.start(processes, name, { env });
    for (const family of ['llama', 'qwen2'] as const) {
      const architecture = architectureOfConfig(
        JSON.parse(fs.readFileSync(join(tinyBase(family), 'config.json'), 'utf8')),
      );
      await create(ollama, `${family}:f16`, tinyBase(family));
      for (const context of [512, 2048]) {
        const options = { num_ctx: context, num_predict: 1 };
        await ollama.ask('/api/generate', { model: `${family}:f16`, prompt: 'x', stream: false, options });
        const weights = weightBytes(architecture, 'f16');
        const ours = modelMemory({ architecture, weights, context, parallel, cache: 'q8_0', flash: false });
        const theirs = allocated(ollama.tail(400));
        const what = `${family}, ${context} x ${parallel}`;
        const detail = `ours ${inMiB(ours)}\ntheirs ${inMiB(theirs)}`;
        tally.check(`${what}: the cache is as large as Ollama's`, ours.cache === theirs.cache, detail);
        tally.check(
          `${what}: weights are as large as Ollama's, or up to a tenth larger`,
          ours.weights >= theirs.weights && ours.weights < theirs.weights * 1.1,
          detail,
        );
        tally.check(`${what}: buffers are at least as large as Ollama's`, ours.compute >= theirs.compute, detail);
        const { models } = await ollama.ask('/api/ps');
        const { size } = models.find((each: { name: string }) => each.name === `${family}:f16`);
        tally.check(`${what}: ours is at least Ollama's own estimate`, ours.total >= size, `${ours.total} ${size}`);
      }
    }
    await ollama.stop();
  }
  laps.lap('memory of two tiny models as Ollama allocates it');
}

/** Buffers of the last loaded model in a log of Ollama. */
function allocated(log: string): Estimate {
  const last = (what: string) => {
    const found = [...log.matchAll(new RegExp(`${what} *= *([\\d.]+) MiB`, 'g'))].at(-1);
    if (found === undefined) throw new Error(`Ollama's log has no line of the ${what}:\n${log.slice(-2000)}`);
    return Number(found[1]) * 1024 ** 2;
  };
  const [weights, cache] = [last('model buffer size'), last('KV self size')];
  const compute = last('compute buffer size') + last('output buffer size');
  return { weights, cache, compute, total: weights + cache + compute };
}

interface Estimate {
  readonly weights: number;
  readonly cache: number;
  readonly compute: number;
  readonly total: number;
}

/** Adds up all devices, because the GPU shares the machine's memory. The token embedding is on the host. */
function theirEstimate(path: string, tokens: number, parallel: number, cache: string): Estimate {
  const args = ['--context', tokens, '--parallel', parallel, '--cache', cache, '--flash-attention', path].map(String);
  const { estimate } = JSON.parse(execFileSync(ggufParser(), args, { encoding: 'utf8', timeout: 60_000 }));
  const [host, gpu] = estimate.devices;
  const weights = host.weight.input + gpu.weight.compute + gpu.weight.output;
  const kv = gpu.kvCache.key + gpu.kvCache.value;
  const computation = ({ footprint, input, graph, output }: any) => footprint + input + Math.max(graph, output);
  const compute = host.footprint + gpu.footprint + computation(host.computation) + computation(gpu.computation);
  return { weights, cache: kv, compute, total: weights + kv + compute };
}

function inMiB(estimate: Estimate): string {
  return Object.entries(estimate)
    .map(([part, size]) => `${part} ${Math.round(size / 1024 ** 2)}`)
    .join(', ');
}
