import { downSeconds, hostOf, nodes, type Homelab } from '../../../inventory';
import type { Kubernetes } from '../../clients/kubernetes';
import { bootId, orderReboot, untilRebooted } from '../../clients/boots';
import { action } from '../../engine/actions';
import { isFault, NotReady, Problem, Blocked, TimedOut } from '../../engine/problem';
import type { Action } from '../../engine/step';
import { until } from '../../engine/wait';
import { gpuState, recordPath } from './gpu-record';
import { BOOT_SECONDS, type UbuntuVm } from '../../clients/ubuntu';

/** What a restart may hurt: the databases of the cluster. */
export interface Cluster {
  readonly homelab: Homelab;
  readonly kubernetes: Kubernetes;
}

/** Of the system in the VM, or of the VM. */
export type Restart = 'reboot' | 'stop-start';

/** A host of metal: firmware, kernel, and the machines before this one in the start order. */
const HOST_BOOT_SECONDS = 900;
/** With a GPU all memory of the VM is pinned before it starts: about a second for each GiB. */
const START_SECONDS = 300;

/**
 * The one way to restart a machine outside the cluster, for every stage: a GPU that is passed through may hang the host when
 * its VM restarts. Where the proof passed under the running kernel it is a plain restart. Where it was not made yet, or
 * failed, no database may run; where it failed, the host restarts too.
 * @param whileOff done while the VM is off, for `stop-start`
 * @returns what to do, and what the owner must agree to before
 * @throws Blocked when a database runs and may not
 */
export async function planRestart(
  cluster: Cluster,
  vm: UbuntuVm,
  kind: Restart,
  whileOff: readonly Action[] = [],
): Promise<{ readonly actions: readonly Action[]; readonly asks: readonly string[] }> {
  const { name, machine, host } = vm;
  const risk = await riskOf(cluster.homelab, vm);
  if (risk !== 'none') await assertNoDatabaseRuns(cluster, whyNot(risk, vm));
  if (risk === 'host-restarts')
    return {
      actions: [shutDown(vm), ...whileOff, rebootHost(vm)],
      asks: [
        `${host.name} restarts, and every machine on it: the GPU of ${name} does not survive a restart of its VM alone (${recordPath(machine.vmid)})`,
      ],
    };
  const how = kind === 'reboot' ? 'reboots' : 'is shut down and started';
  const models = cluster.homelab.llm?.machine === name ? '; models do not answer meanwhile' : '';
  const hang = risk === 'unproven' ? '; its GPU may hang the whole host at that' : '';
  return { actions: restart(vm, kind, whileOff), asks: [`${name} ${how}${models}${hang}`] };
}

/** It was restarted, but no login works. */
export class NotBack extends Problem {}

/** Restarts without asking what is known of the GPU: for the proof itself. The actions throw NotBack. */
export function restart(vm: UbuntuVm, kind: Restart, whileOff: readonly Action[] = []): readonly Action[] {
  if (kind === 'reboot') return [reboot(vm)];
  const login = action(`wait for a login on ${vm.name}`, (progress) => comesBack(vm, vm.waitForLogin(progress)));
  return [shutDown(vm), ...whileOff, vm.proxmox.start(START_SECONDS), login];
}

/** @throws NotBack when the wait for it ends; Problem when it never went down from the boot `before` */
async function comesBack({ commands, name, target }: UbuntuVm, waiting: Promise<void>, before?: string): Promise<void> {
  try {
    await waiting;
  } catch (error) {
    if (!(error instanceof TimedOut)) throw error;
    const now = before && (await bootId(commands, target).catch((late) => (isFault(late) ? '' : Promise.reject(late))));
    if (before && now === before)
      throw new Problem(
        `${name} did not reboot: it is still in the same boot; look at its console, and run this again`,
      );
    throw new NotBack(error.message);
  }
}

/**
 * Starts a VM that is off; a GPU that homelab.ts no longer gives it is taken out first.
 * @throws Blocked where the GPU would not come back without a restart of the host, or may hang it beside running databases
 */
export async function planStart(cluster: Cluster, vm: UbuntuVm): Promise<readonly Action[]> {
  const { name, machine, host, proxmox } = vm;
  const start = proxmox.start(START_SECONDS);
  const devices = Object.keys(await proxmox.config()).filter((key) => /^hostpci\d+$/.test(key));
  if (machine.gpu !== true && devices.length > 0) return [proxmox.unset(devices), start];
  const risk = await riskOf(cluster.homelab, vm);
  if (risk === 'host-restarts')
    throw new Blocked(
      `${name} is off, and its GPU does not survive that (${recordPath(machine.vmid)} on ${host.name}): ${stopDatabases(cluster.homelab)}, then restart ${host.name}, which starts all of them`,
    );
  if (risk === 'unproven') await assertNoDatabaseRuns(cluster, whyNot(risk, vm));
  return [start];
}

async function riskOf(homelab: Homelab, vm: UbuntuVm): Promise<'none' | 'unproven' | 'host-restarts'> {
  if (!('hostpci0' in (await vm.proxmox.config()))) return 'none';
  const { verdict } = await gpuState(homelab, vm);
  if (verdict === 'passed') return 'none';
  return verdict === 'unproven' ? 'unproven' : 'host-restarts';
}

function whyNot(risk: 'unproven' | 'host-restarts', { name, host }: UbuntuVm): string {
  return risk === 'unproven'
    ? `a restart of ${name} may hang ${host.name}, since its GPU has not passed the proof under the running kernel`
    : `a restart of ${name} needs one of ${host.name}, since its GPU failed the proof`;
}

/**
 * Databases of this homelab must not run: a host that hangs takes them down without a flush.
 * @throws Blocked when one does, or when the cluster cannot say
 */
export async function assertNoDatabaseRuns(cluster: Cluster, why: string): Promise<void> {
  const running = await runningDatabases(cluster);
  if (running.length === 0) return;
  throw new Blocked(
    `no database may run, because ${why}; these run: ${running.join(', ')}; ${stopDatabases(cluster.homelab)}, run this again, and start those VMs again (qm start)`,
  );
}

/** Pods end in order when their node shuts down, and write all they hold. */
function stopDatabases(homelab: Homelab): string {
  const shutdowns = nodes(homelab)
    .filter(([, { dataDisks = {} }]) => Object.keys(dataDisks).length > 0)
    .map(([, machine]) => {
      const { address } = homelab.hosts[hostOf(homelab, machine)]!;
      return `ssh root@${address} qm shutdown ${machine.vmid} --timeout ${downSeconds(homelab, machine)}`;
    });
  return `shut down the nodes that hold databases (${shutdowns.join('; ')})`;
}

async function runningDatabases({ homelab, kubernetes }: Cluster): Promise<string[]> {
  const args = ['pods', '--all-namespaces', '--field-selector=status.phase=Running'];
  try {
    return (await kubernetes.list(args))
      .map(({ metadata }) => metadata)
      .filter(({ namespace }) => Object.hasOwn(homelab.databases, namespace))
      .map(({ namespace, name }) => `${namespace}/${name}`)
      .sort();
  } catch (error) {
    // No kubeconfig: there is no cluster, and so no database.
    if (error instanceof NotReady) return [];
    if (!isFault(error) || error instanceof Blocked) throw error;
    throw new Blocked(
      `the cluster does not answer whether a database runs: ${error.message}; start it with npm run bootstrap -- apply talos, then run this again`,
    );
  }
}

function reboot(vm: UbuntuVm): Action {
  const { commands, name, target } = vm;
  return action(`${name}: systemctl reboot, and wait for a login`, async (progress) => {
    const before = await bootId(commands, target);
    await orderReboot(commands, target, before);
    const up = untilRebooted(commands, target, before, BOOT_SECONDS, progress);
    await comesBack(
      vm,
      up.then(() => vm.waitForLogin(progress)),
      before,
    );
  });
}

/** Never `qm stop`: the GPU would not be reset. */
function shutDown(vm: UbuntuVm): Action {
  const { machine, proxmox } = vm;
  const shutdown = proxmox.shutdown(Math.ceil(machine.down.toSeconds()));
  return action(shutdown.lines, async (progress) => {
    if (!(await proxmox.isRunning())) return;
    await shutdown.run(progress);
    await until(`${proxmox.label} to be off`, { seconds: 60 }, progress, async () => !(await proxmox.isRunning()));
  });
}

/** With its VM off: the GPU is reset by that. Proxmox starts the machines that have onboot. */
function rebootHost(vm: UbuntuVm): Action {
  const { commands, name, host } = vm;
  return action(`${host.name}: systemctl reboot, and wait for a login on ${name}`, async (progress) => {
    const before = await bootId(commands, host);
    await orderReboot(commands, host, before);
    await untilRebooted(commands, host, before, HOST_BOOT_SECONDS, progress);
    const isOn = () => vm.proxmox.isRunning();
    await until(`${name} to be started by ${host.name}`, { seconds: BOOT_SECONDS }, progress, isOn);
    await vm.waitForLogin(progress);
  });
}
