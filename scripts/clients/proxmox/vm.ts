import { action, command } from '../../engine/actions';
import type { CommandOptions, Commands, Target } from '../../engine/commands';
import { Blocked } from '../../engine/problem';
import type { Action } from '../../engine/step';
import { until } from '../../engine/wait';
import { mark, QM } from '../../../machines/vms';
import { drive } from './settings';
import { hadNoEffect } from './storage';

/** Settings of a VM by their keys, as `qm config` prints them. */
export type VmConfig = Readonly<Record<string, string>>;

type Reading = Pick<CommandOptions, 'recent'>;

/** `qm start` waits for the memory to be there, a second per GiB (its own default timeout), and for the disks. */
const START_SECONDS = 300;
/** Copying an image, or making a disk, on a slow storage. */
const DISK_SECONDS = 1800;

/** One virtual machine of a Proxmox host, whether it is there or not. */
export class ProxmoxVm {
  constructor(
    private readonly commands: Commands,
    private readonly target: Target,
    readonly vmid: number,
    private readonly name?: string,
  ) {}

  /** Name in messages. */
  get label(): string {
    return `VM ${this.vmid}${this.name === undefined ? '' : ` (${this.name})`} on ${this.target.name}`;
  }

  /** Its settings, including those that wait for the next start. */
  async config(options?: Reading): Promise<VmConfig> {
    return parseConfig(await this.read(['qm', 'config', `${this.vmid}`], options), this.vmid);
  }

  /** running, stopped, paused and so on. */
  async status(options?: Reading): Promise<string> {
    return parseStatus(await this.read(['qm', 'status', `${this.vmid}`], options), this.vmid);
  }

  async isRunning(options?: Reading): Promise<boolean> {
    return (await this.status(options)) === 'running';
  }

  /** Whether a setting waits for the next start. */
  async isPending(key: string): Promise<boolean> {
    return parsePending(await this.read(['qm', 'pending', `${this.vmid}`])).has(key);
  }

  create(settings: VmConfig): Action {
    return this.qm(QM.create(this.vmid, settings));
  }

  /** @param options with `ignoreLock`, also while it is locked */
  set(settings: VmConfig, { ignoreLock = false } = {}): Action {
    const options = { seconds: DISK_SECONDS, waitsFor: `the settings of ${this.label}` };
    return this.qm(QM.set(this.vmid, settings, ignoreLock), options);
  }

  /** Removes settings. */
  unset(keys: readonly string[]): Action {
    return this.qm(['qm', 'set', `${this.vmid}`, '--delete', keys.join(',')]);
  }

  /** @param size in bytes */
  resize(slot: string, size: number): Action {
    const argv = QM.resize(this.vmid, slot, size);
    return action(this.qm(argv).lines, async () => {
      const options = { seconds: DISK_SECONDS, waitsFor: `${slot} of ${this.label}` };
      const { stderr } = await this.commands.change(this.target, argv, options);
      // It exits with 0 even if it failed. Standard error may also hold a mere warning.
      if (stderr.trim() !== '' && drive((await this.config())[slot] ?? '').size !== size)
        throw hadNoEffect(this.target, argv, stderr);
    });
  }

  /** Ends when it runs. @param timeout in seconds. @default Proxmox computes it from the memory */
  start(timeout?: number): Action {
    const seconds = timeout === undefined ? START_SECONDS : timeout + 60;
    const order = this.qm(QM.start(this.vmid, timeout), { seconds, waitsFor: `${this.label} to start` });
    return action(order.lines, async (progress) => {
      await order.run(progress);
      await until(`${this.label} to run`, { seconds: 30, every: 1 }, progress, () => this.isRunning());
    });
  }

  /** Presses its power button, and waits until it is off. Never switches it off. @param seconds limit */
  shutdown(seconds: number): Action {
    return this.qm(['qm', 'shutdown', `${this.vmid}`, '--timeout', `${seconds}`], {
      seconds: seconds + 60,
      waitsFor: `${this.label} to shut down`,
    });
  }

  /** Switches it off. Never with a GPU in it: one that is not reset may hang the host. */
  stop(): Action {
    return this.qm(['qm', 'stop', `${this.vmid}`]);
  }

  unlock(): Action {
    return this.qm(['qm', 'unlock', `${this.vmid}`]);
  }

  /** Removes it and its disks. @param options with `ignoreLock`, also the rest of an interrupted `qm create` or `qm destroy` */
  destroy({ ignoreLock = false } = {}): Action {
    return this.qm(['qm', 'destroy', `${this.vmid}`, ...(ignoreLock ? ['--skiplock', '1'] : []), '--purge', '1']);
  }

  private qm(argv: readonly string[], options?: CommandOptions): Action {
    return command(this.commands, this.target, argv, options);
  }

  /** @throws Blocked when there is no such VM */
  private async read(argv: readonly string[], options: Reading = {}): Promise<string> {
    const accepts = [0, 2, 254];
    const { stdout, stderr, code } = await this.commands.read(this.target, argv, { ...options, accepts });
    if (code === 0) return stdout;
    if (/does not exist/.test(stderr))
      throw new Blocked(`${this.label} does not exist. To create it:\n  npm run bootstrap -- apply vms`);
    throw new Blocked(`${this.target.name}: ${argv.join(' ')} ended with ${code}: ${stderr.trim()}`);
  }
}

/** @throws Blocked when `qm config` prints something else */
export function parseConfig(text: string, vmid: number): VmConfig {
  const config: Record<string, string> = {};
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const [, key, value] = /^([a-z][a-z0-9_-]*): (.*)$/.exec(line) ?? [];
    if (key === undefined)
      throw new Blocked(`qm config ${vmid} must print KEY: VALUE, but it printed ${JSON.stringify(line)}`);
    config[key] = value!;
  }
  if (Object.keys(config).length === 0)
    throw new Blocked(`qm config ${vmid} must print the VM's settings, but it printed none`);
  return config;
}

/** The settings that `qm pending` prints with another value for the next start, or as taken away from then on. */
export function parsePending(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/^(?:new|del) ([a-z][a-z0-9_-]*): /gm)].map(([, key]) => key!));
}

/** @throws Blocked when `qm status` prints something else */
export function parseStatus(text: string, vmid: number): string {
  const status = /^status: ([a-z-]+)$/m.exec(text)?.[1];
  if (status === undefined)
    throw new Blocked(`qm status ${vmid} must name a status, but it printed ${JSON.stringify(text.slice(0, 120))}`);
  return status;
}

/** Whether it has our name, and our mark in its notes. */
export function isOurs(config: VmConfig, name: string): boolean {
  return config.name === name && firstNote(config) === mark(name);
}

/**
 * A VM with only the lock of an interrupted `qm create` or `qm destroy`. Proxmox writes the lock before the name, so it has
 * no data.
 */
export function isEmptyShell(config: VmConfig): boolean {
  const rest = Object.keys(config).filter((key) => !['lock', 'meta', 'smbios1', 'vmgenid'].includes(key));
  return rest.length === 0 && (config.lock === 'create' || config.lock === 'destroyed');
}

/** Whether a device of the host is passed through to it. */
export function hasHostDevice(config: VmConfig): boolean {
  return Object.keys(config).some((key) => /^hostpci\d+$/.test(key));
}

/** The first line of its notes, which Proxmox prints with % for what is no plain text. */
export function firstNote({ description = '' }: VmConfig): string {
  const decoded = description.replace(/(%[0-9a-f]{2})+/gi, (bytes) =>
    Buffer.from(bytes.replace(/%/g, ''), 'hex').toString(),
  );
  return decoded.split('\n')[0]!.trim();
}
