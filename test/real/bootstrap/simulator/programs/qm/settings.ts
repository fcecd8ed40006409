import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { parseProperties } from '../../command-line';
import type { Vm } from '../../state';
import { free } from '../../storage';
import { Failure } from '../program';
import type { QmCall } from './call';
import { DRIVE, digestOf, fileOf, isCdrom, print, withPending } from './config';
import { detach, drive } from './drives';
import { start } from './power';

/** The order in which Proxmox makes disks. */
const DRIVES = ['ide', 'scsi', 'virtio', 'sata', 'efidisk', 'tpmstate'];
/** Options of a call that are no part of a VM. */
const NOT_CONFIG = ['delete', 'revert', 'force', 'digest', 'skiplock', 'start', 'unique', 'storage', 'pool', 'bwlimit'];
/** What a running VM takes at once, besides its disks and cards. */
const AT_ONCE =
  /^(lock|name|onboot|shares|startup|description|protection|vmstatestorage|hookscript|tags|ci\w+|ipconfig\d+|sshkeys|nameserver|searchdomain)$/;

export function create(call: QmCall): void {
  const existing = call.state.vms[call.vmid];
  // After a cut the rest of the same call finds its own beginning.
  const begun = call.context.call.intercepted === 'during' && existing && Object.keys(existing.config).length === 1;
  if (existing && !begun)
    throw new Failure(
      `unable to create VM ${call.vmid} - VM ${call.vmid} already exists on node '${call.state.host.name}'`,
      255,
    );
  const vm: Vm = { config: {}, pending: {} };
  call.state.vms[call.vmid] = vm;
  vm.config.meta = `creation-qemu=10.1.2,ctime=${Math.floor(Date.now() / 1000)}`;
  vm.config.smbios1 = `uuid=${randomUUID()}`;
  vm.config.vmgenid = randomUUID();
  change(call, vm, settings(call));
  if (!vm.config.boot) {
    const first = Object.keys(vm.config).find(
      (key) => /^(scsi|virtio|sata|ide)\d/.test(key) && !isCdrom(vm.config[key]!),
    );
    if (first) vm.config.boot = `order=${first}`;
  }
  if (call.options.start === '1') start(call);
}

export function set(call: QmCall, vm: Vm): void {
  const given = settings(call);
  const { delete: deletions, revert, digest, force } = call.options;
  if (Object.keys(given).length === 0 && !deletions && !revert) throw new Failure('no options specified', 255);
  call.unlocked();
  if (digest && digest !== digestOf(vm)) throw new Failure('checksum mismatch (file change by other user?)', 255);
  const all: Record<string, string> = {
    ...given,
    ...(deletions && { delete: deletions }),
    ...(force && { force }),
  };
  call.out += `update VM ${call.vmid}: ${Object.keys(all)
    .sort()
    .map((key) => `-${key} ${key === 'cipassword' ? '<hidden>' : all[key]}`)
    .join(' ')}\n`;
  for (const key of (revert ?? '').split(/[,; ]+/).filter(Boolean)) Reflect.deleteProperty(vm.pending, key);
  for (const key of (deletions ?? '').split(/[,; ]+/).filter(Boolean)) remove(call, vm, key);
  change(call, vm, given);
}

function settings(call: QmCall): Record<string, string> {
  const settings = Object.fromEntries(Object.entries(call.options).filter(([key]) => !NOT_CONFIG.includes(key)));
  if (settings.sshkeys) {
    const file = call.context.path(settings.sshkeys);
    if (!fs.existsSync(file)) throw new Failure(`can't open '${settings.sshkeys}' - No such file or directory`, 2);
    settings.sshkeys = encodeURIComponent(fs.readFileSync(file, 'utf8'));
  }
  return settings;
}

function change(call: QmCall, vm: Vm, settings: Readonly<Record<string, string>>): void {
  const place = (key: string) => DRIVES.findIndex((kind) => new RegExp(`^${kind}\\d`).test(key));
  const keys = Object.keys(settings).sort((a, b) => place(a) - place(b) || a.localeCompare(b, 'en', { numeric: true }));
  for (const key of keys) {
    const given = settings[key]!;
    if (!DRIVE.test(key)) put(call, vm, key, /^net\d/.test(key) ? card(given) : given);
    else put(call, vm, key, drive(call, vm, key, given));
  }
  const order = settings.boot && parseProperties(settings.boot, 'legacy').order;
  for (const device of order ? order.split(';') : [])
    if (withPending(vm)[device] === undefined)
      throw new Failure(`invalid bootorder: device '${device}' does not exist'`, 255);
}

/** At once, or with the next start when the guest cannot take it while it runs. */
function put(call: QmCall, vm: Vm, key: string, value: string): void {
  const plugged = /^(scsi|virtio|net)\d/.test(key);
  if (vm.startedAt !== undefined && !plugged && !AT_ONCE.test(key)) {
    if (vm.config[key] !== value) vm.pending[key] = value;
    return;
  }
  detach(call, vm, key, value);
  vm.config[key] = value;
  Reflect.deleteProperty(vm.pending, key);
}

function remove(call: QmCall, vm: Vm, key: string): void {
  const value = withPending(vm)[key];
  if (value === undefined) {
    call.context.write({ stderr: `cannot delete '${key}' - not set in current configuration!\n` });
    return;
  }
  if (/^unused\d+$/.test(key)) {
    call.unprotected(vm, `can't remove unused disk '${value}'`);
    free(call.state, value);
    call.out += `  Logical volume "${value.split(':')[1]}" successfully removed.\n`;
  } else if (DRIVE.test(key)) {
    call.unprotected(vm, `can't remove drive '${key}'`);
    if (call.options.force === '1') free(call.state, fileOf(value));
    else if (vm.startedAt === undefined || /^(scsi|virtio)/.test(key)) detach(call, vm, key);
  }
  const waits = vm.startedAt !== undefined && !AT_ONCE.test(key) && !/^(unused|scsi|virtio|net)\d/.test(key);
  if (waits) vm.pending[key] = null;
  else {
    Reflect.deleteProperty(vm.config, key);
    Reflect.deleteProperty(vm.pending, key);
  }
}

/** A network card as Proxmox prints it: model and address in one, then the rest by name. */
function card(given: string): string {
  const { model: named, macaddr: address, ...rest } = parseProperties(given, 'model');
  const short = Object.keys(rest).find((key) => /^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/.test(rest[key]!));
  const model = short ?? named!;
  const mac =
    (short && rest[short]) ?? address ?? `BC:24:11:${randomUUID().slice(0, 6).toUpperCase().match(/../g)!.join(':')}`;
  if (short) Reflect.deleteProperty(rest, short);
  return print({ file: `${model}=${mac}`, ...rest });
}

export function unlink(call: QmCall): void {
  const vm = call.unlocked();
  if (!call.options.idlist)
    throw new Failure(
      '400 Parameter verification failed.\nidlist: property is missing and it is not optional\nqm disk unlink <vmid> --idlist <string> [OPTIONS]',
      255,
    );
  call.out += `update VM ${call.vmid}: -delete ${call.options.idlist}\n`;
  for (const slot of call.options.idlist.split(/[,; ]+/)) remove(call, vm, slot);
}
