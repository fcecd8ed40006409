import type { Homelab } from '../../../inventory';
import { action } from '../../engine/actions';
import { NotReady, Problem, TimedOut } from '../../engine/problem';
import { step, type Action, type Step } from '../../engine/step';
import { AI_VM_FILES, packages, ttmOptions } from '../../../machines/ai-vm';
import { noLogin } from './gpu-proof';
import { BOOT_SECONDS, FIRST_BOOT_SECONDS, runningKernel, type UbuntuVm } from '../../clients/ubuntu';
import { planRestart, planStart, type Cluster } from './restart';

/** Whether a login works by now: set by the first step of the stage, so that the others need not try again. */
export interface Seen {
  up: boolean;
}

/** A step that needs a login. */
export function whenUp(seen: Seen, name: string, step: Step): Step {
  return {
    ...step,
    plan() {
      if (!seen.up) throw new NotReady(`${name} has not been started for the first time yet`);
      return step.plan();
    },
  };
}

export function started(cluster: Cluster, vm: UbuntuVm, seen: Seen): Step {
  const { name } = vm;
  const minutes = (BOOT_SECONDS + FIRST_BOOT_SECONDS) / 60;
  const login = action(`wait for a login on ${name} (at most ${minutes} min)`, async (progress) => {
    try {
      await vm.waitForLogin(progress);
    } catch (error) {
      throw error instanceof TimedOut ? await noLogin(cluster.homelab, vm, error) : error;
    }
  });
  return step(`${name} runs and accepts logins`, async () => {
    const isRunning = await vm.proxmox.isRunning();
    seen.up = isRunning && (await vm.firstBoot()) === 'done';
    if (seen.up) return undefined;
    return { actions: [...(isRunning ? [] : await planStart(cluster, vm)), login] };
  });
}

export function installed(homelab: Homelab, vm: UbuntuVm): Step {
  const { commands, name, machine, target } = vm;
  const wanted = packages(homelab, name, machine);
  // linux-firmware alone is half a gigabyte; another apt may be at work for 10 minutes.
  const install = vm.script('packages.sh', wanted, { seconds: 2400, waitsFor: 'apt-get (some minutes)' });
  return step(`${name} has its packages`, async () => {
    // 1: one of them is unknown.
    const argv = ['dpkg-query', '-W', '-f', '${binary:Package} ${db:Status-Status}\\n', ...wanted];
    const { stdout } = await commands.read(target, argv, { accepts: [0, 1] });
    const there = new Set([...stdout.matchAll(/^([^\s:]+)(?::\w+)? installed$/gm)].map(([, each]) => each));
    const missing = wanted.filter((each) => !there.has(each));
    return missing.length === 0 ? undefined : { lines: [`missing: ${missing.join(' ')}`], actions: [install] };
  });
}

/** How much memory the GPU may take, as an option of the kernel module that allocates it. */
export function gpuMemory(vm: UbuntuVm): Step {
  const { line, pages } = ttmOptions(vm.machine);
  return step(`the GPU of ${vm.name} may use ${(pages / 262144).toFixed(1)} GiB`, async () => {
    const { options, initramfs } = await moduleOptions(vm);
    if (options === line && initramfs === line) return undefined;
    return { lines: [`${AI_VM_FILES.ttm}: ${options || 'none'} -> ${line}`], actions: [writeOptions(vm)] };
  });
}

function writeOptions(vm: UbuntuVm): Action {
  const options = { seconds: 900, waitsFor: 'update-initramfs' };
  return vm.script('gtt.sh', ['write', ttmOptions(vm.machine).line], options);
}

/** The limit with which the module runs, where it is another than it should be. */
async function wrongLimit(vm: UbuntuVm): Promise<string | undefined> {
  if (vm.machine.gpu !== true) return undefined;
  const { pages_limit: limit } = await moduleOptions(vm);
  return limit === '' || limit === `${ttmOptions(vm.machine).pages}` ? undefined : limit;
}

function moduleOptions(vm: UbuntuVm) {
  return vm.facts('gtt.sh', ['state'], ['options', 'initramfs', 'pages_limit']);
}

/** Its kernel is one that knows this GPU, and runs with our options. */
export function rebooted(cluster: Cluster, vm: UbuntuVm): Step {
  const { name, machine } = vm;
  const packageName = `linux-generic-hwe-${machine.release}`;
  const newer = action(`check that its kernel is that of ${packageName}`, async () => {
    const { kernel, isNewer } = await kernelOf(vm);
    if (!isNewer)
      throw new Problem(
        `${name} must boot the kernel of ${packageName}, but booted ${kernel}; look at GRUB_DEFAULT in /etc/default/grub there`,
      );
  });
  return step(`${name} runs Ubuntu's newer kernel (HWE)`, async () => {
    const { kernel, isNewer } = await kernelOf(vm);
    const lines = isNewer ? [] : [`kernel: ${kernel} -> that of ${packageName}`];
    const limit = await wrongLimit(vm);
    if (limit !== undefined) lines.push(`ttm.pages_limit: ${limit} -> ${ttmOptions(machine).pages}`);
    if (lines.length === 0) return undefined;
    const { actions, asks } = await planRestart(cluster, vm, 'reboot');
    // Nobody can see what the initramfs holds: it may be the reason.
    const options = limit === undefined ? [] : [writeOptions(vm)];
    return { lines, actions: [...options, ...actions, newer], asks };
  });
}

async function kernelOf({ commands, target }: UbuntuVm) {
  const kernel = await runningKernel(commands, target);
  const argv = ['dpkg-query', '-W', '-f', '${source:Package}', `linux-image-${kernel}`];
  const { stdout } = await commands.read(target, argv, { accepts: [0, 1] });
  return { kernel, isNewer: stdout.includes('hwe') };
}
