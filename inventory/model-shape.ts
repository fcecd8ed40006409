import type * as lab from './models';
import * as is from './shape';

const modelTag = is.matching(
  /^[a-z0-9][\w./-]*:(?!latest$)[\w.-]+$/i,
  'a model with an exact tag, never latest',
  'qwen2.5:14b-instruct-q4_K_M',
);
const digest = is.matching(/^sha256:[0-9a-f]{64}$/, 'a digest', `sha256:${'0'.repeat(64)}`);
const folder = is.matching(
  /^(?!.*\.\.)[\w.@ -][\w./@ -]*$/,
  'a folder below the root of the repository',
  'models/writer/data',
);

const architecture = is.shape<lab.ModelArchitecture>({
  parameters: is.whole(1, 1e13),
  layers: is.whole(1, 1000),
  kvHeads: is.whole(1, 1000),
  headSize: is.whole(1, 4096),
  width: is.whole(1, 1e6),
  heads: is.whole(1, 1000),
  vocabulary: is.whole(1, 1e7),
  feedForward: is.whole(1, 1e7),
  maxContext: is.whole(1, 1e8),
  experts: is.optional(
    is.shape<NonNullable<lab.ModelArchitecture['experts']>>({ count: is.whole(1, 10000), used: is.whole(1, 1000) }),
  ),
  window: is.optional(
    is.shape<NonNullable<lab.ModelArchitecture['window']>>({ tokens: is.whole(1, 1e8), every: is.whole(1, 1000) }),
  ),
  vision: is.optional(is.whole(0, 1e12)),
  embedding: is.optional(is.flag),
  fused: is.optional(is.flag),
});

const ofPrompt = { prompt: is.text, tokens: is.optional(is.whole(1, 4096)) };
const expectations: Readonly<Record<string, is.Rule>> = {
  exact: is.shape({ ...ofPrompt, exact: is.text }),
  contains: is.shape({ ...ofPrompt, contains: is.text }),
  refuses: is.shape({ ...ofPrompt, refuses: is.only(true) }),
  similarTo: is.shape({ ...ofPrompt, similarTo: is.text, tolerance: is.number(0, 1) }),
};

const fallback = is.shape<lab.ModelFallback>({
  host: is.dnsName,
  addresses: is.listOf(is.address, 1),
  port: is.optional(is.port),
  model: is.text,
  apiKey: is.optional(is.flag),
});

const served = {
  fallback: is.optional(fallback),
  stable: is.optional(modelTag),
  context: is.whole(512, 1048576),
  resident: is.optional(is.flag),
  usedBy: is.optional(is.listOf(is.dnsLabel)),
  architecture: is.optional(architecture),
  prompts: is.optional(
    is.listOf(
      is.byKey(
        expectations,
        '{ prompt, exact }, { prompt, contains }, { prompt, refuses: true } or { prompt, similarTo, tolerance }',
      ),
    ),
  ),
};

const pulled = is.shape<lab.PulledModel>({ ...served, tag: modelTag, digest: is.optional(digest) });

const tuned = is.shape<lab.TunedModel>({
  ...served,
  base: is.shape<lab.BaseModel>({
    repository: is.matching(
      /^(\.{0,2}\/[\w./@ -]+|[\w.-]+\/[\w.-]+)$/,
      'a repository of Hugging Face or a folder',
      'mlx-community/Qwen2.5-3B-Instruct-bf16',
    ),
    revision: is.matching(
      /^([0-9a-f]{40}|sha256:[0-9a-f]{64})$/,
      'a commit of 40 digits, or the digest of a folder',
      `${'0'.repeat(40)}`,
    ),
    license: is.text,
  }),
  training: is.shape<lab.Training>({
    data: folder,
    digest,
    host: is.optional(is.text),
    kind: is.optional(is.oneOf('lora', 'full')),
    rank: is.optional(is.whole(1, 512)),
    scale: is.optional(is.number(0.01, 1000)),
    layers: is.optional(is.whole(-1, 1000)),
    learningRate: is.optional(is.number(1e-9, 1)),
    iterations: is.optional(is.whole(1, 1e7)),
    batch: is.optional(is.whole(1, 1024)),
    maxSequence: is.optional(is.whole(8, 1048576)),
    seed: is.optional(is.whole(0, 2 ** 31 - 1)),
    patience: is.optional(is.whole(1, 1000)),
    gradientCheckpoint: is.optional(is.flag),
  }),
  export: is.optional(
    is.shape<lab.ModelExport>({
      quantization: is.optional(is.oneOf('f16', 'q8_0', 'q4_K_M')),
      tolerance: is.optional(is.number(0, 1)),
      template: is.optional(is.anyText),
      system: is.optional(is.anyText),
    }),
  ),
  keep: is.optional(is.whole(1, 100)),
});

/** A model is pulled by its tag, or trained from a base. */
export const model: is.Rule = is.byKey(
  { tag: pulled, base: tuned },
  '{ tag, context } for a model of the registry, or { base, training, context } for one that is trained here',
);
