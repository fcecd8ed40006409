import type { Homelab } from '../../../inventory';
import { action } from '../../engine/actions';
import { DIGESTS, knownDigest, rememberDigest, sha256 } from '../../engine/digests';
import { Problem } from '../../engine/problem';
import { remoteFile } from '../../engine/remote-file';
import { step, type Step } from '../../engine/step';
import { until } from '../../engine/wait';
import { OLLAMA_FILES, ollamaOverride, ollamaUnit, ollamaVersion } from '../../../machines/ollama';
import { MLX_REQUIREMENTS, ollamaRelease } from '../../../machines/pins';
import type { Ollama } from '../../clients/ollama';
import type { UbuntuVm } from '../../clients/ubuntu';

const NAMES = ['groups', 'version', 'digest', 'active', 'enabled', 'reload', 'started'] as const;

/** The archive has 2 GB; at 1 MB/s. curl ends a stalled one by itself. */
const DOWNLOAD_SECONDS = 2400;

function state(vm: UbuntuVm) {
  return vm.facts('ollama.sh', ['state'], NAMES);
}

/** The system's user that Ollama runs as. */
export function ollamaUser(vm: UbuntuVm): Step {
  const wanted = ['ollama', 'render', 'video'];
  return step('user ollama may use the GPU', async () => {
    const groups = (await state(vm)).groups.split(' ');
    const missing = wanted.filter((group) => !groups.includes(group));
    if (missing.length === 0) return undefined;
    return { lines: [`not in the groups ${missing.join(', ')}`], actions: [vm.script('ollama.sh', ['user'])] };
  });
}

/** The archive has the digest that the release lists, and that it had at the first download. */
export function ollamaInstalled(homelab: Homelab, vm: UbuntuVm): Step {
  const version = ollamaVersion(homelab);
  const { archive, sums } = ollamaRelease(version);
  return step(`Ollama ${version} is installed`, async () => {
    const there = await state(vm);
    const known = knownDigest(archive);
    if (there.version === version && known !== undefined && there.digest === known) return undefined;
    const options = { seconds: DOWNLOAD_SECONDS, waitsFor: 'the download of Ollama' };
    const fetch = vm.script('ollama.sh', ['fetch', version, archive, sums, known ?? ''], options, ({ stdout }) =>
      rememberDigest(archive, stdout.trim()),
    );
    const install = action(`${vm.name}: unpack it to /opt/ollama/${version}, and switch to it`, (progress) =>
      vm.script('ollama.sh', ['install', version, knownDigest(archive)!]).run(progress),
    );
    return {
      lines: [
        `Ollama: ${there.version || 'none'} -> ${version}`,
        ...(known === undefined ? [`its SHA-256, as in the release, is kept in ${DIGESTS} from now on`] : []),
      ],
      actions: [fetch, install],
    };
  });
}

export function ollamaUnits(homelab: Homelab, { commands, target }: UbuntuVm): Step[] {
  return [
    remoteFile(commands, target, { path: OLLAMA_FILES.unit, content: ollamaUnit() }),
    remoteFile(commands, target, { path: OLLAMA_FILES.override, content: ollamaOverride(homelab).text }),
  ];
}

/** It runs with the installed version and settings: otherwise it is restarted. */
export function ollamaRuns(homelab: Homelab, ollama: Ollama): Step {
  const { vm } = ollama;
  const version = ollamaVersion(homelab);
  const { mark } = ollamaOverride(homelab);
  const answers = action(`wait for Ollama ${version} to answer`, (progress) =>
    until('Ollama to answer', { seconds: 120 }, progress, async () => {
      const running = await ollama.version();
      if (running !== version) throw new Problem(`it is ${running}, not ${version}`);
      return true;
    }),
  );
  return step(`Ollama ${version} runs with its settings`, async () => {
    const there = await state(vm);
    const isAsWanted =
      there.active === 'active' &&
      there.enabled === 'enabled' &&
      there.reload === 'no' &&
      there.started === `${mark} ${version}`;
    if (isAsWanted) return undefined;
    return {
      lines: [`does not run with version ${version} and settings ${mark}`],
      actions: [ollama.restart(), answers],
    };
  });
}

/** For fine-tuning and conversions, on the CPU: MLX has no GPU on Linux that is not Nvidia's. */
export function mlx(vm: UbuntuVm): Step {
  const { commands, name, target } = vm;
  const digest = sha256(MLX_REQUIREMENTS.join('\n'));
  return step(`MLX for the CPU is at /opt/mlx on ${name}`, async () => {
    // 1: there is none, or one that is not whole.
    const { stdout } = await commands.read(target, ['cat', '/opt/mlx/.requirements'], { accepts: [0, 1] });
    if (stdout.trim() === digest) return undefined;
    const options = { seconds: 1800, waitsFor: 'pip install (some minutes)' };
    return { actions: [vm.script('mlx.sh', [digest, ...MLX_REQUIREMENTS], options)] };
  });
}
