import { Size } from 'cdk8s';
import {
  alternatives,
  defineHomelab,
  gpuMemory,
  knownArchitecture,
  loadOf,
  machineFor,
  metalLimit,
  modelBudget,
  modelMemory,
  tokensPerSecond,
  trainingMemory,
  type Homelab,
  type Model,
  type UbuntuMachine,
} from '../../inventory';
import { bytes } from '../../values/quantity';
import { changed, refusal } from '../homelab';

const GIB = 1024 ** 3;

/** One model alone on the machine of tests: 32 GiB with a GPU. */
const alone =
  (model: object, llm: object = {}) =>
  (h: any) => {
    h.llm.models = { chat: model };
    Object.assign(h.llm, llm);
    h.services.search.connects.pop();
    h.services.assistant.connects = [{ model: 'chat' }];
  };
const accepted = (change: (h: any) => void) => defineHomelab(changed(change) as Homelab);

describe('what is said about a machine of 32 GB', () => {
  const r1 = 'deepseek-r1:32b-qwen-distill-q4_K_M';

  test.each(['q8_0', 'f16'])('a model of 32 billion in 4 bits holds 32k tokens in a cache of %s', (kvCache) => {
    expect(() => accepted(alone({ tag: r1, context: 32768 }, { kvCache }))).not.toThrow();
  });

  test('it does not hold 128k tokens, and the message says what does', () => {
    const message = refusal(alone({ tag: r1, context: 131072 }));
    expect(message).toMatch(
      /llm\.models\.chat must fit into the memory that the GPU of ai-vm may take, got "[\d.]+ GiB of 28 GiB: weights 18\.5 GiB, KV cache 17 GiB, buffers [\d.]+ GiB"; what would fit: context \d+, or 42 GiB for ai-vm, or a smaller model/,
    );
    const context = Number(/context (\d+)/.exec(message)![1]);
    expect(() => accepted(alone({ tag: r1, context }))).not.toThrow();
    expect(() => accepted(alone({ tag: r1, context: context + 1024 }))).toThrow('must fit');
  });

  test.each(['q8_0', 'f16'])('a model of 8 billion holds 128k tokens in a cache of %s', (kvCache) => {
    expect(() => accepted(alone({ tag: 'llama3.1:8b-instruct-q4_K_M', context: 131072 }, { kvCache }))).not.toThrow();
  });
});

test('offers a smaller cache, fewer parallel requests and a larger machine, each of which fits', () => {
  const model: Model = { tag: 'deepseek-r1:32b', context: 24576 };
  const llm = { parallel: 2, kvCache: 'f16' } as const;
  const message = refusal(alone(model, llm));
  expect(message).toContain("or llm.kvCache 'q8_0', or llm.parallel 1, or ");
  const [, machine] = /or (\d+) GiB for ai-vm/.exec(message)!;
  expect(() => accepted(alone(model, { ...llm, kvCache: 'q8_0' }))).not.toThrow();
  const grown = (gibibytes: number) => (h: any) => {
    alone(model, llm)(h);
    h.machines['ai-vm'].memory = Size.gibibytes(gibibytes);
    h.hosts.proxmox.memory = Size.gibibytes(256);
  };
  expect(() => accepted(grown(Number(machine)))).not.toThrow();
  expect(() => accepted(grown(Number(machine) - 1))).toThrow('llm.models.chat must fit');
});

test('all resident models and any one other are loaded together', () => {
  const other = { tag: 'qwen2.5:32b-instruct', context: 4096 };
  const message = refusal((h) => (h.llm.models.second = other));
  expect(message).toContain(
    'llm.models.second must fit into the memory that the GPU of ai-vm may take, beside the resident',
  );
  expect(message).toMatch(/others 10\.\d GiB/);
  // Two that come and go are never loaded together.
  expect(() =>
    accepted((h) => {
      h.llm.models.chat.resident = false;
      h.llm.models.second = other;
    }),
  ).not.toThrow();
});

test('the budget has the residents and the largest other, and adds up to the memory of the machine', () => {
  const homelab = changed((h) => {
    h.llm.models = {
      chat: { tag: 'qwen2.5:14b-instruct-q4_K_M', context: 16384, resident: true },
      small: { tag: 'nomic-embed-text:v1.5', context: 2048 },
      other: { tag: 'llama3.1:8b-instruct-q4_K_M', context: 8192 },
    };
  });
  const { machine, models, room, system } = modelBudget(homelab)!;
  expect(models.map(({ served }) => served)).toEqual(['qwen2.5:14b-instruct-q4_K_M', 'llama3.1:8b-instruct-q4_K_M']);
  expect(room + system).toBe(bytes(homelab.machines[machine]!.memory));
  for (const { memory } of models) {
    const { weights, cache, compute, total } = memory;
    expect(weights + cache + compute).toBe(total);
  }
  expect(modelBudget({ ...homelab, llm: undefined })).toBeUndefined();
});

test('residents that do not fit together are reported once', () => {
  const message = refusal((h) => (h.llm.models.second = { tag: 'qwen2.5:32b', context: 32768, resident: true }));
  expect(message).toContain('homelab.ts has a problem:');
  expect(message).toContain('llm.models.second must fit into the memory');
});

test('an unknown model asks for its numbers, and takes them', () => {
  const unknown = { tag: 'falcon:40b-instruct', context: 2048 };
  expect(refusal(alone(unknown))).toContain(
    'llm.models.chat.architecture must be set: the table of known models does not have falcon:40b-instruct',
  );
  const architecture = { ...knownArchitecture('qwen2.5:7b')! };
  expect(() => accepted(alone({ ...unknown, architecture }))).not.toThrow();
});

test('a context that Ollama would cut is refused', () => {
  expect(refusal(alone({ tag: 'qwen2.5:14b', context: 131072 }))).toContain(
    'llm.models.chat.context must be one that the model was trained for: Ollama cuts a longer one, got 131072 (allowed: at most 32768)',
  );
});

test('without a GPU, the system and Ollama leave the rest', () => {
  const message = refusal((h) => {
    alone({ tag: 'llama3.3:70b-instruct-q4_K_M', context: 8192 })(h);
    h.machines['ai-vm'].gpu = false;
  });
  expect(message).toContain('must fit into the memory of ai-vm, got "');
  expect(message).toContain(' of 29.5 GiB: weights 39.6 GiB');
});

test('without a GPU there is no flash attention: the cache stays in f16, and scores are held', () => {
  const of = (gpu: boolean) => modelMemory(loadOf({}, { tag: 'qwen2.5:14b', context: 8192 }, gpu)!);
  expect(of(false).cache / of(true).cache).toBeCloseTo(16 / 8.5, 5);
  expect(of(false).compute - of(true).compute).toBeGreaterThan(8192 * 512 * 40 * 3);
});

test('the machine that is offered is the smallest that has room', () => {
  for (const size of [0.5, 3, 5, 20, 41].map((each) => each * GIB)) {
    const total = machineFor(size, true) * GIB;
    const holds = (all: number) => gpuMemory(all) >= size && all - 2.5 * GIB >= size;
    expect([holds(total), holds(total - GIB)]).toEqual([true, false]);
  }
});

test('memory grows with context, parallel requests and the precision of the cache', () => {
  const total = (llm: object, context: number, tag = 'qwen2.5:14b') =>
    modelMemory(loadOf(llm, { tag, context }, true)!).total;
  expect(total({}, 16384)).toBeGreaterThan(total({}, 8192));
  expect(total({ parallel: 2 }, 8192) - total({}, 16384)).toBe(0);
  expect(total({ kvCache: 'f16' }, 8192)).toBeGreaterThan(total({ kvCache: 'q8_0' }, 8192));
  expect(total({ kvCache: 'q8_0' }, 8192)).toBeGreaterThan(total({ kvCache: 'q4_0' }, 8192));
});

test('the cache of Qwen 2.5 14B is 192 KiB for each token in f16', () => {
  const { cache } = modelMemory(loadOf({ kvCache: 'f16' }, { tag: 'qwen2.5:14b', context: 1024 }, true)!);
  expect(cache).toBe(1024 * 2 * 48 * 8 * 128 * 2);
});

test('layers with a window hold the window, never more than the context', () => {
  const cache = (context: number) =>
    modelMemory(loadOf({ kvCache: 'f16' }, { tag: 'gemma3:12b', context }, true)!).cache / (2 * 8 * 256 * 2);
  expect(cache(1024)).toBe(48 * 1024);
  expect(cache(65536)).toBe(8 * 65536 + 40 * 1536);
});

test('a token reads all weights: the bandwidth is the limit', () => {
  const load = loadOf({}, { tag: 'qwen2.5:14b', context: 16384 }, true)!;
  expect(tokensPerSecond(load, 0)).toBeCloseTo(10.5, 0);
  expect(tokensPerSecond(load, 16384)).toBeLessThan(tokensPerSecond(load, 0));
  // Of 30 billion weights a token reads 3.
  expect(tokensPerSecond(loadOf({}, { tag: 'qwen3:30b-a3b', context: 16384 }, true)!, 0)).toBeGreaterThan(40);
});

describe('a training on the Mac', () => {
  const writer = (change: (w: any) => void) => (h: any) => change(h.llm.models.writer);
  const of = (h: Homelab) => h.llm!.models.writer as any;

  test('the defaults of mlx_lm do not fit 3 billion weights into 16 GiB, and the message says what does', () => {
    const message = refusal(
      writer((w) => {
        delete w.training.batch;
        delete w.training.maxSequence;
      }),
    );
    expect(message).toMatch(
      /llm\.models\.writer\.training must fit into the memory that macOS gives to the GPU of mac, got "[\d.]+ GiB of 10\.7 GiB: base 5\.7 GiB, adapter and optimiser [\d.]+ GiB, activations [\d.]+ GiB"; what would fit: maxSequence \d+/,
    );
    const maxSequence = Number(/maxSequence (\d+)/.exec(message)![1]);
    const fits = writer((w) => Object.assign(w.training, { batch: 4, maxSequence }));
    expect(() => accepted(fits)).not.toThrow();
  });

  test('a full training of 3 billion weights does not fit, a LoRA does', () => {
    const message = refusal(writer((w) => Object.assign(w.training, { kind: 'full', layers: -1 })));
    expect(message).toContain("kind 'lora'");
  });

  test('activations that are kept take more than those that are computed again', () => {
    const { llm } = accepted(() => undefined);
    const model = llm!.models.writer as any;
    const architecture = knownArchitecture(model.base.repository)!;
    const with_ = (training: object) =>
      trainingMemory(architecture, { ...model, training: { ...model.training, ...training } });
    expect(with_({ gradientCheckpoint: false }).activations).toBeGreaterThan(2 * with_({}).activations);
    expect(with_({ rank: 64 }).trained).toBe(8 * with_({ rank: 8 }).trained);
    expect(with_({ kind: 'full' }).trained).toBeGreaterThan(with_({}).trained);
  });

  test('a base in 4 bits takes a quarter, and its export is dequantized', () => {
    const quantized = of(accepted(writer((w) => (w.base.repository = 'mlx-community/Qwen2.5-3B-Instruct-4bit'))));
    const { base, exported } = trainingMemory(knownArchitecture(quantized.base.repository)!, quantized);
    expect(base / GIB).toBeCloseTo(1.6, 1);
    expect(exported - base).toBe(3.086e9 * 2);
  });

  test('an export that does not fit is refused before the training', () => {
    const message = refusal(
      writer((w) => {
        w.base.repository = 'mlx-community/Qwen2.5-7B-Instruct-4bit';
        w.training.maxSequence = 256;
      }),
    );
    expect(message).toContain(
      'llm.models.writer.base must fit into the memory that macOS gives to the GPU of mac when it is exported',
    );
  });

  test('macOS gives two thirds, and of more than 32 GiB three quarters', () => {
    expect(Math.round(metalLimit(16 * GIB) / 1e6)).toBe(11453);
    expect(Math.round(metalLimit(32 * GIB) / 1e6)).toBe(22906);
    expect(Math.round(metalLimit(36 * GIB) / 1e6)).toBe(28991);
    expect(Math.round(metalLimit(64 * GIB) / 1e6)).toBe(51540);
  });
});

test('alternatives never offer what does not fit', () => {
  const machine = { memory: Size.gibibytes(8), gpu: true } as UbuntuMachine;
  const load = loadOf({}, { tag: 'qwen2.5:72b', context: 32768 }, true)!;
  const offered = alternatives(load, 0, machine);
  expect(Object.keys(offered)).toEqual(['machine']);
});
