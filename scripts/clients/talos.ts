import { hostOf, nodes, type Homelab, type TalosMachine } from '../../inventory';
import { command } from '../engine/actions';
import { CommandFailed, LOCALHOST, type CommandOptions, type Commands, type Output } from '../engine/commands';
import { jsonDocuments } from '../engine/json';
import type { Log } from '../engine/log';
import { memoryFile } from '../engine/memory-files';
import { NotReady, Problem, Blocked } from '../engine/problem';
import type { Sops } from '../engine/sops';
import type { Action } from '../engine/step';
import { Final, sayOnce, until } from '../engine/wait';
import { machineVm } from './proxmox/host';
import type { ProxmoxVm } from './proxmox/vm';
import { parseBootId } from './boots';
import { readTalosconfig } from './talosconfig';

/** Versions of Talos and Kubernetes, as v1.36.3. */
export const RELEASE = /v\d+\.\d+\.\d+/;

/** What a machine of Talos is: without a configuration, or a node that runs a version of Talos. */
export type NodeState = { readonly mode: 'maintenance' } | { readonly mode: 'configured'; readonly version: string };

/** A node that runs answers at once; without an answer, talosctl would retry without end. */
const PROBE: CommandOptions = { seconds: 30 };

/**
 * Time for a machine that is on and does not answer: Talos installs itself and starts again in 1 to 3 minutes, and an
 * earlier run may just have been stopped.
 */
const BOOT_SECONDS = 300;

interface Lab {
  readonly homelab: Homelab;
  readonly commands: Commands;
  readonly sops: Sops;
  readonly log: Log;
}

/** The nodes of the cluster, through talosctl. */
export class Talos {
  constructor(private readonly lab: Lab) {}

  /** Knows which values must not be shown: what talosctl prints may hold them. */
  get log(): Log {
    return this.lab.log;
  }

  /** The control planes first, as they must come up. */
  get nodes(): readonly TalosNode[] {
    return nodes(this.lab.homelab)
      .sort(([, a], [, b]) => Number(a.role === 'worker') - Number(b.role === 'worker'))
      .map(([name, machine]) => new TalosNode(this.lab, name, machine));
  }

  /** The one that is asked for what concerns the whole cluster. */
  get controlPlane(): TalosNode {
    return this.nodes[0]!;
  }

  node(name: string): TalosNode | undefined {
    return this.nodes.find((each) => each.name === name);
  }

  /** @throws Blocked when the talosctl that is installed here has another version than homelab.ts says */
  async assertVersion(): Promise<void> {
    const { commands, homelab } = this.lab;
    const { stdout } = await commands.read(LOCALHOST, ['talosctl', 'version', '--client', '--short']);
    const version = /v\d+\.\d+\.\d+\S*/.exec(stdout)?.[0];
    if (version !== homelab.versions.talos)
      throw new Blocked(
        `talosctl must be ${homelab.versions.talos}, as versions.talos in homelab.ts, but is ${version ?? JSON.stringify(stdout.slice(0, 80))}; install that version of talosctl`,
      );
  }
}

/** One machine that runs Talos. */
export class TalosNode {
  constructor(
    private readonly lab: Lab,
    readonly name: string,
    readonly machine: TalosMachine,
  ) {}

  /** The virtual machine that it is. */
  get vm(): ProxmoxVm {
    return machineVm(this.lab, this.name);
  }

  /** Asks a node that has its configuration. */
  async read(args: readonly string[], options: CommandOptions = {}): Promise<Output> {
    return this.lab.commands.read(LOCALHOST, await this.argv(args), options);
  }

  /** Changes a node that has its configuration. */
  async change(args: readonly string[], options: CommandOptions = {}): Promise<Output> {
    return this.lab.commands.change(LOCALHOST, await this.argv(args), options);
  }

  /** The same, as the plan shows it: without where the login lies. */
  command(args: readonly string[], options: CommandOptions = {}): Action {
    const { lines } = command(this.lab.commands, LOCALHOST, ['talosctl', '-n', this.machine.address, ...args]);
    return { lines, run: async () => void (await this.change(args, options)) };
  }

  /** What it knows of itself, by kind: `volumestatus`, `machineconfig`. */
  async resources(...args: readonly string[]): Promise<any[]> {
    const { stdout } = await this.read(['get', ...args, '-o', 'json']);
    return parseResources(stdout, `talosctl get ${args.join(' ')}`);
  }

  /** The same of a machine without a configuration, which answers without a login. */
  async maintenanceResources(kind: string): Promise<any[]> {
    const argv = ['talosctl', '-n', this.machine.address, 'get', kind, '--insecure', '-o', 'json'];
    const { stdout } = await this.lab.commands.read(LOCALHOST, argv, PROBE);
    return parseResources(stdout, `talosctl get ${kind} --insecure`);
  }

  /**
   * What the machine is now. One that does not answer is given time, as long as it is on.
   * @throws NotReady when another machine comes first, or it is off; Problem when it does not answer in time
   */
  async state(): Promise<NodeState> {
    const what = `${this.name} (${this.machine.address}) to answer`;
    return until(what, { seconds: BOOT_SECONDS }, sayOnce(), async () => {
      try {
        return await this.probe();
      } catch (error) {
        const first = error instanceof CommandFailed ? await this.comesFirst() : undefined;
        throw first === undefined ? error : new Final(new NotReady(first));
      }
    });
  }

  /** The version of Talos that it runs. @throws NotReady when it has no configuration yet */
  async version(): Promise<string> {
    const state = await this.state();
    if (state.mode === 'maintenance') throw new NotReady(`${this.name} has no configuration yet`);
    return state.version;
  }

  /** Its state, asked once. @throws CommandFailed when it answers in neither way */
  async probe(): Promise<NodeState> {
    let secure: CommandFailed;
    try {
      const { stdout } = await this.read(['version'], PROBE);
      return { mode: 'configured', version: parseVersion(stdout, this.machine.address) };
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      secure = error;
    }
    try {
      await this.maintenanceResources('disks');
      return { mode: 'maintenance' };
    } catch (error) {
      throw error instanceof CommandFailed ? secure : error;
    }
  }

  /** Changes with each start of the machine. */
  async bootId(): Promise<string> {
    const { stdout } = await this.read(['read', '/proc/sys/kernel/random/boot_id'], PROBE);
    return parseBootId(stdout, this.name);
  }

  /** Whether etcd runs on it and has members. */
  async etcdAnswers(): Promise<boolean> {
    try {
      const { stdout } = await this.read(['etcd', 'members'], PROBE);
      // A table: its head, and a line for each member.
      if (!stdout.includes('PEER URLS')) throw unexpected('etcd members', 'list members', stdout);
      return true;
    } catch (error) {
      if (error instanceof CommandFailed) return false;
      throw error;
    }
  }

  /** The state of etcd's service as Talos calls it: Waiting, Preparing, Running and so on. */
  async etcdState(): Promise<string> {
    return parseServiceState((await this.read(['service', 'etcd'], PROBE)).stdout, 'etcd');
  }

  /** Whether the virtual machine is on, in whatever state. @throws Blocked when it is not there */
  async isOn(): Promise<boolean> {
    return (await this.vm.status()) !== 'stopped';
  }

  /**
   * A command of talosctl for this node, with the talosconfig from memory. The node is asked itself, so that it answers while
   * no control plane does. A worker passes nothing on: what concerns the cluster is asked of a control plane.
   * @throws NotReady while there is no talosconfig
   */
  async argv(args: readonly string[]): Promise<string[]> {
    const login = await readTalosconfig(this.lab.sops);
    if (login === undefined) throw new NotReady('there is no talosconfig yet; stage keys makes it');
    const file = memoryFile('talosconfig', login.text);
    const { address } = this.machine;
    return ['talosctl', '--talosconfig', file, '-e', address, '-n', address, ...args];
  }

  /**
   * What must be done before it can answer, or undefined. A worker that starts gets the certificate with which it answers from
   * a control plane (secrets.APIController of Talos), so it may wait for that one.
   */
  private async comesFirst(): Promise<string | undefined> {
    const { controlPlane } = new Talos(this.lab);
    const isWorker = this.machine.role === 'worker';
    for (const { name, machine, vm } of isWorker ? [this, controlPlane] : [this]) {
      if ((await vm.status()) !== 'stopped') continue;
      const host = hostOf(this.lab.homelab, machine);
      return `virtual machine ${machine.vmid} (${name}) is off. To start it: npm run bootstrap -- apply talos, or qm start ${machine.vmid} on ${host}`;
    }
    if (!isWorker) return undefined;
    try {
      if ((await controlPlane.probe()).mode === 'configured') return undefined;
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      return undefined;
    }
    return `${this.name} must get its certificate from ${controlPlane.name}, which has no configuration yet. Configure it first: npm run bootstrap -- apply talos`;
  }
}

/** @throws Problem when `talosctl version` names no version of the node */
export function parseVersion(text: string, address: string): string {
  const version = new RegExp(`Server:[^]*Tag:\\s*(${RELEASE.source})`).exec(text)?.[1];
  if (version === undefined) throw unexpected('version', `name the version of ${address}`, text);
  return version;
}

/** @throws Problem when `talosctl service NAME` names no state */
export function parseServiceState(text: string, service: string): string {
  const state = /^STATE +(\w+)$/m.exec(text)?.[1];
  if (state === undefined) throw unexpected(`service ${service}`, 'name a state', text);
  return state;
}

function unexpected(command: string, must: string, text: string): Problem {
  return new Problem(`talosctl ${command} must ${must}, but answered ${JSON.stringify(text.slice(0, 120))}`);
}

/** @throws Blocked when `talosctl get KIND -o json` lists something else */
export function parseResources(text: string, from: string): any[] {
  const found = jsonDocuments(text, from);
  const bad = found.find((each) => typeof each?.metadata?.id !== 'string' || typeof each?.spec === 'undefined');
  if (bad !== undefined)
    throw new Blocked(`${from} must list resources, but listed ${JSON.stringify(bad).slice(0, 120)}`);
  return found;
}

/**
 * Why one version cannot follow another, as a sentence, or undefined. Talos and Kubernetes both go one minor at a time, and
 * never back.
 */
export function stepProblem(what: string, from: string, to: string): string | undefined {
  const [a, b] = [numbers(from), numbers(to)];
  const newer = a.map((part, index) => b[index]! - part).find((difference) => difference !== 0) ?? 0;
  if (newer < 0) return `${what} is ${from}, but homelab.ts says ${to}; a downgrade is not possible`;
  if (b[0] !== a[0] || b[1]! - a[1]! > 1)
    return `${what} is ${from}, but homelab.ts says ${to}; upgrade one minor version at a time: first write the last v${a[0]}.${a[1]! + 1}.x`;
  return undefined;
}

function numbers(version: string): number[] {
  return version.slice(1).split('.').map(Number);
}
