import { bytes } from '../../../values/quantity';
import {
  CLOUD_INIT_SLOT,
  EFI_SLOT,
  NEW_DRIVE,
  sizeText,
  SYSTEM_SLOT,
  VIRTIO_SLOTS,
  type DataDisk,
  type Vm,
} from '../../../machines/vms';
import { differences, drive, line, optionsOf, withOptions } from '../../clients/proxmox/settings';
import type { Volume } from '../../clients/proxmox/storage';
import type { VmConfig } from '../../clients/proxmox/vm';
import { Blocked, NotReady } from '../../engine/problem';
import type { Action, Change, Step } from '../../engine/step';
import { imageIsThere } from '../images';
import { liveVm, stopAndStart, type LiveVm, type Subject } from './live';
import { assertRoom } from './room';

/**
 * The disks of a VM, a step each: `STORE:SIZE` allocates, so it is sent only for a slot that a look just before saw empty.
 * What a killed allocation left on the storage is freed while the VM has no system disk yet, and taken into use when it is
 * an empty data disk; anything else stops.
 */
export function diskSteps(subject: Subject): Step[] {
  const { name, machine, dataDisks } = subject.vm;
  return [
    step(subject, `UEFI variables of ${name}`, efi),
    step(subject, `system disk of ${name}`, system),
    step(subject, `system disk of ${name} has ${sizeText(bytes(machine.systemDisk))}`, systemSize),
    step(subject, `cloud-init drive of ${name}`, cloudInit),
    ...dataDisks.map((disk) => step(subject, `disk ${disk.serial} of ${name}`, (_, live) => data(subject, live, disk))),
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

/** Without the VM the plan shows what it will get. */
const NO_VM: LiveVm = { config: {}, status: 'stopped', leftover: false, shell: false };

type Planned = Promise<Change | undefined>;

function step(subject: Subject, title: string, plan: (subject: Subject, live: LiveVm) => Planned): Step {
  return { title, plan: async () => plan(subject, (await liveVm(subject)) ?? NO_VM) };
}

async function efi(subject: Subject, live: LiveVm): Planned {
  const { config } = live;
  if (config[EFI_SLOT] !== undefined) return undefined;
  const create = subject.client.set(NEW_DRIVE.efi(subject.vm));
  if (Object.keys(config).length === 0) return { actions: [create] };
  assertOff(subject, live, EFI_SLOT);
  await assertRoom(subject);
  return { actions: [...(await freed(subject, config)), create] };
}

async function system(subject: Subject, live: LiveVm): Planned {
  const { host, vm, client } = subject;
  const { config, status } = live;
  const present = config[SYSTEM_SLOT];
  if (present !== undefined) return changedOptions(subject, SYSTEM_SLOT, present, vm.systemOptions, status);
  if (vm.image === undefined)
    throw new Blocked(`${vm.name} must have a release that machines/pins.ts knows; see UBUNTU_IMAGES there`);
  const data = virtio(config)[0];
  if (data !== undefined)
    throw new Blocked(
      `${client.label} must have a system disk (${SYSTEM_SLOT}), as it has ${data}: ${config[data]}. No new one is made beside disks with data. Attach the old one:\n  qm set ${vm.vmid} --${SYSTEM_SLOT} VOLUME,${vm.systemOptions}`,
    );
  assertOff(subject, live, SYSTEM_SLOT);
  const create = client.set(NEW_DRIVE.system(vm));
  // The step before this one looks at the same.
  if (config[EFI_SLOT] === undefined) return { actions: [create] };
  if (!(await imageIsThere(host, vm)))
    throw new Blocked(
      `${vm.image} must be on ${vm.host} for ${client.label}, but it is not. To download it:\n  npm run bootstrap -- apply images`,
    );
  await assertRoom(subject);
  return { actions: [...(await freed(subject, config)), create] };
}

async function systemSize(subject: Subject, { config, status }: LiveVm): Planned {
  const present = config[SYSTEM_SLOT];
  if (present === undefined) throw new NotReady(`${subject.client.label} must have a system disk first`);
  return grown(subject, status, SYSTEM_SLOT, present, bytes(subject.vm.machine.systemDisk));
}

async function cloudInit(subject: Subject, live: LiveVm): Planned {
  const { host, vm, client } = subject;
  const { config } = live;
  if (config[CLOUD_INIT_SLOT] !== undefined) return undefined;
  assertOff(subject, live, CLOUD_INIT_SLOT);
  const create = client.set(NEW_DRIVE.cloudInit(vm));
  if (config[SYSTEM_SLOT] === undefined) return { actions: [create] };
  const left = (await host.disks.strays(vm.vmid, config)).find(isCloudInit);
  // Proxmox writes it at each start, so one that was left is as good as a new one.
  return { actions: [left ? client.set({ [CLOUD_INIT_SLOT]: `${left.id},media=cdrom` }) : create] };
}

async function data(subject: Subject, { config, status }: LiveVm, disk: DataDisk): Planned {
  const { host, vm, client } = subject;
  const present = slotOf(config, disk.serial);
  if (present !== undefined)
    return both(
      await grown(subject, status, present, config[present]!, disk.bytes),
      changedOptions(subject, present, config[present]!, disk.options, status),
    );
  // What is left on the storage is freed before there is a system disk.
  if (config[SYSTEM_SLOT] === undefined) return { actions: [client.set(NEW_DRIVE.data(vm, disk, disk.slot))] };
  assertNoOtherSerial(subject, config, disk);
  await assertRoom(subject);
  const missing = vm.dataDisks.filter(({ serial }) => slotOf(config, serial) === undefined);
  const slot = freeSlots(subject, config, missing)[missing.indexOf(disk)]!;
  const create = { actions: [client.set(NEW_DRIVE.data(vm, disk, slot))] };
  const left = (await host.disks.strays(vm.vmid, config)).filter((each) => !isCloudInit(each));
  const [first] = left;
  if (first === undefined) return create;
  if (left.length > 1 || first.size !== missing[0]!.bytes || !(await host.disks.isEmpty(first.id)))
    throw new Blocked(
      `${client.label} has volumes on ${vm.storage} that are not attached: ${list(left)}. They may hold data, so no new disk is made for ${disk.serial}. Attach one of them:
  qm set ${vm.vmid} --${slot} ${first.id},${disk.options}
or remove a volume that nobody needs:
  pvesm free VOLUME`,
    );
  // Disks are made in their order, so the one that was cut off is the first that is missing.
  if (disk !== missing[0]) return create;
  return {
    lines: [`${first.id} is empty, has the right size and is not attached: left by an interrupted allocation`],
    actions: [client.set({ [slot]: `${first.id},${disk.options}` })],
  };
}

/**
 * `onboot` starts a VM also before it has its disks, when the host boots meanwhile. What it needs to boot would then wait for
 * its next start, and look as if it was there.
 */
function assertOff({ vm, client }: Subject, { status }: LiveVm, slot: string): void {
  if (status !== 'stopped')
    throw new Blocked(
      `${client.label} must be stopped before it gets its ${slot}, but it is ${status}: it was started before it was finished. On ${vm.host}:
  qm stop ${vm.vmid} (if a system already works in it: qm shutdown ${vm.vmid})
Then run this again`,
    );
}

/**
 * Frees volumes before the system disk is made. A cut off command leaves one: of the UEFI variables, or a system disk as large
 * as its image. A VM that was lost leaves several, and its system disk has grown.
 */
async function freed({ host, vm, client }: Subject, config: VmConfig): Promise<readonly Action[]> {
  if (config[SYSTEM_SLOT] !== undefined) return [];
  const left = await host.disks.strays(vm.vmid, config);
  const isLarge = ({ size }: Volume) =>
    size === undefined || size >= bytes(vm.machine.systemDisk) || vm.dataDisks.some((disk) => disk.bytes === size);
  if (left.length > 1 || left.some(isLarge))
    throw new Blocked(
      `${client.label} has volumes on ${vm.storage} that are not attached: ${list(left)}. A cut off command leaves less, so they may hold data. Attach them:
  qm disk rescan --vmid ${vm.vmid}
  qm set ${vm.vmid} --SLOT VOLUME,OPTIONS
or remove a volume that nobody needs:
  pvesm free VOLUME`,
    );
  return left.map(({ id }) => host.disks.free(id));
}

/** Growing works while the VM runs; shrinking never. */
async function grown(
  { homelab, host, vm, client }: Subject,
  status: string,
  slot: string,
  value: string,
  wanted: number,
): Planned {
  const present = drive(value);
  const { size, volume } = present;
  if (size === undefined)
    throw new Blocked(
      `${slot} of ${client.label} must have a size in its settings, but it has none: ${value}. To write it there:\n  qm disk rescan --vmid ${vm.vmid}`,
    );
  if (size === wanted) return undefined;
  if (size > wanted)
    throw new Blocked(
      `${slot} of ${client.label} cannot shrink: it has ${sizeText(size)}, but homelab.ts says ${sizeText(wanted)}. Write ${sizeText(size)} there`,
    );
  if (status !== 'stopped' && (await client.isPending(slot)))
    throw new Blocked(
      `${slot} of ${client.label} has settings that wait for its next start, so its size cannot be read. First it needs a ${stopAndStart(vm)}`,
    );
  // Proxmox resizes the volume first and writes the size down last. Cut off between them, it does neither a second time.
  const all = await host.storage(volume.split(':')[0]!).volumes();
  const real = all.find(({ id }) => id === volume)?.size ?? 0;
  if (real >= wanted)
    return {
      lines: [
        `${slot}: ${volume} has ${sizeText(real)}, but the settings still say ${sizeText(size)}: they are written again`,
        ...(status === 'stopped' ? [] : [`${vm.name} may see the new size only after a stop and a start of the VM`]),
      ],
      actions: [client.set({ [slot]: withOptions(present, {}) })],
    };
  await assertRoom({ homelab, host });
  return {
    lines: [`${slot}: ${sizeText(size)} -> ${sizeText(wanted)}; its file system grows at the machine's next start`],
    actions: [client.resize(slot, wanted)],
  };
}

/** One after the other; the second may ask. */
function both(first: Change | undefined, second: Change | undefined): Change | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return {
    ...second,
    lines: [...(first.lines ?? []), ...(second.lines ?? [])],
    actions: [...(first.actions ?? []), ...(second.actions ?? [])],
  };
}

function changedOptions(
  { vm, client }: Subject,
  slot: string,
  value: string,
  options: string,
  status: string,
): Change | undefined {
  const present = drive(value);
  const changed = differences(present.options, optionsOf(options));
  if (changed.length === 0) return undefined;
  return {
    lines: changed.map((each) => line(`${slot}.`, each)),
    actions: [client.set({ [slot]: withOptions(present, optionsOf(options)) })],
    ...(status !== 'stopped' && {
      asks: [
        `${client.label} runs, so ${slot} changes at its next ${stopAndStart(vm)}. Nothing is stopped now. Change it?`,
      ],
    }),
  };
}

/** @throws Blocked when two disks have the same serial */
function slotOf(config: VmConfig, serial: string): string | undefined {
  const slots = virtio(config).filter((slot) => drive(config[slot]!).options.serial === serial);
  if (slots.length > 1)
    throw new Blocked(`serial ${serial} must belong to one disk, but ${slots.join(' and ')} of ${config.name} have it`);
  return slots[0];
}

/** A disk with a serial that homelab.ts does not name could be the very one that is missing. */
function assertNoOtherSerial({ vm, client }: Subject, config: VmConfig, disk: DataDisk): void {
  const known = new Set(vm.dataDisks.map(({ serial }) => serial));
  const other = virtio(config).find((slot) => !known.has(drive(config[slot]!).options.serial ?? ''));
  if (other === undefined) return;
  const present = drive(config[other]!);
  throw new Blocked(
    `${other} of ${client.label} must have a serial of homelab.ts, but it has ${present.options.serial ?? 'none'}, and the disk ${disk.serial} is missing. If it is that disk, say so:
  qm set ${vm.vmid} --${other} ${withOptions(present, optionsOf(disk.options))}
If not, name it in dataDisks, or detach it`,
  );
}

/** A slot for each missing disk: that of a new machine where it is free, else the next that is. */
function freeSlots({ client }: Subject, config: VmConfig, missing: readonly DataDisk[]): string[] {
  const taken = new Set(virtio(config));
  return missing.map((disk) => {
    const slots = [disk.slot, ...Array.from({ length: VIRTIO_SLOTS }, (_, index) => `virtio${index}`)];
    const free = slots.find((slot) => !taken.has(slot) && Number(slot.slice('virtio'.length)) < VIRTIO_SLOTS);
    if (free === undefined)
      throw new Blocked(`${client.label} can have ${VIRTIO_SLOTS} data disks, so none is left for ${disk.serial}`);
    taken.add(free);
    return free;
  });
}

function virtio(config: VmConfig): string[] {
  return Object.keys(config).filter((key) => /^virtio\d+$/.test(key));
}

function isCloudInit({ id }: Volume): boolean {
  return /[:/]vm-\d+-cloudinit(\.\w+)?$/.test(id);
}

function list(all: readonly Volume[]): string {
  return all.map(({ id, size }) => `${id} (${size === undefined ? 'of unknown size' : sizeText(size)})`).join(', ');
}
