import { createHash } from 'node:crypto';
import {
  contextSettings,
  isTuned,
  servedName,
  type Homelab,
  type Llm,
  type PulledModel,
  type UbuntuMachine,
} from '../inventory';
import { OLLAMA_VERSION } from './pins';

/** Files of Ollama on the machine that it runs on. */
export const OLLAMA_FILES = {
  unit: '/etc/systemd/system/ollama.service',
  override: '/etc/systemd/system/ollama.service.d/collab-homelab.conf',
  /** Loads the resident models after each start of Ollama. */
  modelsUnit: '/etc/systemd/system/collab-homelab-models.service',
  loadModels: '/usr/local/lib/collab-homelab/load-models',
} as const;

/** Time to load a model from the disk: OLLAMA_LOAD_TIMEOUT, and the timeout of curl in load-models.sh. */
export const LOAD_SECONDS = 900;

export function ollamaVersion({ llm }: Homelab): string {
  return llm?.version ?? OLLAMA_VERSION;
}

/** A model in Ollama, under the name that clients send. */
export interface OnOllama {
  readonly tag: string;
  /** Context with which it is loaded, in tokens. */
  readonly context: number;
}

/** The resident models, in the order of homelab.ts. */
export function residentModels({ llm }: Homelab): OnOllama[] {
  return Object.entries(llm?.models ?? {})
    .filter(([, { resident }]) => resident === true)
    .map(([name, model]) => ({ tag: servedName(name, model), context: model.context }));
}

/** The models that are pulled from the registry, in the order of homelab.ts. */
export function pulledModels({ llm }: Homelab): PulledModel[] {
  return Object.values(llm?.models ?? {}).filter((model): model is PulledModel => !isTuned(model));
}

/** The model that tests the GPU: the first pulled model that is resident, or else the first pulled model. */
export function provingModelOf(homelab: Homelab): PulledModel | undefined {
  const pulled = pulledModels(homelab);
  return pulled.find(({ resident }) => resident === true) ?? pulled[0];
}

/**
 * The unit that Ollama's installer writes, except for the folder of the version. The file started-with records the mark of the
 * override and the version with which the running process was started.
 */
export function ollamaUnit(): string {
  return `# Managed by the bootstrap of the homelab.
[Unit]
Description=Ollama
Wants=network-online.target
After=network-online.target

[Service]
User=ollama
Group=ollama
RuntimeDirectory=ollama
ExecStartPre=/bin/sh -c 'echo "$$HOMELAB_MARK $$(readlink /opt/ollama/current)" >/run/ollama/started-with'
ExecStart=/opt/ollama/current/bin/ollama serve
Restart=always
RestartSec=3

[Install]
WantedBy=multi-user.target
`;
}

/**
 * Ollama looks for a GPU only when it starts, so it misses a driver that is ready later (ollama#18482). If the machine has an AMD
 * device, which it gets by passthrough, the start waits for its render node. The wait runs as user ollama, who must be able to
 * write to that node. A timeout of the wait does not fail the start.
 */
const WAIT_FOR_GPU = [
  'grep -qs 0x1002 /sys/bus/pci/devices/*/vendor || exit 0',
  'for second in $$(seq 60); do for node in /dev/dri/renderD*; do [ -w "$$node" ] && exit 0; done; sleep 1; done',
  'echo "no render node of the GPU within 60 s: Ollama starts without it" >&2',
].join('; ');

/**
 * Settings for one GPU that shares the machine's memory. Does not set HSA_OVERRIDE_GFX_VERSION: it selects ROCm, which does not
 * support this GPU; Vulkan does. CAP_PERFMON lets Ollama read the free memory of the GPU instead of estimating it.
 */
export function ollamaOverride(homelab: Homelab): { readonly text: string; readonly mark: string } {
  const llm = homelab.llm!;
  const settings = Object.entries(environment(homelab, llm)).map(([key, value]) => `Environment="${key}=${value}"`);
  const lines = [
    '# Managed by the bootstrap of the homelab.',
    '[Service]',
    ...settings,
    'AmbientCapabilities=CAP_PERFMON',
    ...(hasGpu(homelab, llm) ? [`ExecStartPre=-/bin/sh -c '${WAIT_FOR_GPU}'`] : []),
  ];
  const mark = createHash('sha256')
    .update([ollamaUnit(), ...lines].join('\n'))
    .digest('hex')
    .slice(0, 16);
  return { mark, text: [...lines, `Environment="HOMELAB_MARK=${mark}"`, ''].join('\n') };
}

function hasGpu({ machines }: Homelab, { machine }: Llm): boolean {
  return (machines[machine] as UbuntuMachine).gpu === true;
}

function environment(homelab: Homelab, llm: Llm): Record<string, string> {
  const { port, models } = llm;
  const { parallel, kvCache } = contextSettings(llm);
  const contexts = Object.values(models).map(({ context }) => context);
  return {
    // Behind the gateway, only programs on the machine itself can connect.
    OLLAMA_HOST: `${llm.gateway === undefined ? '0.0.0.0' : '127.0.0.1'}:${port}`,
    // Without this, Ollama ignores integrated GPUs.
    ...(hasGpu(homelab, llm) && { OLLAMA_IGPU_ENABLE: '1' }),
    // For requests without num_ctx. They make Ollama reload a model that is loaded with a smaller context.
    ...(contexts.length > 0 && { OLLAMA_CONTEXT_LENGTH: String(Math.max(...contexts)) }),
    OLLAMA_FLASH_ATTENTION: '1',
    OLLAMA_KV_CACHE_TYPE: kvCache,
    OLLAMA_NUM_PARALLEL: String(parallel),
    // The resident models and one other.
    OLLAMA_MAX_LOADED_MODELS: String(residentModels(homelab).length + 1),
    OLLAMA_KEEP_ALIVE: '30m',
    OLLAMA_LOAD_TIMEOUT: `${LOAD_SECONDS / 60}m`,
    OLLAMA_NO_CLOUD: '1',
  };
}

/** PartOf makes this unit stop and start with Ollama, also after a crash. */
export function loadModelsUnit(homelab: Homelab): string {
  const resident = residentModels(homelab);
  const models = resident.map(({ tag, context }) => `${tag} ${context}`);
  return `# Managed by the bootstrap of the homelab.
[Unit]
Description=Models that stay loaded
Requires=ollama.service
PartOf=ollama.service
After=ollama.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${OLLAMA_FILES.loadModels} ${homelab.llm!.port} ${models.join(' ')}
TimeoutStartSec=${120 + LOAD_SECONDS * resident.length}
Restart=on-failure
RestartSec=30

[Install]
WantedBy=ollama.service
`;
}
