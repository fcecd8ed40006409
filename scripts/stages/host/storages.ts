import { diskTaken, machinesOf, proxmoxSettings, SHARE_OF_STORAGE } from '../../../inventory';
import { bad, good, warning, type Finding } from '../../engine/findings';
import { roomForImages } from '../../../machines/images';
import type { StorageFacts } from '../../clients/proxmox/storage';
import type { Subject } from './subject';
import { gib, GIB, sum } from '../../../values/quantity';

/** A thin pool that runs full takes every disk on it down. */
const WARN = 70;
const FULL = 85;
/** These hold no files. */
const BLOCKS = ['lvm', 'lvmthin', 'zfspool', 'zfs', 'rbd', 'iscsi', 'iscsidirect'];

/** The storages that the inventory names, and how full they are. */
export function storages(subject: Subject): Finding[] {
  const { storage, files } = proxmoxSettings(subject.homelab, subject.name);
  return [
    ...oneStorage(subject, 'storage', storage, ({ content }) =>
      content.includes('images')
        ? undefined
        : [
            `its content is ${content.join(',') || 'nothing'}`,
            `pvesm set ${storage} --content ${[...content, 'images'].join(',')}`,
          ],
    ),
    ...oneStorage(subject, 'files', files, ({ type, free }) =>
      BLOCKS.includes(type)
        ? [`it is of type ${type}`, `name a storage of files, such as local`]
        : free < GIB
          ? [`${gib(free)} are free`, 'make room: old images and backups']
          : undefined,
    ),
  ];
}

function oneStorage(
  { homelab, name, facts: { storages, pools } }: Subject,
  field: 'storage' | 'files',
  wanted: string,
  wrong: (storage: StorageFacts) => readonly [string, string] | undefined,
): Finding[] {
  const what = `${name} has the storage ${wanted}`;
  const storage = storages.find((each) => each.name === wanted);
  if (storage === undefined)
    return [
      bad(
        what,
        `its storages: ${storages.map((each) => each.name).join(', ') || 'none'}`,
        `correct hosts.${name}.${field}`,
      ),
    ];
  if (!storage.active) return [bad(what, 'it is not active', `pvesm status --storage ${wanted} on it`)];
  const problem = wrong(storage);
  if (problem) return [bad(what, ...problem)];
  if (field === 'files') {
    const machines = machinesOf(homelab, name).map(([, machine]) => machine);
    const needed = roomForImages(homelab, machines);
    const saw = `${gib(storage.free)} are free`;
    return [
      storage.free < needed
        ? warning(what, saw, `images that are not there yet need up to ${gib(needed)}: remove what is old`)
        : good(what, saw),
    ];
  }
  const pool = storage.pool === undefined ? undefined : pools[storage.pool];
  const levels: [string, number][] = pool
    ? [
        ['data', pool.data],
        ['metadata', pool.metadata],
      ]
    : storage.total > 0
      ? [['data', (storage.used / storage.total) * 100]]
      : [];
  const saw = `${gib(storage.total)}, ${levels.map(([kind, level]) => `${kind} ${level.toFixed(0)} % full`).join(', ')}`;
  const highest = Math.max(0, ...levels.map(([, level]) => level));
  const fix = pool
    ? `free or add space: lvextend for data, lvextend --poolmetadatasize for metadata of ${storage.pool}`
    : 'free or add space';
  return [highest >= FULL ? bad(what, saw, fix) : highest >= WARN ? warning(what, saw, fix) : good(what, saw)];
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
