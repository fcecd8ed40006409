import { bytes } from '../../../values/quantity';
import { proxmox, type Context } from '../../clients/context';
import { NotReady, Blocked } from '../../engine/problem';
import type { Change, Step } from '../../engine/step';
import { quoted } from '../../../values/shell';
import {
  CLOUD_INIT_SLOT,
  EFI_SLOT,
  NEW_DRIVE,
  QM,
  sizeText,
  SYSTEM_SLOT,
  VIRTIO_SLOTS,
  type DataDisk,
  type Vm,
} from '../../../machines/vms';
import { imageIsThere } from '../images';
import { assertRoom } from './room';
import { strays } from '../../clients/proxmox/volumes';
import { volumes } from '../../clients/proxmox/volumes';
import { differences, drive, line, optionsOf, withOptions } from '../../clients/proxmox/settings';
import { id, liveVm, stopAndStart, type LiveVm } from '../../clients/proxmox/guests';
import type { Volume } from '../../clients/proxmox/volumes';

/**
 * The disks of a VM, a step each: `STORE:SIZE` allocates, so it is sent only for a slot that a look just before saw empty.
 * What a killed allocation left on the storage is freed while the VM has no system disk yet, and taken into use when it is
 * an empty data disk; anything else stops.
 */
export function diskSteps(context: Context, vm: Vm): Step[] {
  const { machine, dataDisks } = vm;
  return [
    step(context, vm, `UEFI variables of ${vm.name}`, (live) => efi(context, vm, live)),
    step(context, vm, `system disk of ${vm.name}`, (live) => system(context, vm, live)),
    step(context, vm, `system disk of ${vm.name} has ${sizeText(bytes(machine.systemDisk))}`, (live) =>
      systemSize(context, vm, live),
    ),
    step(context, vm, `cloud-init drive of ${vm.name}`, (live) => cloudInit(context, vm, live)),
    ...dataDisks.map((disk) =>
      step(context, vm, `disk ${disk.serial} of ${vm.name}`, (live) => data(context, vm, live, disk)),
    ),
  ];
}

/** Whether everything is there that a start needs. */
export function hasAllDisks({ dataDisks, machine }: Vm, { config }: LiveVm): boolean {
  const system = config[SYSTEM_SLOT];
  return (
    system !== undefined &&
    drive(system).size === bytes(machine.systemDisk) &&
    config[EFI_SLOT] !== undefined &&
    config[CLOUD_INIT_SLOT] !== undefined &&
    dataDisks.every(({ serial }) => slotOf(config, serial) !== undefined)
  );
}

/** The commands of a step; `notes` stand beside them in the plan. */
interface Work {
  readonly commands: readonly (readonly string[])[];
  readonly notes?: readonly string[];
  readonly asks?: readonly string[];
}

/** Copying an image, or making a disk, on a slow storage. */
const DISK_SECONDS = 1800;

function step(context: Context, vm: Vm, title: string, work: (live: LiveVm) => Promise<Work | undefined>): Step {
  const place = proxmox(context, vm.host);
  // Without the VM the plan shows what it will get.
  const now = async () =>
    work((await liveVm(context, vm)) ?? { config: {}, status: 'stopped', leftover: false, shell: false });
  return {
    title,
    async plan(): Promise<Change | undefined> {
      const found = await now();
      if (found === undefined) return undefined;
      const { commands, notes = [], asks } = found;
      return { lines: [...notes, ...commands.map((argv) => argv.map(quoted).join(' '))], ...(asks && { asks }) };
    },
    async apply(_, progress) {
      const { commands = [] } = (await now()) ?? {};
      for (const [index, argv] of commands.entries()) {
        progress(argv.slice(0, 3).join(' '));
        const waitsFor = `${vm.storage} on ${vm.host}`;
        const { stderr } = await context.commands.change(place, argv, { seconds: DISK_SECONDS, waitsFor });
        if (stderr.trim() === '') continue;
        // `qm disk resize` and `pvesm free` end with 0 also when they failed. A mere warning stands there as well.
        const left = (await now())?.commands.length ?? 0;
        if (left >= commands.length - index)
          throw new Blocked(`${vm.host}: ${argv.map(quoted).join(' ')} was done in vain, and said: ${stderr.trim()}`);
      }
    },
  };
}

async function efi(context: Context, vm: Vm, live: LiveVm): Promise<Work | undefined> {
  const { config } = live;
  if (config[EFI_SLOT] !== undefined) return undefined;
  if (Object.keys(config).length === 0) return { commands: [QM.set(vm.vmid, NEW_DRIVE.efi(vm))] };
  assertOff(vm, live, EFI_SLOT);
  await assertRoom(context, vm);
  return { commands: [...(await freed(context, vm, config)), QM.set(vm.vmid, NEW_DRIVE.efi(vm))] };
}

async function system(context: Context, vm: Vm, live: LiveVm): Promise<Work | undefined> {
  const { config, status } = live;
  const present = config[SYSTEM_SLOT];
  if (present !== undefined) return changedOptions(vm, SYSTEM_SLOT, present, vm.systemOptions, status);
  if (vm.image === undefined)
    throw new Blocked(`${vm.name} must have a release that machines/pins.ts knows; see UBUNTU_IMAGES there`);
  const data = Object.keys(config).find((key) => /^virtio\d+$/.test(key));
  if (data !== undefined)
    throw new Blocked(
      `${id(vm)} must have a system disk (${SYSTEM_SLOT}), as it has ${data}: ${config[data]}. A new one is not made beside disks with data; give it the old one: qm set ${vm.vmid} --${SYSTEM_SLOT} VOLUME,${vm.systemOptions}`,
    );
  assertOff(vm, live, SYSTEM_SLOT);
  // The step before this one looks at the same.
  if (config[EFI_SLOT] === undefined) return { commands: [QM.set(vm.vmid, NEW_DRIVE.system(vm))] };
  if (!(await imageIsThere(context, vm)))
    throw new Blocked(`${vm.image} must be on ${vm.host} for ${id(vm)}; npm run bootstrap -- apply images`);
  await assertRoom(context, vm);
  return { commands: [...(await freed(context, vm, config)), QM.set(vm.vmid, NEW_DRIVE.system(vm))] };
}

async function systemSize(context: Context, vm: Vm, { config, status }: LiveVm): Promise<Work | undefined> {
  const present = config[SYSTEM_SLOT];
  if (present === undefined) throw new NotReady(`${id(vm)} must have a system disk first`);
  return grown(context, vm, status, SYSTEM_SLOT, present, bytes(vm.machine.systemDisk));
}

async function cloudInit(context: Context, vm: Vm, live: LiveVm): Promise<Work | undefined> {
  const { config } = live;
  if (config[CLOUD_INIT_SLOT] !== undefined) return undefined;
  assertOff(vm, live, CLOUD_INIT_SLOT);
  if (config[SYSTEM_SLOT] === undefined) return { commands: [QM.set(vm.vmid, NEW_DRIVE.cloudInit(vm))] };
  const left = (await strays(context, vm, config)).find(isCloudInit);
  // Proxmox writes it anew with each start, so one that was left is as good as a new one.
  if (left) return { commands: [QM.set(vm.vmid, { [CLOUD_INIT_SLOT]: `${left.id},media=cdrom` })] };
  return { commands: [QM.set(vm.vmid, NEW_DRIVE.cloudInit(vm))] };
}

async function data(context: Context, vm: Vm, { config, status }: LiveVm, disk: DataDisk): Promise<Work | undefined> {
  const present = slotOf(config, disk.serial);
  if (present !== undefined)
    return both(
      await grown(context, vm, status, present, config[present]!, disk.bytes),
      changedOptions(vm, present, config[present]!, disk.options, status),
    );
  // What is left on the storage is freed before there is a system disk.
  if (config[SYSTEM_SLOT] === undefined) return { commands: [QM.set(vm.vmid, NEW_DRIVE.data(vm, disk, disk.slot))] };
  assertNoOtherSerial(vm, config, disk);
  await assertRoom(context, vm);
  const missing = vm.dataDisks.filter(({ serial }) => slotOf(config, serial) === undefined);
  const slot = freeSlots(vm, config, missing)[missing.indexOf(disk)]!;
  const left = (await strays(context, vm, config)).filter((each) => !isCloudInit(each));
  const [first] = left;
  if (first === undefined) return { commands: [QM.set(vm.vmid, NEW_DRIVE.data(vm, disk, slot))] };
  if (left.length > 1 || first.size !== missing[0]!.bytes || !(await isEmpty(context, vm, first)))
    throw new Blocked(
      `${id(vm)} must not have volumes without a place on ${vm.storage}, and has ${list(left)}: they may hold data, so no new disk is made for ${disk.serial}. Give one of them its place (qm set ${vm.vmid} --${slot} ${first.id},${disk.options}), or remove what is worth nothing (pvesm free VOLUME)`,
    );
  // Disks are made in their order, so the one that was cut off is the first that is missing.
  if (disk !== missing[0]) return { commands: [QM.set(vm.vmid, NEW_DRIVE.data(vm, disk, slot))] };
  return {
    commands: [QM.set(vm.vmid, { [slot]: `${first.id},${disk.options}` })],
    notes: [`${first.id} is empty, has the right size and no place: left by an allocation that was cut off`],
  };
}

/**
 * `onboot` starts a VM also before it has its disks, when the host boots meanwhile. What it needs to boot would then wait for
 * its next start, and look as if it was there.
 */
function assertOff(vm: Vm, { status }: LiveVm, slot: string): void {
  if (status !== 'stopped')
    throw new Blocked(
      `${id(vm)} must be stopped before it gets its ${slot}, and is ${status}: it was started before it was finished. On ${vm.host}: qm stop ${vm.vmid} (if a system already works in it: qm shutdown ${vm.vmid}), then run this again`,
    );
}

/**
 * Volumes to free before the system disk is made. A cut off command leaves one: of the UEFI variables, or a system disk as
 * large as its image. A VM that was lost leaves several, and its system disk has grown.
 */
async function freed(
  context: Context,
  vm: Vm,
  config: Readonly<Record<string, string>>,
): Promise<readonly (readonly string[])[]> {
  if (config[SYSTEM_SLOT] !== undefined) return [];
  const left = await strays(context, vm, config);
  const isLarge = ({ size }: Volume) =>
    size === undefined || size >= bytes(vm.machine.systemDisk) || vm.dataDisks.some((disk) => disk.bytes === size);
  if (left.length > 1 || left.some(isLarge))
    throw new Blocked(
      `${id(vm)} must not have volumes without a place on ${vm.storage}, and has ${list(left)}: more than a cut off command leaves, they may hold data. Give them their places (qm disk rescan --vmid ${vm.vmid}, then qm set ${vm.vmid} --SLOT VOLUME,OPTIONS), or remove what is worth nothing (pvesm free VOLUME)`,
    );
  return left.map((volume) => ['pvesm', 'free', volume.id]);
}

/** Growing works while the VM runs; shrinking never. */
async function grown(
  context: Context,
  vm: Vm,
  status: string,
  slot: string,
  value: string,
  wanted: number,
): Promise<Work | undefined> {
  const present = drive(value);
  const { size, volume } = present;
  if (size === undefined)
    throw new Blocked(
      `${slot} of ${id(vm)} must have a size in its settings, and has none: ${value}; qm disk rescan --vmid ${vm.vmid}`,
    );
  if (size === wanted) return undefined;
  if (size > wanted)
    throw new Blocked(
      `${slot} of ${id(vm)} cannot shrink: it has ${sizeText(size)}, homelab.ts says ${sizeText(wanted)}; say ${sizeText(size)} there`,
    );
  if (status !== 'stopped' && (await isPending(context, vm, slot)))
    throw new Blocked(
      `${slot} of ${id(vm)} must have no settings that wait for its next start, or its size cannot be told; first it needs a ${stopAndStart(vm)}`,
    );
  // Proxmox resizes the volume first and writes the size down last. Cut off between them, it does neither a second time.
  const all = await volumes(context, { host: vm.host, storage: volume.split(':')[0]! });
  const real = all.find((each) => each.id === volume)?.size ?? 0;
  if (real >= wanted)
    return {
      commands: [QM.set(vm.vmid, { [slot]: withOptions(present, {}) })],
      notes: [
        `${slot}: ${volume} has ${sizeText(real)}, and the settings say ${sizeText(size)}: they are told anew`,
        ...(status === 'stopped' ? [] : [`${vm.name} may see its size only after a stop and a start of the VM`]),
      ],
    };
  await assertRoom(context, vm);
  return {
    commands: [QM.resize(vm.vmid, slot, wanted)],
    notes: [
      `${slot}: ${sizeText(size)} -> ${sizeText(wanted)}; its file system grows with the next start of the machine`,
    ],
  };
}

async function isPending(context: Context, vm: Vm, slot: string): Promise<boolean> {
  const { stdout } = await context.commands.read(proxmox(context, vm.host), ['qm', 'pending', `${vm.vmid}`]);
  return stdout.split('\n').some((line) => line.startsWith(`new ${slot}: `));
}

/** One after the other; the second may ask. */
function both(first: Work | undefined, second: Work | undefined): Work | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return {
    ...second,
    commands: [...first.commands, ...second.commands],
    notes: [...(first.notes ?? []), ...(second.notes ?? [])],
  };
}

function changedOptions(vm: Vm, slot: string, value: string, options: string, status: string): Work | undefined {
  const present = drive(value);
  const changed = differences(present.options as Record<string, string>, optionsOf(options));
  if (changed.length === 0) return undefined;
  return {
    commands: [QM.set(vm.vmid, { [slot]: withOptions(present, optionsOf(options)) })],
    notes: changed.map((each) => line(`${slot}.`, each)),
    ...(status !== 'stopped' && {
      asks: [
        `${id(vm)} runs: ${slot} changes at its next ${stopAndStart(vm)}. Nothing is stopped now. Note the change?`,
      ],
    }),
  };
}

/** @throws Stop when two disks have the same serial */
function slotOf(config: Readonly<Record<string, string>>, serial: string): string | undefined {
  const slots = virtio(config).filter((slot) => drive(config[slot]!).options.serial === serial);
  if (slots.length > 1)
    throw new Blocked(`serial ${serial} must stand for one disk, and ${slots.join(' and ')} of ${config.name} have it`);
  return slots[0];
}

/** A disk with a serial that homelab.ts does not name could be the very one that is missing. */
function assertNoOtherSerial(vm: Vm, config: Readonly<Record<string, string>>, disk: DataDisk): void {
  const known = new Set(vm.dataDisks.map(({ serial }) => serial));
  const other = virtio(config).find((slot) => !known.has(drive(config[slot]!).options.serial ?? ''));
  if (other !== undefined)
    throw new Blocked(
      `${other} of ${id(vm)} must have a serial of homelab.ts, and has ${drive(config[other]!).options.serial ?? 'none'}, while the disk ${disk.serial} is missing. If it is that disk, say so: qm set ${vm.vmid} --${other} ${withOptions(drive(config[other]!), optionsOf(disk.options))}; if not, name it in dataDisks, or take it off`,
    );
}

/** A slot for each missing disk: that of a new machine where it is free, else the next that is. */
function freeSlots(vm: Vm, config: Readonly<Record<string, string>>, missing: readonly DataDisk[]): string[] {
  const taken = new Set(virtio(config));
  return missing.map((disk) => {
    const slots = [disk.slot, ...Array.from({ length: VIRTIO_SLOTS }, (_, index) => `virtio${index}`)];
    const free = slots.find((slot) => !taken.has(slot) && Number(slot.slice('virtio'.length)) < VIRTIO_SLOTS);
    if (free === undefined)
      throw new Blocked(`${id(vm)} has room for ${VIRTIO_SLOTS} data disks, and none for ${disk.serial}`);
    taken.add(free);
    return free;
  });
}

function virtio(config: Readonly<Record<string, string>>): string[] {
  return Object.keys(config).filter((key) => /^virtio\d+$/.test(key));
}

async function isEmpty(context: Context, vm: Vm, volume: Volume): Promise<boolean> {
  const place = proxmox(context, vm.host);
  const { stdout } = await context.commands.readScript(place, 'proxmox/volume-is-empty.sh', [volume.id]);
  return stdout.trim() === 'empty';
}

function isCloudInit({ id: volume }: Volume): boolean {
  return /[:/]vm-\d+-cloudinit(\.\w+)?$/.test(volume);
}

function list(all: readonly Volume[]): string {
  return all
    .map(({ id: volume, size }) => `${volume} (${size === undefined ? 'of unknown size' : sizeText(size)})`)
    .join(', ');
}
