import { parse as parseYaml } from 'yaml';
import { parseProperties } from './command-line';
import { bootId } from './machines';
import type { Simulation } from './simulation';
import { hostKey, type Image, type State, type TalosDisk, type Vm, type Volume } from './state';
import { readVolumeFile, writeDevices } from './storage';
import { readConfig, type TalosConfig } from './talos-config';

/** Milliseconds that a machine takes to boot, or to install an operating system. */
const BOOT = 50;
/** Milliseconds that a guest takes to shut down. */
export const TICK_OF_A_GUEST = 30;

/** A node that has joined the Kubernetes cluster. */
export interface ClusterNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly address: string;
  readonly controlPlane: boolean;
}

/** A Talos node as it is right now. */
export interface TalosNode {
  readonly vmid: string;
  readonly vm: Vm;
  readonly volume: Volume;
  readonly disk: TalosDisk;
  readonly image: Image;
  readonly address: string;
  /** As `get machinestatus` says. */
  readonly stage: string;
  /** Absent in maintenance mode. */
  readonly config?: TalosConfig;
  readonly hostname: string;
  readonly ready: boolean;
}

export interface TalosDrive {
  readonly device: string;
  readonly slot: string;
  readonly id: string;
  readonly serial: string;
  readonly transport: string;
  readonly cdrom: boolean;
  readonly size: number;
}

const announced = new WeakMap<State, string>();

/** Brings everything to the present: asked every few milliseconds, and after each call. */
export function advance(simulation: Simulation): void {
  const { state } = simulation;
  const { host } = state;
  if (host.upAt !== undefined && Date.now() >= host.upAt && state.machines.host!.upAt === undefined) {
    state.machines.host!.upAt = host.upAt;
    startOnBoot(simulation);
  }
  const nodes = talosNodes(state);
  for (const node of nodes) if (node.config && node.stage === 'running') provision(state, node);
  writeDevices(simulation);
  const members: Record<string, ClusterNode> = (state.extra.members ??= {});
  for (const { config, hostname, address, ready } of nodes)
    if (config && ready)
      members[hostname] = {
        name: hostname,
        labels: labelsOf(config, hostname),
        address,
        controlPlane: config.controlPlane,
      };
  const joined = JSON.stringify(members);
  if (joined === (announced.get(state) ?? '{}')) return;
  announced.set(state, joined);
  void simulation.options.onNodes?.(Object.values(members));
}

/** Whether anything answers at an address. */
export function addressUp(state: State, address: string): boolean {
  const now = Date.now();
  return (
    Object.values(state.machines).some(
      (each) => each.address === address && each.upAt !== undefined && now >= each.upAt,
    ) || talosNodes(state).some((node) => node.address === address && now >= node.disk.awayUntil)
  );
}

export function startVm(simulation: Simulation, vmid: number | string): void {
  const { state } = simulation;
  const vm = state.vms[vmid]!;
  vm.startedAt = Date.now();
  vm.started = { ...vm.config };
  const volume = systemVolume(state, vm);
  if (volume?.image?.system === 'talos') {
    volume.talos ??= { awayUntil: 0, stage: 'booting', volumes: {}, boots: 0 };
    bootTalos(volume.talos, 'booting');
  } else if (volume?.image?.system === 'ubuntu') bootUbuntu(simulation, String(vmid), vm, volume);
}

export function stopVm(simulation: Simulation, vmid: number | string): void {
  const vm = simulation.state.vms[vmid];
  if (vm?.startedAt === undefined) return;
  delete vm.startedAt;
  delete vm.started;
  for (const [name, machine] of Object.entries(simulation.state.machines)) {
    if (machine.vmid !== Number(vmid)) continue;
    delete machine.upAt;
    simulation.endSessions(name);
  }
}

/** A guest that boots again by itself: what waits for the next start keeps waiting. */
export function rebootVm(simulation: Simulation, vmid: number): void {
  const vm = simulation.state.vms[vmid]!;
  const started = vm.started;
  stopVm(simulation, vmid);
  startVm(simulation, vmid);
  vm.started = started ?? vm.config;
}

export function rebootHost(simulation: Simulation): void {
  stopHost(simulation);
  powerOn(simulation);
}

export function stopHost(simulation: Simulation): void {
  const { state } = simulation;
  for (const vmid of Object.keys(state.vms)) stopVm(simulation, vmid);
  delete state.host.upAt;
  delete state.machines.host!.upAt;
  simulation.endSessions('host');
}

/** Presses the button of a host that is off. */
export function powerOn(simulation: Simulation): void {
  const { host } = simulation.state;
  host.upAt = Date.now() + BOOT;
  host.boots++;
  simulation.writeFile('host', 'proc/sys/kernel/random/boot_id', bootId());
  simulation.booted('host');
}

/** Whether an operating system runs in a VM, which hears the power button. */
export function hasGuest(state: State, vmid: number): boolean {
  return systemVolume(state, state.vms[vmid]!)?.image !== undefined;
}

export function talosNodes(state: State): TalosNode[] {
  return Object.entries(state.vms).flatMap(([vmid, vm]) => {
    const node = vm.startedAt === undefined ? undefined : talosNode(state, vmid, vm);
    return node ? [node] : [];
  });
}

/** A node goes down and comes up again, with a staged configuration if there is one. */
export function bootTalos(disk: TalosDisk, stage: TalosDisk['stage'], times = 1): void {
  disk.awayUntil = Date.now() + BOOT * times;
  disk.stage = stage;
  disk.boots++;
  if (disk.staged !== undefined) disk.config = disk.staged;
  delete disk.staged;
}

/** All disks of a VM as Linux in it sees them. */
export function drivesOf(state: State, { config }: Vm): TalosDrive[] {
  const count: Record<string, number> = {};
  return Object.entries(config)
    .filter(([slot]) => /^(scsi|virtio|sata|ide)\d/.test(slot))
    .sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))
    .map(([slot, drive]) => {
      const { file, serial = '', media } = parseProperties(drive, 'file');
      const kind = media === 'cdrom' ? 'sr' : slot.startsWith('virtio') ? 'vd' : 'sd';
      const number = (count[kind] = (count[kind] ?? -1) + 1);
      return {
        device: `/dev/${kind}${kind === 'sr' ? number : String.fromCharCode(97 + number)}`,
        slot,
        id: file!,
        // Talos leaves it empty on virtio-scsi.
        serial: slot.startsWith('virtio') ? serial : '',
        transport: slot.startsWith('virtio') ? 'virtio' : slot.startsWith('scsi') ? 'virtio' : 'ata',
        cdrom: media === 'cdrom',
        size: state.volumes[file!]?.size ?? 4 * 2 ** 20,
      };
    });
}

/** The disk that a user volume is to be on: as its CEL expression says, which is JavaScript too as far as we use it. */
export function matchingDrive(state: State, node: TalosNode, match: string): TalosDrive | undefined {
  const system = systemSlot(node.vm);
  const judge = new Function('disk', 'system_disk', `return (${match})`) as (disk: object, system: boolean) => boolean;
  return drivesOf(state, node.vm).find(
    (drive) => !drive.cdrom && judge({ ...drive, dev_path: drive.device }, drive.slot === system),
  );
}

/** What `get volumestatus` says of a user volume. */
export function volumePhase(
  state: State,
  node: TalosNode,
  name: string,
  match: string,
): { phase: string; error?: string; drive?: TalosDrive } {
  const drive = matchingDrive(state, node, match);
  if (!drive) return { phase: 'failed', error: 'no disks matched selector for volume' };
  const label = state.volumes[drive.id]?.label;
  if (label !== undefined && label !== `u-${name}`)
    return {
      phase: 'failed',
      error:
        'no disks matched for volume (1 matched selector): 1 have not enough space, 0 have wrong format, 0 have other issues',
    };
  return { phase: 'ready', drive };
}

function talosNode(state: State, vmid: string, vm: Vm): TalosNode | undefined {
  const volume = systemVolume(state, vm);
  if (volume?.image?.system !== 'talos' || !volume.talos) return undefined;
  const { talos: disk, image } = volume;
  const config = disk.config === undefined ? undefined : readConfig(disk.config);
  const away = Date.now() < disk.awayUntil;
  const address = addressOf(state, vmid, vm, image, config);
  const mac = macOf(vm);
  return {
    vmid,
    vm,
    volume,
    disk,
    image,
    address,
    ...(config && { config }),
    stage: away ? disk.stage : config ? 'running' : 'maintenance',
    // The name that Talos makes up is made of the machine's identity, as the address of its card.
    hostname:
      config?.hostname ??
      `talos-${mac.slice(9).replaceAll(':', '').slice(0, 3)}-${mac.slice(9).replaceAll(':', '').slice(3)}`,
    ready: !away && config !== undefined && controlPlaneReady(state, config.authority),
  };
}

/** Where a node can be reached: nocloud takes the address that Proxmox hands it, all else must be in the configuration. */
function addressOf(state: State, vmid: string, vm: Vm, image: Image, config?: TalosConfig): string {
  const given =
    Object.values(vm.started ?? {}).some((drive) => /-cloudinit,/.test(drive)) && image.platform === 'nocloud';
  const { ip } = parseProperties(vm.started?.ipconfig0 ?? '', '');
  const network = state.machines.host!.address.replace(/\.\d+$/, '');
  const fallback = given && ip && ip !== 'dhcp' ? ip.split('/')[0]! : `${network}.${200 + (Number(vmid) % 50)}`;
  if (config?.address === undefined) return fallback;
  const isThere = config.alias
    ? config.alias.match.toLowerCase().includes(macOf(vm))
    : !config.link || /^e/.test(config.link);
  return isThere ? config.address : fallback;
}

export function macOf(vm: Vm): string {
  return (
    /([0-9a-f]{2}:){5}[0-9a-f]{2}/i.exec(vm.started?.net0 ?? vm.config.net0 ?? '')?.[0].toLowerCase() ??
    '00:00:00:00:00:00'
  );
}

/** Whether the cluster of an authority has a control plane that is up: with etcd begun, and some time to start. */
function controlPlaneReady(state: State, authority: string): boolean {
  return Object.values(state.vms).some((vm) => {
    const disk = vm.startedAt === undefined ? undefined : systemVolume(state, vm)?.talos;
    if (disk?.bootstrappedAt === undefined || disk.config === undefined) return false;
    const config = readConfig(disk.config);
    const since = Math.max(disk.bootstrappedAt, disk.awayUntil);
    return config.controlPlane && config.authority === authority && Date.now() >= since + BOOT;
  });
}

function labelsOf(config: TalosConfig, hostname: string): Record<string, string> {
  return {
    'kubernetes.io/arch': 'amd64',
    'kubernetes.io/os': 'linux',
    'kubernetes.io/hostname': hostname,
    ...(config.controlPlane && { 'node-role.kubernetes.io/control-plane': '' }),
    ...config.labels,
  };
}

/** Makes the file systems of user volumes whose disk is there and empty. */
function provision(state: State, node: TalosNode): void {
  for (const { name, match } of node.config!.volumes) {
    const { drive } = volumePhase(state, node, name, match);
    if (!drive) continue;
    state.volumes[drive.id]!.label = `u-${name}`;
    node.disk.volumes[name] = drive.id;
  }
}

function systemSlot(vm: Vm): string | undefined {
  return parseProperties(vm.config.boot ?? '', 'legacy').order?.split(';')[0];
}

function systemVolume(state: State, vm: Vm): Volume | undefined {
  return state.volumes[(vm.config[systemSlot(vm) ?? ''] ?? '').split(',')[0]!];
}

function startOnBoot(simulation: Simulation): void {
  const order = (vm: Vm) => Number(parseProperties(vm.config.startup ?? '', 'order').order ?? 1000);
  Object.entries(simulation.state.vms)
    .filter(([, vm]) => vm.config.onboot === '1' && !vm.config.lock)
    .sort(([, a], [, b]) => order(a) - order(b))
    .forEach(([vmid]) => startVm(simulation, vmid));
}

/**
 * cloud-init: with snippets of all three kinds the machine has its address and its users. Another instance id than the last
 * makes it run again, with new host keys.
 */
function bootUbuntu(simulation: Simulation, vmid: string, vm: Vm, volume: Volume): void {
  const { state } = simulation;
  const name = vm.config.name ?? `vm-${vmid}`;
  const { user, network, meta } = parseProperties(vm.config.cicustom ?? '', '');
  if (!user || !network || !meta) return;
  const [userData, networkData, metaData] = [user, network, meta].map((id) => readVolumeFile(simulation, id)) as [
    string,
    string,
    string,
  ];
  const instance = String(parseYaml(metaData)?.['instance-id'] ?? '');
  const plan = parseYaml(networkData);
  const address = /(\d{1,3}\.){3}\d{1,3}/.exec(
    JSON.stringify((plan.network ?? plan).ethernets ?? plan.config ?? {}).replace(/.*?"address(es)?":/, ''),
  )?.[0];
  if (!userData.startsWith('#cloud-config') || instance === '' || address === undefined) return;
  const config = parseYaml(userData) ?? {};
  if (volume.cloudInit?.instance !== instance) volume.cloudInit = { instance, hostKey: hostKey() };
  const users = (config.users ?? []).filter((each: unknown) => typeof each === 'object');
  const disk = (vm.config[systemSlot(vm)!] ?? '').split(',')[0]!;
  const known = state.machines[name];
  state.machines[name] = {
    kind: 'ubuntu',
    address,
    upAt: Date.now() + 2 * BOOT,
    users: Object.fromEntries(users.map((each: any) => [each.name, each.ssh_authorized_keys ?? []])),
    hostKey: volume.cloudInit.hostKey,
    vmid: Number(vmid),
    volume: disk,
  };
  if (known?.volume !== disk) {
    const first = users[0]?.name ?? 'ubuntu';
    simulation.makeMachine(
      name,
      { cmdline: 'BOOT_IMAGE=/vmlinuz root=LABEL=cloudimg-rootfs ro\n', 'sys/kernel/random/boot_id': bootId() },
      {
        'etc/hostname': `${config.hostname ?? name}\n`,
        'etc/hosts': `127.0.0.1 localhost\n`,
        'etc/passwd': `root:x:0:0:root:/root:/bin/bash\n${first}:x:1000:1000::/home/${first}:/bin/bash\n`,
        'etc/group': `root:x:0:\nvideo:x:44:\nrender:x:993:\n${first}:x:1000:\n`,
        'etc/os-release': `PRETTY_NAME="Ubuntu ${volume.image!.version} LTS"\nID=ubuntu\nVERSION_ID="${volume.image!.version}"\nVERSION_CODENAME=noble\n`,
        [`home/${first}/.profile`]: '',
        'var/lib/cloud/instance/boot-finished': '1\n',
      },
    );
    simulation.own(name, `home/${first}`);
    for (const { path, content } of config.write_files ?? []) simulation.writeFile(name, path, content ?? '');
  } else simulation.writeFile(name, 'proc/sys/kernel/random/boot_id', bootId());
  simulation.booted(name);
}
