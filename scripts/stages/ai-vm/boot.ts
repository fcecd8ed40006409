import type { Context } from '../../clients/context';
import { Problem, TimedOut } from '../../engine/problem';
import type { Step } from '../../engine/step';
import { AI_VM_FILES, packages, ttmOptions } from '../../../machines/ai-vm';
import { facts } from '../../clients/ubuntu-facts';
import { noLogin } from './gpu-proof';
import {
  BOOT_SECONDS,
  FIRST_BOOT_SECONDS,
  firstBoot,
  isOn,
  runningKernel,
  waitForLogin,
  type AiVm,
} from '../../clients/ubuntu';
import { type Seen } from './when-up';
import { restartAiVm, restartAsks, startAiVm } from './restart';

export function started(context: Context, vm: AiVm, seen: Seen): Step {
  const { name, machine } = vm;
  return {
    title: `${name} has been started, and can be logged in to`,
    async plan() {
      const isRunning = await isOn(context, vm);
      seen.up = isRunning && (await firstBoot(context, vm)) === 'done';
      if (seen.up) return undefined;
      return {
        lines: [
          ...(isRunning ? [] : [`qm start ${machine.vmid}`]),
          `wait for its boot (at most ${(BOOT_SECONDS + FIRST_BOOT_SECONDS) / 60} min)`,
        ],
      };
    },
    async apply(_, progress) {
      if (!(await isOn(context, vm))) await startAiVm(context, vm, progress);
      try {
        await waitForLogin(context, vm, progress);
      } catch (error) {
        throw error instanceof TimedOut ? await noLogin(context, vm, error) : error;
      }
    },
  };
}

export function installed(context: Context, { name, machine, place }: AiVm): Step {
  const { commands, homelab } = context;
  const wanted = packages(homelab, name, machine);
  return {
    title: `${name} has its packages`,
    async plan() {
      // 1: one of them is unknown.
      const argv = ['dpkg-query', '-W', '-f', '${binary:Package} ${db:Status-Status}\\n', ...wanted];
      const { stdout } = await commands.read(place, argv, { accepts: [0, 1] });
      const there = new Set([...stdout.matchAll(/^([^\s:]+)(?::\w+)? installed$/gm)].map(([, each]) => each));
      const missing = wanted.filter((each) => !there.has(each));
      return missing.length === 0 ? undefined : { lines: [`apt-get install ${missing.join(' ')}`] };
    },
    async apply(_, progress) {
      progress('apt-get update and install (some minutes)');
      // linux-firmware alone is half a gigabyte; another apt may be at work for 10 minutes.
      const options = { seconds: 2400, waitsFor: 'apt-get' };
      await commands.changeScript(place, 'ubuntu/packages.sh', wanted, options);
    },
  };
}

/** How much memory the GPU may take, said to the module that gives it out. */
export function gpuMemory(context: Context, { name, machine, place }: AiVm): Step {
  const { line, pages } = ttmOptions(machine);
  return {
    title: `the GPU of ${name} may use ${(pages / 262144).toFixed(1)} GiB`,
    async plan() {
      const { options, initramfs } = await moduleOptions(context, { place });
      if (options === line && initramfs === line) return undefined;
      return { lines: [`${AI_VM_FILES.ttm}: ${options || 'none'} -> ${line}`, 'update-initramfs -u -k all'] };
    },
    apply: () => writeOptions(context, { place, machine }),
  };
}

async function writeOptions({ commands }: Context, { place, machine }: Pick<AiVm, 'place' | 'machine'>): Promise<void> {
  const options = { seconds: 900, waitsFor: 'update-initramfs' };
  await commands.changeScript(place, 'ubuntu/gtt.sh', ['write', ttmOptions(machine).line], options);
}

/** The limit with which the module runs, where it is another than it should be. */
async function wrongLimit(context: Context, vm: AiVm): Promise<string | undefined> {
  if (vm.machine.gpu !== true) return undefined;
  const { pages_limit: limit } = await moduleOptions(context, vm);
  return limit === '' || limit === `${ttmOptions(vm.machine).pages}` ? undefined : limit;
}

async function moduleOptions({ commands }: Context, { place }: Pick<AiVm, 'place'>) {
  const { stdout } = await commands.readScript(place, 'ubuntu/gtt.sh', ['state'], { asRoot: true });
  return facts(stdout, `ai-gtt.sh on ${place.name}`, ['options', 'initramfs', 'pages_limit']);
}

/** Its kernel is one that knows this GPU, and runs with our options. */
export function rebooted(context: Context, vm: AiVm): Step {
  const { name, machine } = vm;
  return {
    title: `${name} runs Ubuntu's newer kernel (HWE)`,
    async plan() {
      const { kernel, isNewer } = await kernelOf(context, vm);
      const lines = isNewer ? [] : [`kernel: ${kernel} -> that of linux-generic-hwe-${machine.release}`];
      const limit = await wrongLimit(context, vm);
      if (limit !== undefined) lines.push(`ttm.pages_limit: ${limit} -> ${ttmOptions(machine).pages}`);
      if (lines.length === 0) return undefined;
      return { lines: [...lines, 'systemctl reboot'], asks: await restartAsks(context, vm, 'reboot') };
    },
    async apply(_, progress) {
      // What the initramfs holds is not seen: it may be the reason.
      if ((await wrongLimit(context, vm)) !== undefined) await writeOptions(context, vm);
      await restartAiVm(context, name, { kind: 'reboot' }, progress);
      const { kernel, isNewer } = await kernelOf(context, vm);
      if (!isNewer)
        throw new Problem(
          `${name} must come up with the kernel of linux-generic-hwe-${machine.release}, and came up with ${kernel}; look at GRUB_DEFAULT in /etc/default/grub there`,
        );
    },
  };
}

async function kernelOf(context: Context, { place }: AiVm) {
  const kernel = await runningKernel(context, place);
  const argv = ['dpkg-query', '-W', '-f', '${source:Package}', `linux-image-${kernel}`];
  const { stdout } = await context.commands.read(place, argv, { accepts: [0, 1] });
  return { kernel, isNewer: stdout.includes('hwe') };
}
