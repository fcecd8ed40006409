import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Simulation } from '../simulation';
import { haproxyTakes } from './haproxy';
import { Failure, Unexpected } from './program';
import { GPU_ADDRESS, hasGpu, isActive } from './ubuntu';

/** Ollama on a simulated machine, as its API answers to curl there. */
export interface Ollama {
  /** Of the disk that its machine stands for. */
  volume?: string;
  version: string;
  port: number;
  env: Record<string, string>;
  /** Digest by tag. */
  models: Record<string, string>;
  loaded: Record<string, { context: number; onGpu: boolean; vram: number; stays: boolean }>;
  /** What it writes to its log about devices. */
  log: string;
}

/** What a test may turn: `state.extra.ollamaTurned`. */
export interface Turned {
  /** Another digest than the tag's own. */
  digests?: Record<string, string>;
  /** `absent`: the GPU is not seen. `partly`: half of a model is on it. `slow`: it is no faster than the CPU. `gone`: after a restart. */
  gpu?: 'absent' | 'partly' | 'slow';
  /** The GPU computes only when its device in that slot was handed over with that option: `['hostpci1', 'romfile=']`. */
  needs?: readonly [slot: string, option: string];
  /** A context that models do not go beyond. */
  limit?: number;
}

const SIZE = 10 * 2 ** 30;
const SPEED = { cpu: 4.5, gpu: 13.5 };

/** A release as it is downloaded, with its list of digests. */
export function offerOllama(
  simulation: Simulation,
  release: { readonly archive: string; readonly sums: string },
): void {
  const folder = fs.mkdtempSync(join(tmpdir(), 'ollama-'));
  fs.mkdirSync(join(folder, 'bin'));
  fs.mkdirSync(join(folder, 'lib/ollama'), { recursive: true });
  fs.writeFileSync(join(folder, 'bin/ollama'), '#!/bin/sh\n', { mode: 0o755 });
  fs.writeFileSync(join(folder, 'lib/ollama/libggml-vulkan.so'), 'x');
  const tar = execFileSync('tar', ['--mtime=@0', '--sort=name', '-c', '-C', folder, 'bin', 'lib']);
  const archive = execFileSync('zstd', ['-q', '-c'], { input: tar });
  fs.rmSync(folder, { recursive: true, force: true });
  const digest = createHash('sha256').update(archive).digest('hex');
  const name = release.archive.replace(/^.*\//, '');
  simulation.urls[release.archive] = archive;
  simulation.urls[release.sums] =
    `${'0'.repeat(64)}  ./ollama-darwin.tgz\n${digest}  ./${name}\n${'1'.repeat(64)}  ./ollama-linux-arm64.tar.zst\n`;
}

export function ollamaOf({ state }: Simulation, machine: string): Ollama {
  const all: Record<string, Ollama> = (state.extra.ollama ??= {});
  const volume = state.machines[machine]?.volume;
  if (all[machine] === undefined || all[machine].volume !== volume)
    all[machine] = { ...(volume && { volume }), version: '', port: 0, env: {}, models: {}, loaded: {}, log: '' };
  return all[machine];
}

/** As the unit says. Nothing is loaded any more. */
export function startOllama(simulation: Simulation, machine: string, unit: string): void {
  const it = ollamaOf(simulation, machine);
  const folder = simulation.files(machine);
  const current = join(folder, 'opt/ollama/current');
  const version = fs.lstatSync(current, { throwIfNoEntry: false })?.isSymbolicLink() ? fs.readlinkSync(current) : '';
  const isUser = fs.readFileSync(join(folder, 'etc/passwd'), 'utf8').includes('\nollama:');
  if (!isUser || !fs.existsSync(join(folder, 'opt/ollama', version, 'bin/ollama')) || version === '')
    throw new Failure('Job for ollama.service failed because the control process exited with error code.');
  const env = Object.fromEntries(
    [...unit.matchAll(/^Environment="(\w+)=(.*)"$/gm)].map(([, key, value]) => [key!, value!]),
  );
  const [address, port] = env.OLLAMA_HOST?.split(':') ?? ['127.0.0.1', '11434'];
  // "bind: address already in use", and it ends.
  if (address === '0.0.0.0' && haproxyTakes(simulation, machine, Number(port)))
    throw new Failure('Job for ollama.service failed because the control process exited with error code.');
  Object.assign(it, { version, env, loaded: {}, port: Number(port) });
  fs.mkdirSync(join(folder, 'run/ollama'), { recursive: true });
  fs.writeFileSync(join(folder, 'run/ollama/started-with'), `${env.HOMELAB_MARK ?? ''} ${version}\n`);
  // Key by key as LogDetails in discover/types.go of 0.32.15 writes it. A Mesa that does not know the marketing name says so.
  const device = usesGpu(simulation, machine)
    ? `id=0 filter_id="" library=Vulkan compute=0.0 name=Vulkan0 description="AMD Radeon Graphics (RADV PHOENIX)" libdirs=ollama,vulkan driver=0.0 pci_id=${GPU_ADDRESS} type=iGPU`
    : 'id=cpu library=cpu compute="" name=cpu description=cpu libdirs=ollama driver="" pci_id="" type=""';
  it.log = `time=2026-11-24T10:00:00.000Z level=INFO source=types.go:32 msg="inference compute" ${device} total="28.0 GiB" available="27.9 GiB"\n`;
}

/** What the API answers, or undefined where nothing listens. */
export function askOllama(
  simulation: Simulation,
  machine: string,
  url: URL,
  data: string | undefined,
): { readonly code: number; readonly body: string } | undefined {
  const it = ollamaOf(simulation, machine);
  const isHeard = url.hostname === '127.0.0.1' || it.env.OLLAMA_HOST?.startsWith('0.0.0.0:');
  if (!isActive(simulation, machine, 'ollama.service') || !isHeard || Number(url.port) !== it.port) return undefined;
  const request = data === undefined ? {} : JSON.parse(data);
  const answer = (body: object, code = 200) => ({ code, body: JSON.stringify(body) });
  const turned: Turned = simulation.state.extra.ollamaTurned ?? {};
  const tag = String(request.model ?? '');
  const missing = answer({ error: `model '${tag}' not found` }, 404);
  switch (url.pathname) {
    case '/api/version':
      return answer({ version: it.version.replace(/^v/, '') });
    case '/api/tags':
      return answer({
        models: Object.entries(it.models).map(([name, digest]) => ({ name, model: name, size: SIZE, digest })),
      });
    case '/api/ps':
      return answer({
        models: Object.entries(it.loaded).map(([name, { context, vram, stays }]) => ({
          name,
          model: name,
          size: SIZE,
          size_vram: vram,
          context_length: context,
          expires_at: stays ? '2318-01-01T00:00:00Z' : new Date(Date.now() + 1_800_000).toISOString(),
        })),
      });
    case '/api/pull': {
      const digest = turned.digests?.[tag] ?? createHash('sha256').update(tag).digest('hex');
      it.models[tag] = digest;
      const part = { status: 'pulling aa', digest: 'sha256:aa', total: 2e9 };
      const lines = [{ status: 'pulling manifest' }, part, { ...part, completed: 2e9 }, { status: 'success' }];
      return { code: 200, body: lines.map((line) => `${JSON.stringify(line)}\n`).join('') };
    }
    case '/api/generate':
    case '/api/embed': {
      if (it.models[tag] === undefined) return missing;
      const embeds = tag.includes('embed');
      if (embeds && url.pathname === '/api/generate')
        return answer({ error: `"${tag}" does not support generate` }, 400);
      const context = Math.min(
        Number(request.options?.num_ctx ?? it.env.OLLAMA_CONTEXT_LENGTH),
        turned.limit ?? Infinity,
      );
      // What is loaded is used as it is, also on the CPU, where a request says nothing else.
      const { num_gpu: layers } = request.options ?? {};
      const there = it.loaded[tag];
      const isUsed = there?.context === context && (layers === undefined || there.onGpu === (layers !== 0));
      const onGpu = isUsed ? there.onGpu : usesGpu(simulation, machine) && layers !== 0;
      it.loaded[tag] = {
        context,
        onGpu,
        vram: onGpu ? (turned.gpu === 'partly' ? SIZE / 2 : SIZE) : 0,
        stays: request.keep_alive === undefined ? isUsed && there.stays : request.keep_alive === -1,
      };
      if (request.keep_alive === 0)
        it.loaded = Object.fromEntries(Object.entries(it.loaded).filter(([name]) => name !== tag));
      if (!request.prompt) return answer({ model: tag, done: true, done_reason: 'load' });
      const speed = onGpu && turned.gpu !== 'slow' ? SPEED.gpu : SPEED.cpu;
      return answer({
        model: tag,
        response: 'Once',
        done: true,
        eval_count: 64,
        eval_duration: Math.round((64 / speed) * 1e9),
      });
    }
  }
  throw new Unexpected(`Ollama's ${url.pathname}`);
}

function usesGpu(simulation: Simulation, machine: string): boolean {
  const turned: Turned = simulation.state.extra.ollamaTurned ?? {};
  const [slot, option] = turned.needs ?? ['hostpci0', ''];
  const { vmid } = simulation.state.machines[machine]!;
  return (
    hasGpu(simulation, machine) &&
    String(simulation.state.vms[vmid!]?.started?.[slot]).includes(option) &&
    ollamaOf(simulation, machine).env.OLLAMA_IGPU_ENABLE === '1' &&
    turned.gpu !== 'absent'
  );
}
