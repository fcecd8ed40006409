/** A compute device in Ollama's log at its start: `inference compute` in discover/types.go of 0.32. */
export interface ComputeDevice {
  /** Vulkan, ROCm, cpu and so on. */
  readonly library: string;
  /** Address in its machine, as 0000:01:00.0; empty where Ollama could not tell. */
  readonly pciId: string;
  /** iGPU, discrete, or empty for the CPU. */
  readonly type: string;
  /** As the driver calls it: for people. */
  readonly description: string;
}

/** What scripts/remote/ubuntu/ollama-log.sh prints. */
export interface OllamaLog {
  /** Addresses of AMD's display controllers in that machine. */
  readonly gpus: readonly string[];
  readonly devices: readonly ComputeDevice[];
}

export function parseLog(text: string): OllamaLog {
  const lines = text.split('\n');
  return {
    gpus: lines.flatMap((line) => /^gpu=(\S+)$/.exec(line)?.[1] ?? []),
    devices: lines.filter((line) => line.includes('inference compute')).map(device),
  };
}

/** Whether it is the passed-through GPU. Ignores names, because they depend on the driver. */
export function isOurGpu({ library, pciId, type }: ComputeDevice, gpus: readonly string[]): boolean {
  if (library.toLowerCase() !== 'vulkan') return false;
  // Ollama leaves the address out where its own look at the device and llama.cpp's differ.
  if (pciId === '' || gpus.length === 0) return type === 'iGPU';
  return gpus.includes(pciId.toLowerCase());
}

export function usesVulkan({ devices }: OllamaLog): boolean {
  return devices.some(({ library }) => library.toLowerCase() === 'vulkan');
}

/** As Go's slog writes text: key=value, in quotes where the value is empty or has a space. */
function device(line: string): ComputeDevice {
  const fields = new Map(
    [...line.matchAll(/(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/g)].map(([, key, quoted, plain]) => [
      key!,
      quoted ?? plain!,
    ]),
  );
  const of = (key: string) => fields.get(key) ?? '';
  return { library: of('library'), pciId: of('pci_id'), type: of('type'), description: of('description') };
}
