import { hostOf, type TalosMachine } from '../../inventory';
import { jsonDocuments } from '../engine/json';
import { CommandFailed, LOCALHOST, type CommandOptions, type Output } from '../engine/commands';
import { nodesInOrder, proxmox, type Context } from './context';
import { NotReady, Problem, Blocked } from '../engine/problem';
import { sayOnce, until } from '../engine/wait';
import { id } from './proxmox/guests';
import { RELEASE } from './talos-versions';
import { stringify } from 'yaml';
import { memoryFile } from '../engine/memory-files';
import { SECRETS, type SecretTree } from '../engine/sops';

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
  return context.commands.read(LOCALHOST, await talosctl(context, address, args), options);
}

/** Changes a node that has its configuration. */
export async function changeNode(
  context: Context,
  { address }: TalosMachine,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Output> {
  return context.commands.change(LOCALHOST, await talosctl(context, address, args), options);
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
  const { stdout } = await commands.read(LOCALHOST, argv, PROBE);
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
  if (typeof state === 'string') throw new NotReady(state);
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

/** @throws Later when the node has no configuration yet */
export async function configured(
  context: Context,
  name: string,
  machine: TalosMachine,
): Promise<{ readonly version: string }> {
  const state = await nodeState(context, name, machine);
  if (state.mode === 'maintenance') throw new NotReady(`${name} has no configuration yet`);
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
    throw new Blocked(`${id({ ...machine, name, host })} must be there, and is not; npm run bootstrap -- apply vms`);
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
  if (bad !== undefined)
    throw new Blocked(`${from} must list resources, and listed ${JSON.stringify(bad).slice(0, 120)}`);
  return found;
}

/**
 * A command of talosctl for one node, with the talosconfig from memory. The node is asked itself, so that it answers while no
 * control plane does. A worker passes nothing on: what concerns the cluster is asked of a control plane.
 * @throws Later while there is no talosconfig
 */
export async function talosctl(context: Context, node: string, args: readonly string[]): Promise<string[]> {
  const tree = await context.sops.read(SECRETS.talosconfig);
  if (tree === undefined) throw new NotReady('there is no talosconfig yet; stage keys makes it');
  const file = memoryFile('talosconfig', stringify(tree satisfies SecretTree, { lineWidth: 0 }));
  return ['talosctl', '--talosconfig', file, '-e', node, '-n', node, ...args];
}
