import { createHash } from 'node:crypto';
import type { Context } from '../../clients/context';
import { knownDigest, rememberDigest } from '../../engine/digests';
import { Problem } from '../../engine/problem';
import { remoteFile } from '../../engine/remote-file';
import type { Step } from '../../engine/step';
import { until } from '../../engine/wait';
import { OLLAMA_FILES, ollamaOverride, ollamaUnit, ollamaVersion } from '../../../machines/ollama';
import { MLX_REQUIREMENTS, ollamaRelease } from '../../../machines/pins';
import { ollamaApi } from '../../clients/ollama';
import { facts } from '../../clients/ubuntu-facts';
import type { AiVm } from '../../clients/ubuntu';

const NAMES = ['groups', 'version', 'digest', 'active', 'enabled', 'reload', 'started'] as const;

/** The archive has 2 GB; at 1 MB/s. curl ends a stalled one by itself. */
const DOWNLOAD_SECONDS = 2400;

async function state({ commands }: Context, { place }: AiVm) {
  const { stdout } = await commands.readScript(place, 'ubuntu/ollama.sh', ['state'], { asRoot: true });
  return facts(stdout, `ai-ollama.sh on ${place.name}`, NAMES);
}

/** The system's user that Ollama runs as. */
export function ollamaUser(context: Context, vm: AiVm): Step {
  const wanted = ['ollama', 'render', 'video'];
  return {
    title: 'user ollama may use the GPU',
    async plan() {
      const groups = (await state(context, vm)).groups.split(' ');
      const missing = wanted.filter((group) => !groups.includes(group));
      return missing.length === 0 ? undefined : { lines: [`user ollama: add to ${missing.join(', ')}`] };
    },
    async apply() {
      await context.commands.changeScript(vm.place, 'ubuntu/ollama.sh', ['user']);
    },
  };
}

/** A release is what its own list says, and what it was the first time. */
export function ollamaInstalled(context: Context, vm: AiVm): Step {
  const version = ollamaVersion(context.homelab);
  const { archive, sums } = ollamaRelease(version);
  return {
    title: `Ollama ${version} is installed`,
    async plan() {
      const there = await state(context, vm);
      const known = knownDigest(archive);
      if (there.version === version && known !== undefined && there.digest === known) return undefined;
      return {
        lines: [
          `Ollama: ${there.version || 'none'} -> ${version}`,
          `${archive} (SHA-256 ${known ?? 'as in the release, kept in scripts/digests.json from now on'})`,
        ],
      };
    },
    async apply(_, progress) {
      progress(`downloads ${archive}`);
      const known = knownDigest(archive) ?? '';
      const { stdout } = await context.commands.changeScript(
        vm.place,
        'ubuntu/ollama.sh',
        ['fetch', version, archive, sums, known],
        { seconds: DOWNLOAD_SECONDS, waitsFor: 'the download of Ollama' },
      );
      const digest = stdout.trim();
      rememberDigest(archive, digest);
      progress('unpacks it');
      await context.commands.changeScript(vm.place, 'ubuntu/ollama.sh', ['install', version, digest], { seconds: 600 });
    },
  };
}

export function ollamaUnits({ commands, homelab }: Context, { place }: AiVm): Step[] {
  return [
    remoteFile(commands, place, { path: OLLAMA_FILES.unit, content: ollamaUnit() }),
    remoteFile(commands, place, { path: OLLAMA_FILES.override, content: ollamaOverride(homelab).text }),
  ];
}

/** It runs, and with the settings and version that are there now: only then it is not restarted. */
export function ollamaRuns(context: Context, vm: AiVm): Step {
  const version = ollamaVersion(context.homelab);
  const { mark } = ollamaOverride(context.homelab);
  return {
    title: `Ollama ${version} runs with its settings`,
    async plan() {
      const there = await state(context, vm);
      const isAsWanted =
        there.active === 'active' &&
        there.enabled === 'enabled' &&
        there.reload === 'no' &&
        there.started === `${mark} ${version}`;
      return isAsWanted ? undefined : { lines: [`systemctl restart ollama.service (${version}, settings ${mark})`] };
    },
    async apply(_, progress) {
      await context.commands.changeScript(vm.place, 'ubuntu/ollama.sh', ['start'], { seconds: 180 });
      const api = ollamaApi(context);
      await until('Ollama to answer', { seconds: 120 }, progress, async () => {
        const running = await api.version();
        if (running !== version) throw new Problem(`it is ${running}, not ${version}`);
        return true;
      });
    },
  };
}

/** For fine-tuning and conversions, on the CPU: MLX has no GPU on Linux that is not Nvidia's. */
export function mlx({ commands }: Context, { name, place }: AiVm): Step {
  const digest = createHash('sha256').update(MLX_REQUIREMENTS.join('\n')).digest('hex');
  return {
    title: `MLX for the CPU is at /opt/mlx on ${name}`,
    async plan() {
      // 1: there is none, or one that is not whole.
      const { stdout } = await commands.read(place, ['cat', '/opt/mlx/.requirements'], { accepts: [0, 1] });
      return stdout.trim() === digest ? undefined : { lines: [`/opt/mlx: pip install ${MLX_REQUIREMENTS.join(' ')}`] };
    },
    async apply(_, progress) {
      progress('pip install (some minutes)');
      const options = { seconds: 1800, waitsFor: 'pip' };
      await commands.changeScript(place, 'ubuntu/mlx.sh', [digest, ...MLX_REQUIREMENTS], options);
    },
  };
}
