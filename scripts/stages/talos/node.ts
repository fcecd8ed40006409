import { hostOf, type TalosMachine } from '../../../inventory';
import { jsonDocuments, talosctl } from '../../engine/cluster';
import { CommandFailed, HERE, type CommandOptions, type Output } from '../../engine/commands';
import { nodesInOrder, proxmox, type Context } from '../../engine/context';
import { Later, Problem, Stop } from '../../engine/problem';
import type { Step } from '../../engine/step';
import { sayOnce, until } from '../../engine/wait';
import { id, isOurs, readConfig } from '../vms/state';
import { RELEASE } from './versions';

/** What a machine of Talos is: without a configuration, or a node that runs a version of Talos. */
export type NodeState = { readonly mode: 'maintenance' } | { readonly mode: 'configured'; readonly version: string };

/** A node that answers at all does so at once; one that does not lets talosctl try on and on. */
const PROBE: CommandOptions = { seconds: 30 };

/**
 * Time for a machine that is on and does not answer: Talos installs itself and starts again in 1 to 3 minutes, and an
 * earlier run may just have been stopped.
 */
export const BOOT_SECONDS = 300;

/** Reads from a node that has its configuration. */
export async function readNode(
  context: Context,
  { address }: TalosMachine,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Output> {
  return context.commands.read(HERE, await talosctl(context, address, args), options);
}

/** Changes a node that has its configuration. */
export async function changeNode(
  context: Context,
  { address }: TalosMachine,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Output> {
  return context.commands.change(HERE, await talosctl(context, address, args), options);
}

/** What a node knows of itself, by kind: `volumestatus`, `machineconfig`. */
export async function resources(context: Context, machine: TalosMachine, args: readonly string[]): Promise<any[]> {
  const { stdout } = await readNode(context, machine, ['get', ...args, '-o', 'json']);
  return listed(stdout, `talosctl get ${args.join(' ')}`);
}

/** The same of a machine without a configuration, which answers anybody. */
export async function maintenanceResources(
  { commands }: Context,
  { address }: TalosMachine,
  kind: string,
): Promise<any[]> {
  const argv = ['talosctl', '-n', address, 'get', kind, '--insecure', '-o', 'json'];
  const { stdout } = await commands.read(HERE, argv, PROBE);
  return listed(stdout, `talosctl get ${kind} --insecure`);
}

/**
 * What the machine is now. One that does not answer is given time, as long as it is on.
 * @throws Later when another machine comes first, or it is off; Problem when it does not answer in time
 */
export async function nodeState(context: Context, name: string, machine: TalosMachine): Promise<NodeState> {
  const state = await until(
    `${name} (${machine.address}) to answer`,
    { seconds: BOOT_SECONDS },
    sayOnce(),
    async () => {
      try {
        return await probe(context, machine);
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error;
        // Returned, because whatever is thrown here is tried again.
        const first = await comesFirst(context, name, machine);
        if (first === undefined) throw error;
        return first;
      }
    },
  );
  if (typeof state === 'string') throw new Later(state);
  return state;
}

/**
 * What must be done before a node can answer, or undefined. A worker that starts gets the certificate with which it answers
 * from a control plane (secrets.APIController of Talos), so it may wait for that one.
 */
async function comesFirst(context: Context, name: string, machine: TalosMachine): Promise<string | undefined> {
  const [first, controlPlane] = nodesInOrder(context)[0]!;
  for (const each of new Set([name, machine.role === 'worker' ? first : name])) {
    if (await isOn(context, each)) continue;
    const { vmid } = context.homelab.machines[each]!;
    return `virtual machine ${vmid} (${each}) is off; start it: npm run bootstrap -- apply talos, or qm start ${vmid} on ${hostOf(context.homelab, context.homelab.machines[each]!)}`;
  }
  if (machine.role !== 'worker') return undefined;
  try {
    if ((await probe(context, controlPlane)).mode === 'configured') return undefined;
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    return undefined;
  }
  return `${name} must get its certificate from ${first}, which has no configuration yet; npm run bootstrap -- apply talos configures that first`;
}

/** The machine is on: an earlier run may have been stopped between its shutdown and its start. */
export function running(context: Context, name: string, machine: TalosMachine): Step {
  const host = hostOf(context.homelab, machine);
  const argv = ['qm', 'start', String(machine.vmid)];
  return {
    title: `VM ${machine.vmid} (${name}) is on`,
    async look() {
      try {
        await probe(context, machine);
        return undefined;
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error;
      }
      if (await isOn(context, name)) return undefined;
      if (!isOurs(await readConfig(context, proxmox(context, host), machine.vmid), name))
        throw new Stop(
          `${id({ ...machine, name, host })} must be ours before it is started, and is not; npm run bootstrap -- apply vms says what it is`,
        );
      return { lines: [`${argv.join(' ')} on ${host}`] };
    },
    async apply() {
      await context.commands.change(proxmox(context, host), argv);
    },
  };
}

/** @throws Later when the node has no configuration yet */
export async function configured(
  context: Context,
  name: string,
  machine: TalosMachine,
): Promise<{ readonly version: string }> {
  const state = await nodeState(context, name, machine);
  if (state.mode === 'maintenance') throw new Later(`${name} has no configuration yet`);
  return state;
}

/** Asked once. @throws CommandFailed when it answers in neither way */
export async function probe(context: Context, machine: TalosMachine): Promise<NodeState> {
  let secure: CommandFailed;
  try {
    const { stdout } = await readNode(context, machine, ['version'], PROBE);
    const version = new RegExp(`Server:[^]*Tag:\\s*(${RELEASE.source})`).exec(stdout)?.[1];
    if (version === undefined)
      throw new Problem(
        `talosctl version must name the version of ${machine.address}, and answered ${JSON.stringify(stdout.slice(0, 120))}`,
      );
    return { mode: 'configured', version };
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    secure = error;
  }
  try {
    await maintenanceResources(context, machine, 'disks');
    return { mode: 'maintenance' };
  } catch (error) {
    throw error instanceof CommandFailed ? secure : error;
  }
}

/** Changes with each start of the machine. */
export async function bootId(context: Context, machine: TalosMachine): Promise<string> {
  const { stdout } = await readNode(context, machine, ['read', '/proc/sys/kernel/random/boot_id'], PROBE);
  const id = stdout.trim();
  if (!/^[0-9a-f-]{36}$/.test(id))
    throw new Problem(
      `talosctl read must name the boot id of ${machine.address}, and answered ${JSON.stringify(id.slice(0, 80))}`,
    );
  return id;
}

/** Whether the virtual machine is on. @throws Stop when it is not there */
export async function isOn(context: Context, name: string): Promise<boolean> {
  const machine = context.homelab.machines[name]!;
  const host = hostOf(context.homelab, machine);
  const argv = ['qm', 'status', String(machine.vmid)];
  const { stdout, stderr } = await context.commands.read(proxmox(context, host), argv, { accepts: [0, 2, 254] });
  if (/does not exist/.test(stderr))
    throw new Stop(`${id({ ...machine, name, host })} must be there, and is not; npm run bootstrap -- apply vms`);
  const status = /^status: (\w+)$/m.exec(stdout)?.[1];
  if (status === undefined)
    throw new Problem(
      `qm status ${machine.vmid} must name a status, and answered ${JSON.stringify((stdout + stderr).slice(0, 80))}`,
    );
  return status !== 'stopped';
}

function listed(stdout: string, from: string): any[] {
  const found = jsonDocuments(stdout, from);
  const bad = found.find((each) => typeof each?.metadata?.id !== 'string' || typeof each?.spec === 'undefined');
  if (bad !== undefined) throw new Stop(`${from} must list resources, and listed ${JSON.stringify(bad).slice(0, 120)}`);
  return found;
}
