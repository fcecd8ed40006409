import { hostOf, type UbuntuMachine } from '../../inventory';
import { remoteScript } from '../engine/actions';
import { CommandFailed, type CommandOptions, type Commands, type Output, type Target } from '../engine/commands';
import { ubuntu, type Context } from './context';
import { proxmoxHost } from './proxmox/host';
import type { ProxmoxVm } from './proxmox/vm';
import { json } from '../engine/json';
import { Blocked } from '../engine/problem';
import type { Action, Progress } from '../engine/step';
import { Final, until } from '../engine/wait';

/** Time from the power button to a login: firmware, kernel and services; with a GPU its memory is pinned first. */
export const BOOT_SECONDS = 600;

/** cloud-init sets up users, network and keys, and grows the disk: minutes on a slow disk. */
export const FIRST_BOOT_SECONDS = 900;

/** A login that fails does so at once or after 10 s. */
const PROBE = { seconds: 30 };

/** A machine outside the cluster: a VM on its host, and Ubuntu over SSH. */
export class UbuntuVm {
  constructor(
    readonly commands: Commands,
    readonly name: string,
    readonly machine: UbuntuMachine,
    /** Its user of the bootstrap, who may use sudo. */
    readonly target: Target,
    /** The Proxmox host that it runs on. */
    readonly host: Target,
    readonly proxmox: ProxmoxVm,
  ) {}

  /** A script of scripts/remote/ubuntu/ that changes the machine. @param then takes what it printed */
  script(
    name: string,
    args: readonly string[] = [],
    options?: CommandOptions,
    then?: (output: Output) => void,
  ): Action {
    return remoteScript(this.commands, this.target, `ubuntu/${name}`, args, options, then);
  }

  /** What a script of scripts/remote/ubuntu/ found, as root. @throws Blocked when it leaves a name out */
  async facts<Name extends string>(script: string, args: readonly string[], names: readonly Name[]) {
    const { stdout } = await this.commands.readScript(this.target, `ubuntu/${script}`, args, { asRoot: true });
    return parseFacts(stdout, `${script} on ${this.name}`, names);
  }

  /**
   * How far cloud-init is, or undefined while nobody can log in.
   * @throws Blocked when the first boot failed, or another machine answers at this address
   */
  async firstBoot(): Promise<'done' | 'running' | undefined> {
    const { commands, name, machine, target } = this;
    let text: string;
    try {
      // 1 is an error, 2 one that it went on from; both are told in the answer.
      const argv = ['cloud-init', 'status', '--format=json'];
      text = (await commands.read(target, argv, { ...PROBE, accepts: [0, 1, 2] })).stdout;
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      if (!/Host key verification failed|IDENTIFICATION HAS CHANGED/.test(error.output.stderr)) return undefined;
      throw new Blocked(
        `${name} (${machine.address}) answers with another host key than before. If you recreated the VM, remove the old key:\n  ssh-keygen -R ${machine.address}`,
      );
    }
    const { status, errors } = json(text, `cloud-init status on ${name}`);
    if (status === 'error')
      throw new Blocked(
        `the first boot of ${name} failed; cloud-init says: ${[errors].flat().join('; ') || 'nothing'}; read /var/log/cloud-init.log there, and recreate the VM if it is new`,
      );
    return status === 'done' || status === 'disabled' ? 'done' : 'running';
  }

  /**
   * Waits until cloud-init has finished a boot.
   * @throws Blocked when the first boot failed
   * @throws TimedOut when nobody can log in by then
   */
  async waitForLogin(progress: Progress): Promise<void> {
    const look = () =>
      this.firstBoot().catch((error: unknown) => {
        throw error instanceof Blocked ? new Final(error) : error;
      });
    const first = await until(`a login on ${this.name}`, { seconds: BOOT_SECONDS }, progress, look);
    if (first === 'done') return;
    const what = `the first boot of ${this.name} (cloud-init)`;
    await until(what, { seconds: FIRST_BOOT_SECONDS }, progress, async () => (await look()) === 'done');
  }
}

export function ubuntuVm(context: Context, name: string): UbuntuVm {
  const machine = context.homelab.machines[name];
  if (machine?.kind !== 'ubuntu') throw new Error(`${name} is no machine outside the cluster`);
  const host = proxmoxHost(context, hostOf(context.homelab, machine));
  const vm = host.vm(machine.vmid, name);
  return new UbuntuVm(context.commands, name, machine, ubuntu(context, name), host.target, vm);
}

/** The kernel that runs on a machine. */
export async function runningKernel(commands: Commands, target: Target): Promise<string> {
  const { stdout } = await commands.read(target, ['uname', '-r']);
  const kernel = stdout.trim();
  if (!/^\d+\.\d+[\w.~+-]*$/.test(kernel))
    throw new Blocked(
      `uname -r on ${target.name} must name a kernel, but answered ${JSON.stringify(kernel.slice(0, 80))}`,
    );
  return kernel;
}

/**
 * What a script of scripts/remote/ printed as `name=value`, one per line.
 * @throws Blocked when a name is missing, so that no step decides on half an answer
 */
function parseFacts<Name extends string>(
  text: string,
  from: string,
  names: readonly Name[],
): Readonly<Record<Name, string>> {
  const found = new Map(
    text.split('\n').flatMap((line) => {
      const at = line.indexOf('=');
      return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1).trim()] as const];
    }),
  );
  const missing = names.filter((name) => !found.has(name));
  if (missing.length > 0)
    throw new Blocked(`${from} must tell ${missing.join(', ')}, but said ${JSON.stringify(text.slice(0, 120))}`);
  return Object.fromEntries(names.map((name) => [name, found.get(name)!])) as Record<Name, string>;
}

function isUnreachable(error: unknown): error is CommandFailed {
  return error instanceof CommandFailed && (error.output.code === 255 || error.output.code === -1);
}
