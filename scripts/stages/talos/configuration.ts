import { isDeepStrictEqual } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { hostOf, type TalosMachine } from '../../../inventory';
import { bytes } from '../../../values/quantity';
import { CommandFailed, LOCALHOST } from '../../engine/commands';
import type { Context } from '../../clients/context';
import { Problem, Blocked } from '../../engine/problem';
import type { Change, Step } from '../../engine/step';
import { until } from '../../engine/wait';
import { patchesOf, SYSTEM_DISK } from '../../../machines/talos';
import { changeNode, maintenanceResources, nodeState, probe, readNode, resources } from '../../clients/talos';
import { machineConfig, withMachineConfig } from './secrets';
import { RELEASE } from '../../clients/talos-versions';

/** Installing Talos takes 1 to 3 minutes on a home line: it may pull the image that homelab.ts names. */
const INSTALL_SECONDS = 600;

/** The words with which Talos refuses to apply a change at once (v1alpha1_runtime.go, CanApplyImmediate). */
const NEEDS_REBOOT = "can't be applied in immediate mode";

/** A node has the configuration that the inventory says: sent, applied without a reboot, or staged for the next one. */
export function configuration(context: Context, name: string, machine: TalosMachine): Step {
  return {
    title: `${name} has its configuration`,
    async plan() {
      const state = await nodeState(context, name, machine);
      if (state.mode === 'maintenance') {
        await rightMachine(context, name, machine);
        await firstConfig(context, name, machine);
        return {
          lines: [
            `talosctl -n ${machine.address} apply-config --insecure: ${patchesOf(name, machine).join(', ')} on top of what talosctl makes`,
          ],
        };
      }
      return difference(context, name, machine, state.version);
    },
    async apply(_, progress) {
      const state = await nodeState(context, name, machine);
      if (state.mode === 'maintenance') return configure(context, name, machine, progress);
      const { config, mode } = await compared(context, name, machine, state.version);
      if (mode === 'none') return;
      await withMachineConfig(name, config, (file) =>
        changeNode(context, machine, ['apply-config', `--mode=${mode}`, '-f', file]),
      );
    },
  };
}

/** Whether a node waits for a reboot to take over what was staged. */
export async function isStaged(context: Context, machine: TalosMachine): Promise<boolean> {
  const { active, next } = await stored(context, machine);
  return !sameConfig(active, next);
}

/** The versions of Kubernetes that a node's configuration names: several while an upgrade was stopped half way. */
export async function kubernetesVersions(context: Context, name: string, machine: TalosMachine): Promise<string[]> {
  const versions = versionsIn((await stored(context, machine)).active);
  if (versions.length === 0)
    throw new Blocked(`the configuration of ${name} must name a version of Kubernetes, and does not`);
  return versions;
}

/** The one version; a fresh configuration names the same, because only upgrade-k8s changes it. */
async function kubernetesVersion(context: Context, name: string, machine: TalosMachine): Promise<string> {
  const versions = await kubernetesVersions(context, name, machine);
  if (versions.length > 1)
    throw new Blocked(
      `${name} is between two versions of Kubernetes (${versions.join(', ')}): npm run bootstrap -- upgrade finishes that`,
    );
  return versions[0]!;
}

/** Versions of Kubernetes in a machine configuration, each once. */
export function versionsIn(config: string): string[] {
  const [{ machine, cluster } = {} as any] = parseAllDocuments(config)
    .map((document) => document.toJS() as any)
    .filter((document) => document?.machine !== undefined);
  const { apiServer, controllerManager, scheduler, proxy } = cluster ?? {};
  const parts = [apiServer, controllerManager, scheduler, proxy, machine?.kubelet];
  const images = parts.map((part) => part?.image).filter((image) => typeof image === 'string');
  return [...new Set(images.flatMap((image: string) => RELEASE.exec(image.replace(/@.*/, '')) ?? []))];
}

/** Before a secret leaves this machine: it is the one that homelab.ts means, with all of its disks. */
async function rightMachine(context: Context, name: string, machine: TalosMachine): Promise<void> {
  const { address, mac, vmid } = machine;
  const links = await maintenanceResources(context, machine, 'links');
  // Talos prints an unknown permanent address as ''.
  const macs = links.map(({ spec }) => String(spec.permanentAddr || spec.hardwareAddr || '').toLowerCase());
  if (!macs.includes(mac))
    throw new Blocked(
      `${name} must have the network card ${mac}, and the machine that answers at ${address} has ${macs.filter((each) => each !== '' && each !== '00:00:00:00:00:00').join(', ') || 'none'}; another machine has that address, or VM ${vmid} another card`,
    );
  const disks = (await maintenanceResources(context, machine, 'disks')).map(({ spec }) => spec);
  if (!disks.some(({ dev_path: path }) => path === SYSTEM_DISK))
    throw new Blocked(
      `${name} must show its system disk as ${SYSTEM_DISK}, and shows ${disks.map(({ dev_path: path }) => path).join(', ')}; it is scsi0 of VM ${vmid} on ${hostOf(context.homelab, machine)}`,
    );
  for (const [index, [serial, size]] of Object.entries(machine.dataDisks ?? {}).entries()) {
    const found = disks.filter((disk) => disk.serial === serial);
    const where = `slot virtio${index + 1} of VM ${vmid} on ${hostOf(context.homelab, machine)}`;
    if (found.length !== 1)
      throw new Blocked(
        `${name} must show one disk with the serial ${serial}, and shows ${found.length}; it belongs into ${where}; seen: ${disks.map((disk) => `${disk.dev_path} ${disk.serial || 'without a serial'}`).join(', ')}`,
      );
    // minSize of its volume: on a smaller disk Talos would wait for another one for ever.
    if (!(found[0].size >= bytes(size) * 0.9))
      throw new Blocked(
        `disk ${serial} of ${name} must have ${size.asString()}, and has ${Math.floor(found[0].size / 1024 ** 2)}Mi; look at ${where}`,
      );
  }
}

async function configure(
  context: Context,
  name: string,
  machine: TalosMachine,
  progress: (what: string) => void,
): Promise<void> {
  const { address } = machine;
  await rightMachine(context, name, machine);
  const config = await firstConfig(context, name, machine);
  try {
    await withMachineConfig(name, config, (file) =>
      context.commands.change(LOCALHOST, ['talosctl', '-n', address, 'apply-config', '--insecure', '-f', file]),
    );
  } catch (error) {
    // An earlier run sent it, and the machine took it between our look and now: then it is no longer in maintenance.
    const now =
      error instanceof CommandFailed ? await probe(context, machine).catch(() => undefined) : { mode: 'maintenance' };
    if (now?.mode === 'maintenance') throw error;
  }
  await until(`${name} to start with its configuration`, { seconds: INSTALL_SECONDS }, progress, async () =>
    (await probe(context, machine)).mode === 'configured' ? true : undefined,
  );
}

function firstConfig(context: Context, name: string, machine: TalosMachine): Promise<string> {
  return machineConfig(context, name, machine, context.homelab.versions);
}

async function difference(
  context: Context,
  name: string,
  machine: TalosMachine,
  talos: string,
): Promise<Change | undefined> {
  const { mode, diff } = await compared(context, name, machine, talos);
  if (mode === 'none') return undefined;
  const what =
    mode === 'staged'
      ? `apply-config --mode=staged: it takes effect with npm run bootstrap -- maintenance ${name}`
      : 'apply-config --mode=no-reboot';
  return { lines: [...context.log.masked(diff).split('\n'), what] };
}

/** What a fresh configuration would change, and how: Talos is asked, and changes nothing. */
async function compared(
  context: Context,
  name: string,
  machine: TalosMachine,
  talos: string,
): Promise<{ config: string; mode: 'none' | 'no-reboot' | 'staged'; diff: string }> {
  const kubernetes = await kubernetesVersion(context, name, machine);
  const config = await machineConfig(context, name, machine, { talos, kubernetes });
  const isNext = sameConfig((await stored(context, machine)).next, config);
  const immediate = await dryRun(context, name, machine, config, 'no-reboot');
  if (immediate === 'reboot') {
    if (isNext) return { config, mode: 'none', diff: '' };
    const diff = await dryRun(context, name, machine, config, 'staged');
    if (diff === 'reboot')
      throw new Blocked(
        `talosctl apply-config of ${name} refuses to stage a change; npm run bootstrap -- talosctl ${name} -- dmesg`,
      );
    return { config, mode: 'staged', diff };
  }
  if (immediate !== '') return { config, mode: 'no-reboot', diff: immediate };
  if (isNext) return { config, mode: 'none', diff: '' };
  return {
    config,
    mode: 'no-reboot',
    diff: 'another configuration is staged for the next reboot: this one takes its place',
  };
}

/** @returns the difference, empty when there is none, or that it needs a reboot */
async function dryRun(
  context: Context,
  name: string,
  machine: TalosMachine,
  config: string,
  mode: string,
): Promise<string> {
  const { stdout, stderr, code } = await withMachineConfig(name, config, (file) =>
    readNode(context, machine, ['apply-config', '--dry-run', `--mode=${mode}`, '-f', file], { accepts: [0, 1] }),
  );
  // talosctl says the result of apply-config on its standard error.
  const said = `${stdout}\n${stderr}`;
  if (code !== 0) {
    if (said.includes(NEEDS_REBOOT)) return 'reboot';
    throw new Problem(`${name} refuses its configuration: ${context.log.masked(said.trim())}`);
  }
  const diff = /Config diff:\s*\n([^]*)/.exec(said)?.[1]?.trim();
  if (diff === undefined)
    throw new Blocked(`talosctl apply-config --dry-run must say what it would change on ${name}, and did not`);
  return diff === 'No changes.' ? '' : diff;
}

/** The configuration that is in force, and the one for the next start: another one if something was staged. */
async function stored(
  context: Context,
  machine: TalosMachine,
): Promise<{ readonly active: string; readonly next: string }> {
  const found = await resources(context, machine, ['machineconfig']);
  const byId = (id: string) => found.find(({ metadata }) => metadata.id === id)?.spec;
  const active = byId('v1alpha1');
  // Talos only keeps it apart when one was applied since the last start.
  const next = byId('persistent') ?? active;
  if (typeof active !== 'string' || typeof next !== 'string')
    throw new Blocked(`talosctl get machineconfig must show the configuration of ${machine.address}, and does not`);
  return { active, next };
}

/** Whether two configurations say the same, whatever their order and comments. */
function sameConfig(one: string, other: string): boolean {
  const sorted = (text: string) =>
    parseAllDocuments(text)
      .map((document) => document.toJS() as any)
      .sort((a, b) => (key(a) < key(b) ? -1 : 1));
  const key = (document: any) => `${document?.kind ?? ''}/${document?.name ?? ''}`;
  return isDeepStrictEqual(sorted(one), sorted(other));
}
