import * as fs from 'node:fs';
import {
  alternatives,
  alternativesInWords,
  architectureOfConfig,
  contextSettings,
  isTuned,
  knownArchitecture,
  largestContext,
  MEMORY_BANDWIDTH,
  modelMemory,
  quantizationOf,
  residentBeside,
  roomOf,
  tokensPerSecond,
  weightBytes,
  type Homelab,
  type KvCacheType,
  type Llm,
  type ModelArchitecture,
  type ModelLoad,
  type Quantization,
  type UbuntuMachine,
  type WeightBytes,
} from '../inventory';
import { suggested } from '../values/nearest';
import { sentence } from '../values/problem';
import { bytes, gib } from '../values/quantity';
import { readGguf } from './gguf-header';
import { options, Usage } from './usage';

/** Prints whether another model would fit beside the resident ones. Exit code 1 if it does not fit. */
export async function fitModel(args: readonly string[]): Promise<void> {
  const { default: homelab } = await import('../homelab').catch((error: unknown) => {
    // homelab.ts may be wrong because it lacks these numbers.
    const [file = ''] = args;
    if (/\.(json|gguf)$/.test(file)) console.log(forHomelab(described(file, undefined).architecture).join('\n'));
    throw error;
  });
  const { text, fits } = fitOf(homelab, args);
  console.log(text);
  if (!fits) process.exitCode = 1;
}

/** Context that is assumed without --context. */
const CONTEXT = 8192;

/** The answer as text. @throws Usage for an unknown model or option */
export function fitOf(homelab: Homelab, args: readonly string[]): { readonly text: string; readonly fits: boolean } {
  const { llm } = homelab;
  if (llm === undefined)
    throw new Error(
      sentence({
        what: 'homelab.ts must have llm',
        got: undefined,
        fix: 'add llm: { service, machine, port, models }',
      }),
    );
  const [name = '', ...rest] = args;
  const given = options(rest, { context: 'value', parallel: 'value', 'kv-cache': 'value', quantization: 'value' });
  const model = described(name, given.get('quantization'));
  const { parallel, kvCache } = contextSettings(llm);
  const load: ModelLoad = {
    ...model,
    context: wholeOption(given, 'context') ?? Math.min(CONTEXT, model.architecture.maxContext),
    parallel: wholeOption(given, 'parallel') ?? parallel,
    cache: cacheOption(given.get('kv-cache')) ?? kvCache,
    flash: (homelab.machines[llm.machine] as UbuntuMachine).gpu === true && model.architecture.embedding !== true,
  };
  return answer(homelab, llm, name, load);
}

function answer(homelab: Homelab, llm: Llm, name: string, load: ModelLoad): { text: string; fits: boolean } {
  const machine = homelab.machines[llm.machine] as UbuntuMachine;
  const { architecture, context, parallel, cache } = load;
  const memory = modelMemory(load);
  const others = residentBeside(llm, ownName(llm, name), machine.gpu === true);
  const room = roomOf(homelab);
  const trained = context <= architecture.maxContext;
  const fits = trained && memory.total + others.bytes <= room;
  const most = Math.min(architecture.maxContext, largestContext(load, room - others.bytes));
  const line = (what: string, size: number, note = '') =>
    `  ${what.padEnd(20)} ${gib(size).padStart(10)}  ${note}`.trimEnd();
  const speed = (filled: number) => tokensPerSecond(load, filled).toFixed(1);
  return {
    fits,
    text: [
      name,
      line('weights', memory.weights, `${(architecture.parameters / 1e9).toFixed(2)} billion`),
      line(
        'KV cache',
        memory.cache,
        `${context} tokens x ${parallel}, ${load.flash ? cache : 'f16: no flash attention'}`,
      ),
      line('buffers', memory.compute),
      ...(others.names.length === 0 ? [] : [line('resident models', others.bytes, others.names.join(', '))]),
      line('together', memory.total + others.bytes),
      line(
        `room on ${llm.machine}`,
        room,
        machine.gpu === true ? `of ${gib(bytes(machine.memory))}: the limit of its GPU` : '',
      ),
      '',
      fits
        ? `It fits, with a context of up to ${most}.`
        : trained
          ? `It does not fit. Alternatives: ${alternativesInWords(alternatives(load, others.bytes, machine), llm.machine)}, or a smaller model.`
          : `It was trained for ${architecture.maxContext} tokens: Ollama cuts a longer context.`,
      ...(architecture.embedding === true
        ? []
        : [
            `At most ${speed(0)} tokens a second, ${speed(context)} with a full context: each token reads its weights and cache from memory, ${MEMORY_BANDWIDTH / 1e9} GB/s on a K8 Plus.`,
          ]),
      ...(knownArchitecture(name) ? [] : ['', ...forHomelab(architecture)]),
    ].join('\n'),
  };
}

function forHomelab(architecture: ModelArchitecture): string[] {
  return ['For homelab.ts:', `  architecture: ${written(architecture)},`];
}

/** The name in homelab.ts of the model with this tag, which must not be counted twice. */
function ownName(llm: Llm, tag: string): string | undefined {
  return Object.keys(llm.models).find((name) => {
    const model = llm.models[name]!;
    return name === tag || (isTuned(model) ? model.base.repository : model.tag) === tag;
  });
}

/** The model on the command line. */
function described(
  name: string,
  quantization: string | undefined,
): { readonly architecture: ModelArchitecture; readonly weights: WeightBytes } {
  if (name === '' || name.startsWith('--'))
    throw new Usage(
      sentence({
        what: 'fit-model needs a model as its first argument',
        got: name || undefined,
        allowed: 'a tag of Ollama, a config.json of Hugging Face, a GGUF file',
        fix: 'write npm run homelab -- fit-model qwen2.5:14b',
      }),
    );
  if (name.endsWith('.gguf')) return readGguf(existing(name));
  const architecture = name.endsWith('.json') ? ofConfig(existing(name)) : knownArchitecture(name);
  if (architecture === undefined)
    throw new Error(
      sentence({
        what: 'the table of known models must have the tag',
        got: name,
        fix: `give its config.json or its GGUF file, as in npm run homelab -- fit-model config.json`,
      }),
    );
  return { architecture, weights: weightBytes(architecture, named(quantization, name, architecture)) };
}

/** The quantization of the option, or that of the tag. */
function named(option: string | undefined, tag: string, architecture: ModelArchitecture): Quantization {
  if (option === undefined) return quantizationOf(tag, architecture);
  const found = quantizationOf(`:${option}`, architecture);
  if (found.toLowerCase() === option.toLowerCase()) return found;
  throw new Usage(
    sentence({
      what: '--quantization must be one of Ollama',
      got: option,
      fix: 'write q4_K_M, q8_0 or f16, for example',
    }),
  );
}

function existing(path: string): string {
  if (fs.existsSync(path)) return path;
  throw new Usage(sentence({ what: 'the file must exist', got: path, fix: 'correct the path' }));
}

function ofConfig(path: string): ModelArchitecture {
  let config: unknown;
  try {
    config = JSON.parse(fs.readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(
      sentence({ what: `${path} must be JSON`, got: (error as Error).message, fix: 'download it again' }),
      { cause: error },
    );
  }
  return architectureOfConfig(config);
}

function wholeOption(given: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = given.get(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value > 0 && value <= 2 ** 24) return value;
  throw new Usage(sentence({ what: `--${name} must be a whole number`, got: text, fix: `write --${name}=4` }));
}

function cacheOption(text: string | undefined): KvCacheType | undefined {
  const types: readonly string[] = ['f16', 'q8_0', 'q4_0'];
  if (text === undefined || types.includes(text)) return text as KvCacheType | undefined;
  throw new Usage(
    sentence({
      what: '--kv-cache must be a type of the cache',
      got: text,
      allowed: types.join(', '),
      fix: suggested(text, types, 'choose one of them'),
    }),
  );
}

/** The notation of homelab.ts. */
function written(value: object): string {
  const entries = Object.entries(value).map(
    ([key, each]) => `${key}: ${typeof each === 'object' ? written(each) : String(each)}`,
  );
  return `{ ${entries.join(', ')} }`;
}
