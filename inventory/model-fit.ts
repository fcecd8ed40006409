import { sentence } from '../values/problem';
import { bytes, gib, sum } from '../values/quantity';
import type { Homelab, Llm, MacHost, UbuntuMachine } from './homelab';
import { knownArchitecture } from './model-architectures';
import { machineFor, modelMemory, roomForModels, type ModelLoad, type ModelMemory } from './model-memory';
import {
  contextSettings,
  exportSettings,
  isTuned,
  servedName,
  type KvCacheType,
  type Model,
  type TunedModel,
} from './models';
import { quantizationOf, weightBytes } from './model-weights';
import { at } from './shape';
import { metalLimit, smallerTrainings, trainingMemory } from './training-memory';

/** Whether the models of homelab.ts fit into the memory of their machine, and the trainings into the memory of the Mac. */

/** Inputs for the memory of a model. Undefined when the numbers of its architecture are unknown. */
export function loadOf(llm: LlmSettings, model: Model, gpu: boolean): ModelLoad | undefined {
  const architecture = architectureOf(model);
  if (architecture === undefined) return undefined;
  const quantization = isTuned(model) ? exportSettings(model).quantization : quantizationOf(model.tag, architecture);
  const { parallel, kvCache: cache } = contextSettings(llm);
  return {
    architecture,
    weights: weightBytes(architecture, quantization),
    context: model.context,
    parallel,
    cache,
    flash: gpu && architecture.embedding !== true,
  };
}

type LlmSettings = Pick<Llm, 'parallel' | 'kvCache'>;

function architectureOf(model: Model) {
  return model.architecture ?? knownArchitecture(isTuned(model) ? model.base.repository : model.tag);
}

/** Memory for the models of a homelab, in bytes: the limit of the GPU, or the memory that the system leaves. */
export function roomOf({ llm, machines }: Homelab): number {
  return roomForModels(machines[llm!.machine] as UbuntuMachine);
}

/** The resident models that are loaded beside this one, with their memory in bytes. */
export function residentBeside(
  llm: Llm,
  name: string | undefined,
  gpu: boolean,
): { readonly names: readonly string[]; readonly bytes: number } {
  const others = Object.entries(llm.models).filter(([each, { resident }]) => each !== name && resident === true);
  return {
    names: others.map(([each]) => each),
    bytes: sum(others.map(([, model]) => memoryOf(llm, model, gpu)?.total ?? 0)),
  };
}

function memoryOf(llm: Llm, model: Model, gpu: boolean): ModelMemory | undefined {
  const load = loadOf(llm, model, gpu);
  return load && modelMemory(load);
}

/** Memory of the machine that models run on, in bytes. */
export interface ModelBudget {
  /** Name of the machine. */
  readonly machine: string;
  /** The largest set of models that is loaded at once: all resident ones, and the largest other. */
  readonly models: readonly {
    /** Name that clients send. */
    readonly served: string;
    readonly resident: boolean;
    readonly memory: ModelMemory;
  }[];
  /** Memory that models may take together. */
  readonly room: number;
  /** What is left of it for the operating system, Ollama and its cache of files. */
  readonly system: number;
}

/** How the models of homelab.ts fill the memory of their machine. Undefined without models. */
export function modelBudget({ llm, machines }: Homelab): ModelBudget | undefined {
  if (llm === undefined) return undefined;
  const machine = machines[llm.machine] as UbuntuMachine;
  const sized = Object.entries(llm.models).flatMap(([name, model]) => {
    const memory = memoryOf(llm, model, machine.gpu === true);
    return memory === undefined ? [] : [{ served: servedName(name, model), resident: model.resident === true, memory }];
  });
  const others = sized.filter(({ resident }) => !resident).sort((one, other) => other.memory.total - one.memory.total);
  const room = roomForModels(machine);
  return {
    machine: llm.machine,
    models: [...sized.filter(({ resident }) => resident), ...others.slice(0, 1)],
    room,
    system: bytes(machine.memory) - room,
  };
}

/** Alternative changes. Each of them alone makes the model fit. */
export interface Alternatives {
  /** Largest context, a multiple of 1024. */
  readonly context?: number;
  /** The cache type with the most precision that fits. */
  readonly cache?: KvCacheType;
  /** Most parallel requests. */
  readonly parallel?: number;
  /** Memory of the machine, in GiB. */
  readonly machine: number;
}

/** The largest context that fits into the given memory, a multiple of 1024; 0 if none fits. */
export function largestContext(load: ModelLoad, room: number): number {
  const { maxContext } = load.architecture;
  const fits = (context: number) => modelMemory({ ...load, context }).total <= room;
  if (fits(maxContext)) return maxContext;
  return largest(Math.floor(maxContext / 1024), (thousands) => fits(thousands * 1024)) * 1024;
}

/** Finds changes that make a model fit. @param beside memory of the other loaded models, in bytes */
export function alternatives(load: ModelLoad, beside: number, machine: UbuntuMachine): Alternatives {
  const room = roomForModels(machine) - beside;
  const fits = (change: Partial<ModelLoad>) => modelMemory({ ...load, ...change }).total <= room;
  const context = largestContext(load, room);
  const caches: readonly KvCacheType[] = ['f16', 'q8_0', 'q4_0'];
  const smaller = load.flash ? caches.slice(caches.indexOf(load.cache) + 1) : [];
  const cache = smaller.find((each) => fits({ cache: each }));
  const parallel = largest(load.parallel - 1, (requests) => fits({ parallel: requests }));
  return {
    ...(context > 0 && context < load.context && { context }),
    ...(cache && { cache }),
    ...(parallel > 0 && { parallel }),
    machine: machineFor(beside + modelMemory(load).total, machine.gpu === true),
  };
}

/** The largest number from 1 to a limit that fits, or 0. Assumes that a larger number needs more memory. */
function largest(limit: number, fits: (count: number) => boolean): number {
  let [low, high] = [0, Math.max(0, limit)];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The alternatives as text: `context 40960, or llm.kvCache 'q8_0', or 40 GiB for ai-vm`. */
export function alternativesInWords({ context, cache, parallel, machine }: Alternatives, name: string): string {
  return [
    ...(context === undefined ? [] : [`context ${context}`]),
    ...(cache === undefined ? [] : [`llm.kvCache '${cache}'`]),
    ...(parallel === undefined ? [] : [`llm.parallel ${parallel}`]),
    `${machine} GiB for ${name}`,
  ].join(', or ');
}

/** Reports models and trainings that do not fit, with changes that make them fit. */
export function modelFitProblems(homelab: Homelab): string[] {
  const { llm, machines } = homelab;
  if (!llm) return [];
  const models = Object.entries(llm.models);
  const machine = Object.hasOwn(machines, llm.machine) ? machines[llm.machine]! : undefined;
  return [
    ...models.flatMap(([name, model]) => architectureProblems(at('llm.models', name), model)),
    ...(machine?.kind === 'ubuntu' ? servedProblems(llm, machine) : []),
    ...models.flatMap(([name, model]) => (isTuned(model) ? trainingProblems(homelab, name, model) : [])),
  ];
}

function architectureProblems(place: string, model: Model): string[] {
  const architecture = architectureOf(model);
  if (architecture === undefined)
    return [
      sentence({
        what: `${place}.architecture must be set: the table of known models does not have ${isTuned(model) ? model.base.repository : model.tag}`,
        got: undefined,
        fix: 'add architecture: { parameters, layers, heads, kvHeads, headSize, width, feedForward, vocabulary, maxContext }, as npm run homelab -- fit-model config.json prints it',
      }),
    ];
  if (model.context <= architecture.maxContext) return [];
  return [
    sentence({
      what: `${place}.context must be one that the model was trained for: Ollama cuts a longer one`,
      got: model.context,
      allowed: `at most ${architecture.maxContext}`,
      fix: 'lower it, or choose a model with a longer context',
    }),
  ];
}

/** All resident models and one other model are loaded at the same time. */
function servedProblems(llm: Llm, machine: UbuntuMachine): string[] {
  const models = Object.entries(llm.models);
  const gpu = machine.gpu === true;
  const sizes = new Map(models.map(([name, model]) => [name, memoryOf(llm, model, gpu)?.total ?? 0]));
  const room = roomForModels(machine);
  const resident = models.filter(([, model]) => model.resident).map(([name]) => name);
  const largestResident = resident.sort((one, other) => sizes.get(other)! - sizes.get(one)!)[0];
  const together = sum(resident.map((name) => sizes.get(name)!));
  const tooLarge = (name: string) => together + sizes.get(name)! > room;
  if (largestResident !== undefined && together > room) return [tooLargeProblem(llm, machine, largestResident)];
  return models
    .filter(([name, model]) => !model.resident && tooLarge(name))
    .map(([name]) => tooLargeProblem(llm, machine, name));
}

function tooLargeProblem(llm: Llm, machine: UbuntuMachine, name: string): string {
  const gpu = machine.gpu === true;
  const load = loadOf(llm, llm.models[name]!, gpu)!;
  const { weights, cache, compute, total } = modelMemory(load);
  const beside = residentBeside(llm, name, gpu).bytes;
  const of = gpu ? `that the GPU of ${llm.machine} may take` : `of ${llm.machine}`;
  return sentence({
    what: `${at('llm.models', name)} must fit into the memory ${of}${beside > 0 ? ', beside the resident models' : ''}`,
    got: `${gib(total + beside)} of ${gib(roomForModels(machine))}: weights ${gib(weights)}, KV cache ${gib(cache)}, buffers ${gib(compute)}${beside > 0 ? `, others ${gib(beside)}` : ''}`,
    fix: `what would fit: ${alternativesInWords(alternatives(load, beside, machine), llm.machine)}, or a smaller model`,
  });
}

function trainingProblems({ hosts }: Homelab, name: string, model: TunedModel): string[] {
  const macs = Object.keys(hosts).filter((each) => hosts[each]!.kind === 'mac');
  const host = model.training.host ?? (macs.length === 1 ? macs[0]! : '');
  const architecture = architectureOf(model);
  if (!macs.includes(host) || architecture === undefined) return [];
  const limit = metalLimit(bytes((hosts[host] as MacHost).memory));
  const memory = trainingMemory(architecture, model);
  const place = at('llm.models', name);
  const problems: string[] = [];
  if (memory.total > limit)
    problems.push(
      sentence({
        what: `${place}.training must fit into the memory that macOS gives to the GPU of ${host}`,
        got: `${gib(memory.total)} of ${gib(limit)}: base ${gib(memory.base)}, adapter and optimiser ${gib(memory.trained)}, activations ${gib(memory.activations)}`,
        fix: `what would fit: ${smallerTrainings(architecture, model, limit).join(', or ') || 'a smaller base, or one that is quantized (-4bit)'}`,
      }),
    );
  if (memory.exported > limit)
    problems.push(
      sentence({
        what: `${place}.base must fit into the memory that macOS gives to the GPU of ${host} when it is exported`,
        got: `${gib(memory.exported)} of ${gib(limit)} for the base and the fused weights`,
        fix: 'choose a smaller base, or train fewer layers',
      }),
    );
  return problems;
}
