import { hostOf, type UbuntuMachine } from '../../inventory';
import { json } from '../engine/json';
import { CommandFailed, type Target } from '../engine/commands';
import { proxmox, ubuntu, type Context } from './context';
import { Blocked } from '../engine/problem';
import { until } from '../engine/wait';

/** A machine beside the cluster, seen from outside: as a VM on its host, and over SSH. */
export interface AiVm {
  readonly name: string;
  readonly machine: UbuntuMachine;
  readonly place: Target;
  readonly host: Target;
}

export function aiVm(context: Context, name: string): AiVm {
  const machine = context.homelab.machines[name];
  if (machine?.kind !== 'ubuntu') throw new Error(`${name} is no machine beside the cluster`);
  return { name, machine, place: ubuntu(context, name), host: proxmox(context, hostOf(context.homelab, machine)) };
}

/** Time from the power button to a login: firmware, kernel and services; with a GPU its memory is pinned first. */
export const BOOT_SECONDS = 600;

/** cloud-init sets up users, network and keys, and grows the disk: minutes on a slow disk. */
export const FIRST_BOOT_SECONDS = 900;

/** A login that fails does so at once or after 10 s. */
const PROBE = { seconds: 30 };

/**
 * How far cloud-init is, or undefined while nobody can log in.
 * @throws Stop when its first boot went wrong, or another machine answers in its place
 */
export async function firstBoot({ commands }: Context, vm: AiVm): Promise<'done' | 'running' | undefined> {
  const { name, machine, place } = vm;
  let text: string;
  try {
    // 1 is an error, 2 one that it went on from; both are told in the answer.
    const argv = ['cloud-init', 'status', '--format=json'];
    text = (await commands.read(place, argv, { ...PROBE, accepts: [0, 1, 2] })).stdout;
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    if (!/Host key verification failed|IDENTIFICATION HAS CHANGED/.test(error.output.stderr)) return undefined;
    throw new Blocked(
      `${name} (${machine.address}) must answer with the host key that it had before, and has another one. If it was made anew: ssh-keygen -R ${machine.address}`,
    );
  }
  const { status, errors } = json(text, `cloud-init status on ${name}`);
  if (status === 'error')
    throw new Blocked(
      `the first boot of ${name} must succeed, and cloud-init says: ${[errors].flat().join('; ') || 'nothing'}; look at /var/log/cloud-init.log there, and make the VM anew if it is new`,
    );
  return status === 'done' || status === 'disabled' ? 'done' : 'running';
}

/**
 * Until cloud-init is done with a boot.
 * @throws Stop when it says that something went wrong
 * @throws TimedOut when nobody can log in by then
 */
export async function waitForLogin(context: Context, vm: AiVm, progress: (what: string) => void): Promise<void> {
  const { name } = vm;
  // A Stop is handed out of the wait: what is thrown in it is tried again.
  const look = () =>
    firstBoot(context, vm).catch((error: unknown) => (error instanceof Blocked ? error : Promise.reject(error)));
  const first = await until(`a login on ${name}`, { seconds: BOOT_SECONDS }, progress, look);
  if (first === 'done') return;
  const end = await until(
    `the first boot of ${name} (cloud-init)`,
    { seconds: FIRST_BOOT_SECONDS },
    progress,
    async () => {
      const state = await look();
      return state === 'running' ? undefined : state;
    },
  );
  if (end instanceof Blocked) throw end;
}

/** The kernel that runs there. */
export async function runningKernel({ commands }: Context, place: Target): Promise<string> {
  const { stdout } = await commands.read(place, ['uname', '-r']);
  const kernel = stdout.trim();
  if (!/^\d+\.\d+[\w.~+-]*$/.test(kernel))
    throw new Blocked(
      `uname -r on ${place.name} must name a kernel, and answered ${JSON.stringify(kernel.slice(0, 80))}`,
    );
  return kernel;
}

/** @throws Stop when the VM is not there */
export async function isOn({ commands }: Context, { name, machine: { vmid }, host }: AiVm): Promise<boolean> {
  const { stdout, stderr, code } = await commands.read(host, ['qm', 'status', `${vmid}`], { accepts: [0, 2, 254] });
  const status = /^status: ([\w-]+)$/m.exec(stdout)?.[1];
  if (code === 0 && status !== undefined) return status === 'running';
  if (/does not exist/.test(stderr))
    throw new Blocked(`VM ${vmid} (${name}) must be on ${host.name}, and is not; npm run bootstrap -- apply vms`);
  throw new Blocked(
    `qm status ${vmid} on ${host.name} must name a status, and said ${JSON.stringify((stdout + stderr).slice(0, 120))}`,
  );
}

/** The configuration that the VM has, or will have after its next start. */
export async function vmConfig(
  { commands }: Context,
  { machine: { vmid }, host }: AiVm,
): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await commands.read(host, ['qm', 'config', `${vmid}`]);
  const entries = [...stdout.matchAll(/^(\w+): (.*)$/gm)].map(([, key, value]) => [key!, value!] as const);
  const config = new Map(entries);
  if (!config.has('memory'))
    throw new Blocked(
      `qm config ${vmid} on ${host.name} must print a configuration, and said ${JSON.stringify(stdout.slice(0, 120))}`,
    );
  return config;
}

function isUnreachable(error: unknown): error is CommandFailed {
  return error instanceof CommandFailed && (error.output.code === 255 || error.output.code === -1);
}
