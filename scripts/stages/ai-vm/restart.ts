import { hostOf, nodes } from '../../../inventory';
import { bootId, orderReboot } from '../../clients/boots';
import { kubectl } from '../../clients/kubernetes';
import { json } from '../../engine/json';
import type { Context } from '../../clients/context';
import { isFault, NotReady, Problem, Blocked, TimedOut } from '../../engine/problem';
import { until } from '../../engine/wait';
import { downSeconds } from '../../../machines/vms';
import { gpuState, recordPath } from './gpu-record';
import { BOOT_SECONDS, aiVm, isOn, vmConfig, waitForLogin, type AiVm } from '../../clients/ubuntu';

/** A restart of the system in the VM, or of the VM; `stopped` runs while it is off. */
export type Restart =
  { readonly kind: 'reboot' } | { readonly kind: 'stop-start'; readonly stopped?: () => Promise<void> };

type Say = (what: string) => void;

/** A host of metal: firmware, kernel, and the machines before this one in the start order. */
const HOST_BOOT_SECONDS = 900;
/** With a GPU all memory of the VM is pinned before it starts: about a second for each GiB. */
const START_SECONDS = 300;

/**
 * The one way to restart a machine beside the cluster, for every stage: a GPU that is passed through may hang the host when
 * its VM restarts. Where the proof was passed under the running kernel it is a plain restart. Where it was not made yet, or
 * failed, no database may run; where it failed, the host restarts with it.
 */
export async function restartAiVm(context: Context, name: string, how: Restart, progress: Say): Promise<void> {
  const vm = aiVm(context, name);
  const risk = await riskOf(context, vm);
  if (risk !== 'none') await assertNoDatabaseRuns(context, whatFor(risk, vm));
  if (risk === 'host-restarts') return restartWithHost(context, vm, how, progress);
  await restart(context, vm, how, progress);
}

/** What the owner must agree to before restartAiVm(). @throws Stop when it would refuse */
export async function restartAsks(context: Context, vm: AiVm, kind: Restart['kind']): Promise<string[]> {
  const risk = await riskOf(context, vm);
  if (risk !== 'none') await assertNoDatabaseRuns(context, whatFor(risk, vm));
  const { name, machine, host } = vm;
  if (risk === 'host-restarts')
    return [
      `${host.name} restarts, and every machine on it: the GPU of ${name} does not survive a restart of its VM alone (${recordPath(machine.vmid)})`,
    ];
  const how = kind === 'reboot' ? 'reboots' : 'is shut down and started';
  const models = context.homelab.llm?.machine === name ? '; models do not answer meanwhile' : '';
  const hang = risk === 'unproven' ? '; its GPU may hang the whole host at that' : '';
  return [`${name} ${how}${models}${hang}`];
}

/** It was restarted, and nobody can log in. */
export class NotBack extends Problem {}

/** @throws NotBack when the wait for it ends; Problem when it never went down from the boot `before` */
async function comesBack({ commands }: Context, vm: AiVm, waiting: Promise<void>, before?: string): Promise<void> {
  try {
    await waiting;
  } catch (error) {
    if (!(error instanceof TimedOut)) throw error;
    const now =
      before && (await bootId(commands, vm.place).catch((late) => (isFault(late) ? '' : Promise.reject(late))));
    if (before && now === before)
      throw new Problem(`${vm.name} must reboot, and runs on as it did; look at its console, and run this again`);
    throw new NotBack(error.message);
  }
}

/** Restarts without asking what is known of the GPU: for the proof itself. @throws NotBack */
export async function restart(context: Context, vm: AiVm, how: Restart, progress: Say): Promise<void> {
  if (how.kind === 'reboot') return reboot(context, vm, progress);
  await shutDown(context, vm, progress);
  await how.stopped?.();
  await start(context, vm, progress);
  await comesBack(context, vm, waitForLogin(context, vm, progress));
}

/**
 * Starts a VM that is off; a GPU that homelab.ts no longer gives it is taken out first.
 * @throws Stop where the GPU would not come back without a restart of the host, or may hang it beside running databases
 */
export async function startAiVm(context: Context, vm: AiVm, progress: Say): Promise<void> {
  const { name, machine, host } = vm;
  const config = await vmConfig(context, vm);
  const devices = [...config.keys()].filter((key) => /^hostpci\d+$/.test(key));
  if (machine.gpu !== true && devices.length > 0 && !(await isOn(context, vm)))
    await context.commands.change(host, ['qm', 'set', `${machine.vmid}`, '--delete', devices.join(',')]);
  const risk = await riskOf(context, vm);
  if (risk === 'host-restarts')
    throw new Blocked(
      `${name} is off, and its GPU does not survive that (${recordPath(machine.vmid)} on ${host.name}): ${stopDatabases(context)}, then restart ${host.name}, which starts all of them`,
    );
  if (risk === 'unproven') await assertNoDatabaseRuns(context, whatFor(risk, vm));
  await start(context, vm, progress);
}

async function riskOf(context: Context, vm: AiVm): Promise<'none' | 'unproven' | 'host-restarts'> {
  const config = await vmConfig(context, vm);
  if (!config.has('hostpci0')) return 'none';
  const { verdict } = await gpuState(context, vm);
  if (verdict === 'passed') return 'none';
  return verdict === 'unproven' ? 'unproven' : 'host-restarts';
}

function whatFor(risk: 'unproven' | 'host-restarts', { name, host }: AiVm): string {
  return risk === 'unproven'
    ? `a restart of ${name} may hang ${host.name}, since its GPU is not proved under the running kernel`
    : `a restart of ${name} needs one of ${host.name}, since its GPU failed the proof`;
}

/**
 * Databases of this homelab must not run: a host that hangs takes them down without a flush.
 * @throws Stop when one does, or when the cluster cannot say
 */
export async function assertNoDatabaseRuns(context: Context, why: string): Promise<void> {
  const running = await runningDatabases(context);
  if (running.length === 0) return;
  throw new Blocked(
    `no database may run, because ${why}; these do: ${running.join(', ')}; ${stopDatabases(context)}, run this again, and start those VMs again (qm start)`,
  );
}

/** Pods end in order when their node shuts down, and write all they hold. */
function stopDatabases({ homelab }: Context): string {
  const shutdowns = nodes(homelab)
    .filter(([, { dataDisks = {} }]) => Object.keys(dataDisks).length > 0)
    .map(([, machine]) => {
      const { address } = homelab.hosts[hostOf(homelab, machine)]!;
      return `ssh root@${address} qm shutdown ${machine.vmid} --timeout ${downSeconds(homelab, machine)}`;
    });
  return `shut down the nodes that hold databases (${shutdowns.join('; ')})`;
}

async function runningDatabases(context: Context): Promise<string[]> {
  const namespaces = Object.keys(context.homelab.databases);
  let answer: string;
  try {
    const args = ['get', 'pods', '--all-namespaces', '--field-selector=status.phase=Running', '-o', 'json'];
    answer = (await kubectl(context, args)).stdout;
  } catch (error) {
    // No kubeconfig: there is no cluster, and so no database.
    if (error instanceof NotReady) return [];
    if (!isFault(error) || error instanceof Blocked) throw error;
    throw new Blocked(
      `the cluster must say that no database runs, and does not answer: ${error.message}; npm run bootstrap -- apply talos brings it up, then run this again`,
    );
  }
  const items = json(answer, 'kubectl get pods')?.items;
  if (!Array.isArray(items))
    throw new Blocked(`kubectl get pods must answer with a list, and answered ${JSON.stringify(answer.slice(0, 120))}`);
  return items
    .filter((pod) => namespaces.includes(pod?.metadata?.namespace))
    .map((pod) => `${pod.metadata.namespace}/${pod.metadata.name}`)
    .sort();
}

async function reboot(context: Context, vm: AiVm, progress: Say): Promise<void> {
  const { name, place } = vm;
  const { commands } = context;
  const before = await bootId(commands, place);
  await orderReboot(commands, place, before);
  const another = async () => ((await bootId(commands, place)) === before ? undefined : true);
  const up = until(`${name} to come up again`, { seconds: BOOT_SECONDS }, progress, another);
  await comesBack(
    context,
    vm,
    up.then(() => waitForLogin(context, vm, progress)),
    before,
  );
}

async function shutDown(context: Context, vm: AiVm, progress: Say): Promise<void> {
  const { name, machine, host } = vm;
  if (!(await isOn(context, vm))) return;
  const seconds = Math.ceil(machine.down.toSeconds());
  progress(`${name} shuts down (at most ${seconds} s)`);
  // Never `qm stop`: a GPU that is torn out is not reset.
  await context.commands.change(host, ['qm', 'shutdown', `${machine.vmid}`, '--timeout', `${seconds}`], {
    seconds: seconds + 60,
    waitsFor: `${name} to shut down`,
  });
  await until(`VM ${machine.vmid} to be off`, { seconds: 60 }, progress, async () =>
    (await isOn(context, vm)) ? undefined : true,
  );
}

async function start(context: Context, vm: AiVm, progress: Say): Promise<void> {
  const { machine, host } = vm;
  if (await isOn(context, vm)) return;
  progress(`qm start ${machine.vmid}`);
  const argv = ['qm', 'start', `${machine.vmid}`, '--timeout', `${START_SECONDS}`];
  await context.commands.change(host, argv, { seconds: START_SECONDS + 60, waitsFor: `VM ${machine.vmid} to start` });
  // Without this a VM that never ran would be waited for, and taken for one whose GPU does not come back.
  if (!(await isOn(context, vm)))
    throw new Problem(
      `VM ${machine.vmid} must run after qm start ${machine.vmid} on ${host.name}, and does not; its tasks in Proxmox say why, then run this again`,
    );
}

/** Down with the VM first, then the host: the GPU is fresh after that. Proxmox starts what was running. */
async function restartWithHost(context: Context, vm: AiVm, how: Restart, progress: Say): Promise<void> {
  const { name, host } = vm;
  await shutDown(context, vm, progress);
  if (how.kind === 'stop-start') await how.stopped?.();
  const { commands } = context;
  const before = await bootId(commands, host);
  await orderReboot(commands, host, before);
  await until(`${host.name} to come up again`, { seconds: HOST_BOOT_SECONDS }, progress, async () =>
    (await bootId(commands, host)) === before ? undefined : true,
  );
  await until(`${name} to be started by ${host.name}`, { seconds: BOOT_SECONDS }, progress, async () =>
    (await isOn(context, vm)) ? true : undefined,
  );
  await waitForLogin(context, vm, progress);
}
