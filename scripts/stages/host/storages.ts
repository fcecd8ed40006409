import { diskTaken, machinesOf, proxmoxSettings, SHARE_OF_STORAGE, type Homelab } from '../../../inventory';
import { bad, good, warning, type Finding } from '../../engine/findings';
import { roomForImages } from '../../../machines/images';
import type { StorageFacts, StorageSpace } from '../../clients/proxmox/storage';
import { gib, GIB, sum } from '../../../values/quantity';

interface Subject {
  readonly homelab: Homelab;
  readonly name: string;
  readonly facts: StorageSpace;
}

/** A thin pool that runs full takes every disk on it down. */
const WARN = 70;
const FULL = 85;
/** These hold no files. */
const BLOCKS = ['lvm', 'lvmthin', 'zfspool', 'zfs', 'rbd', 'iscsi', 'iscsidirect'];

/** The storages that the inventory names, and how full they are. */
export function storages(subject: Subject): Finding[] {
  const { files } = proxmoxSettings(subject.homelab, subject.name);
  return [storageForDisks(subject), named(subject, 'files', files, (what, found) => forFiles(what, subject, found))];
}

/** The storage for disks, and whether all of them fit. */
export function diskRoom(subject: Subject): Finding[] {
  return [storageForDisks(subject), ...disks(subject)];
}

function storageForDisks(subject: Subject): Finding {
  const { storage } = proxmoxSettings(subject.homelab, subject.name);
  return named(subject, 'storage', storage, (what, found) => forDisks(what, subject, found));
}

/** A storage that is there and active. */
function named(
  { name, facts: { storages } }: Subject,
  field: 'storage' | 'files',
  wanted: string,
  check: (what: string, storage: StorageFacts) => Finding,
): Finding {
  const what = `${name} has the storage ${wanted}`;
  const storage = storages.find((each) => each.name === wanted);
  if (storage === undefined) {
    const saw = `its storages: ${storages.map((each) => each.name).join(', ') || 'none'}`;
    return bad(what, saw, `correct hosts.${name}.${field}`);
  }
  if (!storage.active) return bad(what, 'it is not active', `pvesm status --storage ${wanted} on it`);
  return check(what, storage);
}

function forDisks(what: string, { facts: { pools } }: Subject, storage: StorageFacts): Finding {
  const { content, total, used } = storage;
  if (!content.includes('images')) {
    const fix = `pvesm set ${storage.name} --content ${[...content, 'images'].join(',')}`;
    return bad(what, `its content is ${content.join(',') || 'nothing'}`, fix);
  }
  const pool = storage.pool === undefined ? undefined : pools[storage.pool];
  const levels = pool ? { data: pool.data, metadata: pool.metadata } : total > 0 ? { data: (used / total) * 100 } : {};
  const shown = Object.entries(levels).map(([kind, level]) => `${kind} ${level.toFixed(0)} % full`);
  const saw = `${gib(total)}, ${shown.join(', ')}`;
  const highest = Math.max(0, ...Object.values(levels));
  const fix = pool
    ? `free or add space: lvextend for data, lvextend --poolmetadatasize for metadata of ${storage.pool}`
    : 'free or add space';
  return highest >= FULL ? bad(what, saw, fix) : highest >= WARN ? warning(what, saw, fix) : good(what, saw);
}

function forFiles(what: string, { homelab, name }: Subject, { type, free }: StorageFacts): Finding {
  if (BLOCKS.includes(type)) return bad(what, `it is of type ${type}`, 'name a storage of files, such as local');
  const saw = `${gib(free)} are free`;
  if (free < GIB) return bad(what, saw, 'make room: old images and backups');
  const machines = machinesOf(homelab, name).map(([, machine]) => machine);
  const needed = roomForImages(homelab, machines);
  if (free >= needed) return good(what, saw);
  return warning(what, saw, `images that are not there yet need up to ${gib(needed)}: remove what is old`);
}

/** Whether all disks that were and will be made can be full. */
export function disks({ homelab, name, facts }: Subject): Finding[] {
  const { storage } = proxmoxSettings(homelab, name);
  const total = facts.storages.find((each) => each.name === storage)?.total ?? 0;
  if (total === 0) return [];
  const machines = machinesOf(homelab, name);
  const numbers = new Set(machines.map(([, { vmid }]) => vmid));
  const ours = machines.map(([, machine]) => diskTaken(machine));
  const others = facts.volumes.filter(({ vmid }) => vmid === undefined || !numbers.has(vmid));
  const needed = sum(ours) + sum(others.map(({ size }) => size ?? 0));
  const what = `the disks of ${name} fit into ${SHARE_OF_STORAGE * 100} % of ${storage}`;
  const saw = `${gib(needed)} of ${gib(total * SHARE_OF_STORAGE)}${others.length > 0 ? `, ${others.length} volumes of others included` : ''}`;
  return [
    needed <= total * SHARE_OF_STORAGE ? good(what, saw) : bad(what, saw, 'make disks smaller, or the storage larger'),
  ];
}
