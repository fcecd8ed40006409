import { isDeepStrictEqual } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { hostOf, type Homelab } from '../../../inventory';
import { bytes } from '../../../values/quantity';
import { CommandFailed, LOCALHOST, type Commands } from '../../engine/commands';
import { withMemoryFile } from '../../engine/memory-files';
import { action } from '../../engine/actions';
import type { Log } from '../../engine/log';
import { Problem, Blocked } from '../../engine/problem';
import { step, type Change, type Step } from '../../engine/step';
import { until } from '../../engine/wait';
import { patchesOf, SYSTEM_DISK } from '../../../machines/talos';
import { RELEASE, type TalosNode } from '../../clients/talos';
import { machineConfig, type ConfigTools } from './secrets';

/** Installing Talos takes 1 to 3 minutes on a home line: it may pull the image that homelab.ts names. */
const INSTALL_SECONDS = 600;

/** The words with which Talos refuses to apply a change at once (v1alpha1_runtime.go, CanApplyImmediate). */
const NEEDS_REBOOT = "can't be applied in immediate mode";

/** A node has the configuration that the inventory says: sent, applied without a reboot, or staged for the next one. */
export function configuration(tools: ConfigTools, log: Log, node: TalosNode): Step {
  return step(`${node.name} has its configuration`, async () => {
    const state = await node.state();
    return state.mode === 'maintenance' ? firstChange(tools, node) : laterChange(tools, log, node, state.version);
  });
}

/** Whether a node waits for a reboot to take over what was staged. */
export async function isStaged(node: TalosNode): Promise<boolean> {
  const { active, next } = await stored(node);
  return !sameConfig(active, next);
}

/** The versions of Kubernetes that a node's configuration names: several while an upgrade was stopped half way. */
export async function kubernetesVersions(node: TalosNode): Promise<string[]> {
  const versions = versionsIn((await stored(node)).active);
  if (versions.length === 0)
    throw new Blocked(`the configuration of ${node.name} must name a version of Kubernetes, but does not`);
  return versions;
}

/** The one version; a fresh configuration names the same, because only upgrade-k8s changes it. */
async function kubernetesVersion(node: TalosNode): Promise<string> {
  const versions = await kubernetesVersions(node);
  if (versions.length > 1)
    throw new Blocked(
      `${node.name} has an unfinished upgrade of Kubernetes (${versions.join(', ')}). To finish it: npm run bootstrap -- upgrade`,
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
async function assertRightMachine(homelab: Homelab, node: TalosNode): Promise<void> {
  const { name, machine } = node;
  const { address, mac, vmid } = machine;
  const links = await node.maintenanceResources('links');
  // Talos prints an unknown permanent address as ''.
  const macs = links.map(({ spec }) => String(spec.permanentAddr || spec.hardwareAddr || '').toLowerCase());
  if (!macs.includes(mac))
    throw new Blocked(
      `${name} must have the network card ${mac}, but the machine that answers at ${address} has ${macs.filter((each) => each !== '' && each !== '00:00:00:00:00:00').join(', ') || 'none'}; another machine has that address, or VM ${vmid} another card`,
    );
  const disks = (await node.maintenanceResources('disks')).map(({ spec }) => spec);
  if (!disks.some(({ dev_path: path }) => path === SYSTEM_DISK))
    throw new Blocked(
      `${name} must show its system disk as ${SYSTEM_DISK}, but shows ${disks.map(({ dev_path: path }) => path).join(', ')}; it is scsi0 of VM ${vmid} on ${hostOf(homelab, machine)}`,
    );
  for (const [index, [serial, size]] of Object.entries(machine.dataDisks ?? {}).entries()) {
    const found = disks.filter((disk) => disk.serial === serial);
    const where = `slot virtio${index + 1} of VM ${vmid} on ${hostOf(homelab, machine)}`;
    if (found.length !== 1)
      throw new Blocked(
        `${name} must show one disk with the serial ${serial}, but shows ${found.length}; it belongs into ${where}; seen: ${disks.map((disk) => `${disk.dev_path} ${disk.serial || 'without a serial'}`).join(', ')}`,
      );
    // minSize of its volume: on a smaller disk Talos would wait for another one without end.
    if (!(found[0].size >= bytes(size) * 0.9))
      throw new Blocked(
        `disk ${serial} of ${name} must have ${size.asString()}, but has ${Math.floor(found[0].size / 1024 ** 2)}Mi; look at ${where}`,
      );
  }
}

async function firstChange(tools: ConfigTools, node: TalosNode): Promise<Change> {
  const { homelab, commands } = tools;
  const { name, machine } = node;
  await assertRightMachine(homelab, node);
  const config = await machineConfig(tools, node, homelab.versions);
  const apply = ['talosctl', '-n', machine.address, 'apply-config', '--insecure'];
  return {
    lines: [`the configuration of talosctl gen config, with ${patchesOf(name, machine).join(', ')} on top`],
    actions: [
      action(apply.join(' '), async () => {
        await assertRightMachine(homelab, node);
        await sendFirst(commands, node, apply, config);
      }),
      action(`wait until ${name} has installed itself and started with it`, (progress) => {
        const isStarted = async () => (await node.probe()).mode === 'configured';
        return until(`${name} to start with its configuration`, { seconds: INSTALL_SECONDS }, progress, isStarted);
      }),
    ],
  };
}

async function sendFirst(commands: Commands, node: TalosNode, apply: readonly string[], config: string): Promise<void> {
  try {
    await withMemoryFile(`${node.name}.yaml`, config, (file) => commands.change(LOCALHOST, [...apply, '-f', file]));
  } catch (error) {
    // An earlier run sent it, and the machine took it between our look and now: then it is no longer in maintenance.
    const now = error instanceof CommandFailed ? await node.probe().catch(() => undefined) : { mode: 'maintenance' };
    if (now?.mode === 'maintenance') throw error;
  }
}

/** What a fresh configuration would change, and how: Talos is asked, and changes nothing. */
async function laterChange(tools: ConfigTools, log: Log, node: TalosNode, talos: string): Promise<Change | undefined> {
  const { name } = node;
  const takesEffect = `it takes effect at the next start: npm run bootstrap -- maintenance ${name}`;
  const kubernetes = await kubernetesVersion(node);
  const config = await machineConfig(tools, node, { talos, kubernetes });
  const isNext = sameConfig((await stored(node)).next, config);
  const immediate = await dryRun(log, node, config, 'no-reboot');
  const send = (mode: 'no-reboot' | 'staged', diff: string): Change => {
    const argv = ['apply-config', `--mode=${mode}`];
    const apply = async () =>
      void (await withMemoryFile(`${name}.yaml`, config, (file) => node.change([...argv, '-f', file])));
    return {
      lines: [...log.masked(diff).split('\n'), ...(mode === 'staged' ? [takesEffect] : [])],
      actions: [action(node.command(argv).lines, apply)],
    };
  };
  if (immediate === 'reboot') {
    if (isNext) return undefined;
    const diff = await dryRun(log, node, config, 'staged');
    if (diff === 'reboot')
      throw new Blocked(
        `talosctl apply-config of ${name} refuses to stage a change; npm run bootstrap -- talosctl ${name} -- dmesg`,
      );
    return send('staged', diff);
  }
  if (immediate !== '') return send('no-reboot', immediate);
  if (isNext) return undefined;
  return send('no-reboot', 'another configuration is staged for the next reboot: this one replaces it');
}

/** @returns the difference, empty when there is none, or that it needs a reboot */
async function dryRun(log: Log, node: TalosNode, config: string, mode: string): Promise<string> {
  const { name } = node;
  const { stdout, stderr, code } = await withMemoryFile(`${name}.yaml`, config, (file) =>
    node.read(['apply-config', '--dry-run', `--mode=${mode}`, '-f', file], { accepts: [0, 1] }),
  );
  // talosctl says the result of apply-config on its standard error.
  const said = `${stdout}\n${stderr}`;
  if (code !== 0) {
    if (said.includes(NEEDS_REBOOT)) return 'reboot';
    throw new Problem(`${name} refuses its configuration: ${log.masked(said.trim())}`);
  }
  const diff = /Config diff:\s*\n([^]*)/.exec(said)?.[1]?.trim();
  if (diff === undefined)
    throw new Blocked(`talosctl apply-config --dry-run must say what it would change on ${name}, but did not`);
  return diff === 'No changes.' ? '' : diff;
}

/** The configuration that is in force, and the one for the next start: another one if something was staged. */
async function stored(node: TalosNode): Promise<{ readonly active: string; readonly next: string }> {
  const found = await node.resources('machineconfig');
  const byId = (id: string) => found.find(({ metadata }) => metadata.id === id)?.spec;
  const active = byId('v1alpha1');
  // Talos only keeps it apart when one was applied since the last start.
  const next = byId('persistent') ?? active;
  if (typeof active !== 'string' || typeof next !== 'string')
    throw new Blocked(
      `talosctl get machineconfig must show the configuration of ${node.machine.address}, but does not`,
    );
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
