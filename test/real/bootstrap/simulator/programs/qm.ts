import { createHash, randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { parseProperties, proxmoxCommand } from '../command-line';
import { hasGuest, startVm, stopVm, TICK_OF_A_GUEST } from '../life';
import type { Simulation } from '../simulation';
import type { State, Vm } from '../state';
import {
  allocate,
  formatSize,
  free,
  imagesStorage,
  importImage,
  parseSize,
  readImage,
  readVolumeFile,
  storageOf,
} from '../storage';
import { inItsTask } from './pvesm';
import { Failure, program, Unexpected, type Context } from './program';

type Options = Readonly<Record<string, string>>;

const DRIVE = /^(?:ide|scsi|virtio|sata|efidisk|tpmstate)\d+$/;
/** The order in which Proxmox makes disks. */
const DRIVES = ['ide', 'scsi', 'virtio', 'sata', 'efidisk', 'tpmstate'];
const NEW_DISK = /^(?:([^:\s]+):)?(\d+(?:\.\d+)?)$/;
/** Options of a call that are no part of a VM. */
const NOT_CONFIG = ['delete', 'revert', 'force', 'digest', 'skiplock', 'start', 'unique', 'storage', 'pool', 'bwlimit'];
/** What a running VM takes at once, besides its disks and cards. */
const AT_ONCE =
  /^(lock|name|onboot|shares|startup|description|protection|vmstatestorage|hookscript|tags|ci\w+|ipconfig\d+|sshkeys|nameserver|searchdomain)$/;

export const qm = [
  program(
    ['proxmox'],
    ['qm'],
    async (context) => {
      const { command, positional, options } = proxmoxCommand('qm', context.call.argv);
      const before = structuredClone(context.state.vms);
      const volumes = structuredClone(context.state.volumes);
      try {
        const stdout = await new Qm(context, Number(positional[0]), options).run(command, positional);
        // kvm, which runs on.
        return { stdout, leaves: command === 'start' };
      } catch (error) {
        if (command === 'disk resize' && error instanceof Failure) return inItsTask(error.message);
        // Proxmox frees what a failed call has made.
        if (['create', 'set', 'disk import'].includes(command)) Object.assign(context.state, { vms: before, volumes });
        throw error;
      } finally {
        writeConfigs(context.simulation);
      }
    },
    ({ call, state, simulation }) => {
      const { command, positional } = proxmoxCommand('qm', call.argv);
      if (command === 'create') state.vms[positional[0]!] ??= { config: { lock: 'create' }, pending: {} };
      if (command === 'destroy' && state.vms[positional[0]!]) state.vms[positional[0]!]!.config.lock = 'destroyed';
      writeConfigs(simulation);
    },
  ),
];

class Qm {
  private readonly state: State;
  private out = '';

  constructor(
    private readonly context: Context,
    private readonly vmid: number,
    private readonly options: Options,
  ) {
    this.state = context.state;
  }

  async run(command: string, positional: readonly string[]): Promise<string> {
    const { simulation } = this.context;
    switch (command) {
      case 'list':
        return this.list();
      case 'create':
        this.create();
        break;
      case 'set':
        this.set(this.vm());
        break;
      case 'config':
        return text(this.options.current === '1' ? this.vm().config : withPending(this.vm()));
      case 'pending':
        return this.pending();
      case 'status':
        return this.status();
      case 'start':
        this.start();
        break;
      case 'stop':
        this.unlocked();
        stopVm(simulation, this.vmid);
        break;
      case 'shutdown':
        await this.shutdown(this.options.timeout, this.options.forceStop === '1');
        break;
      case 'reboot':
        if (this.vm().startedAt === undefined) throw new Failure(`VM ${this.vmid} not running`, 255);
        await this.shutdown(this.options.timeout, false);
        this.start();
        break;
      case 'wait':
        return this.wait();
      case 'destroy':
        this.destroy();
        break;
      case 'unlock':
        delete this.vm().config.lock;
        break;
      case 'disk import':
        this.importDisk(positional[1]!, positional[2]!);
        break;
      case 'disk resize':
        this.resize(positional[1]!, positional[2]!);
        break;
      case 'disk unlink':
        this.unlink();
        break;
      case 'disk rescan':
        return 'rescan volumes...\n';
      case 'cloudinit update':
        for (const id of customSnippets(this.vm())) readVolumeFile(simulation, id);
        return 'generating cloud-init ISO\n';
      case 'cloudinit dump':
        return this.dump(positional[1]!);
      case 'showcmd':
        return `/usr/bin/kvm -id ${this.vmid} -name '${this.vm().config.name}' ...\n`;
      case 'guest cmd':
        return this.guest(positional[1]!);
      default:
        throw new Unexpected('no such subcommand');
    }
    return this.out;
  }

  private vm(): Vm {
    const vm = this.state.vms[this.vmid];
    if (vm) return vm;
    const path = `nodes/${this.state.host.name}/qemu-server/${this.vmid}.conf`;
    throw new Failure(`Configuration file '${path}' does not exist`, 2);
  }

  private unlocked(): Vm {
    const vm = this.vm();
    if (vm.config.lock && this.options.skiplock !== '1') throw new Failure(`VM is locked (${vm.config.lock})`, 255);
    return vm;
  }

  private unprotected(vm: Vm, what: string): void {
    if (vm.config.protection === '1') throw new Failure(`${what} - protection mode enabled`, 255);
  }

  private create(): void {
    const existing = this.state.vms[this.vmid];
    // After a cut the rest of the same call finds its own beginning.
    const begun = this.context.call.intercepted === 'during' && existing && Object.keys(existing.config).length === 1;
    if (existing && !begun)
      throw new Failure(
        `unable to create VM ${this.vmid} - VM ${this.vmid} already exists on node '${this.state.host.name}'`,
        255,
      );
    const vm: Vm = { config: {}, pending: {} };
    this.state.vms[this.vmid] = vm;
    vm.config.meta = `creation-qemu=10.1.2,ctime=${Math.floor(Date.now() / 1000)}`;
    vm.config.smbios1 = `uuid=${randomUUID()}`;
    vm.config.vmgenid = randomUUID();
    this.change(vm, this.settings());
    if (!vm.config.boot) {
      const first = Object.keys(vm.config).find(
        (key) => /^(scsi|virtio|sata|ide)\d/.test(key) && !isCdrom(vm.config[key]!),
      );
      if (first) vm.config.boot = `order=${first}`;
    }
    if (this.options.start === '1') this.start();
  }

  private set(vm: Vm): void {
    const settings = this.settings();
    const { delete: deletions, revert, digest, force } = this.options;
    if (Object.keys(settings).length === 0 && !deletions && !revert) throw new Failure('no options specified', 255);
    this.unlocked();
    if (digest && digest !== digestOf(vm)) throw new Failure('checksum mismatch (file change by other user?)', 255);
    const all: Record<string, string> = {
      ...settings,
      ...(deletions && { delete: deletions }),
      ...(force && { force }),
    };
    this.out += `update VM ${this.vmid}: ${Object.keys(all)
      .sort()
      .map((key) => `-${key} ${key === 'cipassword' ? '<hidden>' : all[key]}`)
      .join(' ')}\n`;
    for (const key of (revert ?? '').split(/[,; ]+/).filter(Boolean)) Reflect.deleteProperty(vm.pending, key);
    for (const key of (deletions ?? '').split(/[,; ]+/).filter(Boolean)) this.delete(vm, key);
    this.change(vm, settings);
  }

  private settings(): Record<string, string> {
    const settings = Object.fromEntries(Object.entries(this.options).filter(([key]) => !NOT_CONFIG.includes(key)));
    if (settings.sshkeys) {
      const file = this.context.path(settings.sshkeys);
      if (!fs.existsSync(file)) throw new Failure(`can't open '${settings.sshkeys}' - No such file or directory`, 2);
      settings.sshkeys = encodeURIComponent(fs.readFileSync(file, 'utf8'));
    }
    return settings;
  }

  private change(vm: Vm, settings: Readonly<Record<string, string>>): void {
    const place = (key: string) => DRIVES.findIndex((kind) => new RegExp(`^${kind}\\d`).test(key));
    const keys = Object.keys(settings).sort(
      (a, b) => place(a) - place(b) || a.localeCompare(b, 'en', { numeric: true }),
    );
    for (const key of keys) {
      const given = settings[key]!;
      if (!DRIVE.test(key)) this.put(vm, key, /^net\d/.test(key) ? card(given) : given);
      else this.put(vm, key, this.drive(vm, key, given));
    }
    const order = settings.boot && parseProperties(settings.boot, 'legacy').order;
    for (const device of order ? order.split(';') : [])
      if (withPending(vm)[device] === undefined)
        throw new Failure(`invalid bootorder: device '${device}' does not exist'`, 255);
  }

  /** At once, or with the next start when the guest cannot take it while it runs. */
  private put(vm: Vm, key: string, value: string): void {
    const plugged = /^(scsi|virtio|net)\d/.test(key);
    if (vm.startedAt !== undefined && !plugged && !AT_ONCE.test(key)) {
      if (vm.config[key] !== value) vm.pending[key] = value;
      return;
    }
    this.detach(vm, key, value);
    vm.config[key] = value;
    Reflect.deleteProperty(vm.pending, key);
  }

  /** What was in a slot of disks becomes unused, unless it stays in it. */
  private detach(vm: Vm, key: string, next?: string): void {
    const old = vm.config[key];
    if (!DRIVE.test(key) || old === undefined || (next !== undefined && fileOf(next) === fileOf(old))) return;
    if (isCdrom(old)) {
      if (fileOf(old).endsWith('-cloudinit')) free(this.state, fileOf(old));
      return;
    }
    let number = 0;
    while (vm.config[`unused${number}`] !== undefined) number++;
    vm.config[`unused${number}`] = fileOf(old);
  }

  private delete(vm: Vm, key: string): void {
    const value = withPending(vm)[key];
    if (value === undefined) {
      this.context.write({ stderr: `cannot delete '${key}' - not set in current configuration!\n` });
      return;
    }
    if (/^unused\d+$/.test(key)) {
      this.unprotected(vm, `can't remove unused disk '${value}'`);
      free(this.state, value);
      this.out += `  Logical volume "${value.split(':')[1]}" successfully removed.\n`;
    } else if (DRIVE.test(key)) {
      this.unprotected(vm, `can't remove drive '${key}'`);
      if (this.options.force === '1') free(this.state, fileOf(value));
      else if (vm.startedAt === undefined || /^(scsi|virtio)/.test(key)) this.detach(vm, key);
    }
    const waits = vm.startedAt !== undefined && !AT_ONCE.test(key) && !/^(unused|scsi|virtio|net)\d/.test(key);
    if (waits) vm.pending[key] = null;
    else {
      Reflect.deleteProperty(vm.config, key);
      Reflect.deleteProperty(vm.pending, key);
    }
  }

  /** The drive as it stands in the configuration, with what had to be made for it. */
  private drive(vm: Vm, key: string, given: string): string {
    const properties = parseProperties(given, 'file');
    const { file = '', 'import-from': source } = properties;
    if (['none', 'cdrom'].includes(file)) return print(properties);
    const [, storage, gigabytes] = NEW_DISK.exec(file) ?? [];
    const named = /^(?:([^:]+):)?cloudinit$/.exec(file);
    if (source !== undefined && (gigabytes === undefined || Number(gigabytes) !== 0))
      throw new Failure(
        `400 Parameter verification failed.\n${key}: 'import-from' requires special syntax - use <storage ID>:0,import-from=<source>`,
        255,
      );
    if (named) {
      const other = Object.entries(withPending(vm)).find(([, value]) => /-cloudinit(,|$)/.test(value));
      if (other) throw new Failure(`${key} - cloud-init drive is already attached at '${other[0]}'`, 255);
      properties.file = allocate(this.state, named[1]!, this.vmid, 4 * 2 ** 20, `vm-${this.vmid}-cloudinit`);
      properties.media = 'cdrom';
    } else if (gigabytes !== undefined) {
      if (storage === undefined) throw new Failure('no storage ID specified (and no default storage)', 255);
      imagesStorage(this.state, storage);
      const image = source === undefined ? undefined : readImage(this.context.simulation, source);
      const size = image?.size ?? (key === 'efidisk0' ? 4 * 2 ** 20 : Number(gigabytes) * 2 ** 30);
      if (size === 0) throw new Failure(`${key}: a disk must have a size`, 255);
      properties.file = allocate(this.state, storage, this.vmid, size);
      this.out += `  Logical volume "${properties.file.split(':')[1]}" created.\n`;
      if (image) {
        importImage(this.state, properties.file, image);
        this.out += `transferred ${size} B of ${size} B (100.00%)\n`;
      }
      properties.size = formatSize(size);
      delete properties['import-from'];
      delete properties.format;
    } else {
      const volume = this.state.volumes[file];
      if (volume === undefined) readVolumeFile(this.context.simulation, file);
      else properties.size = formatSize(volume.size);
      const user = Object.entries(withPending(vm)).find(
        ([slot, value]) => slot !== key && !slot.startsWith('unused') && fileOf(value) === file,
      );
      if (volume && user) throw new Failure(`volume '${file}' is already used by '${user[0]}'`, 255);
      // A volume that was unused has a place again.
      for (const [slot, value] of Object.entries(vm.config))
        if (/^unused\d+$/.test(slot) && value === file) Reflect.deleteProperty(vm.config, slot);
      return print(properties);
    }
    this.out += `${key}: successfully created disk '${print(properties)}'\n`;
    return print(properties);
  }

  private start(): void {
    const vm = this.unlocked();
    if (vm.startedAt !== undefined) throw new Failure(`VM ${this.vmid} already running`, 255);
    const { simulation } = this.context;
    const config = withPending(vm);
    for (const id of customSnippets(vm)) readVolumeFile(simulation, id);
    for (const [key, value] of Object.entries(config)) {
      if (DRIVE.test(key) && /:(iso|import)\//.test(fileOf(value))) readVolumeFile(simulation, fileOf(value));
      if (/^hostpci\d/.test(key)) this.checkDevice(value);
    }
    for (const [key, value] of Object.entries(vm.pending)) {
      this.detach(vm, key, value ?? undefined);
      if (value === null) Reflect.deleteProperty(vm.config, key);
      else vm.config[key] = value;
    }
    vm.pending = {};
    startVm(simulation, this.vmid);
  }

  private checkDevice(value: string): void {
    const { host, romfile } = parseProperties(value, 'host');
    const slot = host && (host.length <= 7 ? `0000:${host}` : host);
    if (slot && !this.state.host.pci.some((device) => device.slot === slot || device.slot.startsWith(`${slot}.`)))
      throw new Failure(`no PCI device found for '${host}'`, 255);
    const other = Object.entries(this.state.vms).find(
      ([vmid, vm]) =>
        vmid !== String(this.vmid) &&
        vm.startedAt !== undefined &&
        Object.entries(vm.started ?? {}).some(
          ([key, each]) => /^hostpci\d/.test(key) && parseProperties(each, 'host').host === host,
        ),
    );
    if (other) throw new Failure(`PCI device '${slot}' already in use by VMID '${other[0]}'`, 255);
    if (romfile && !fs.existsSync(this.context.path(`/usr/share/kvm/${romfile}`)))
      throw new Failure(
        `start failed: QEMU exited with code 1\nkvm: -device vfio-pci,...: failed to find romfile "/usr/share/kvm/${romfile}"`,
        255,
      );
  }

  private async shutdown(timeout: string | undefined, force: boolean): Promise<void> {
    const vm = this.unlocked();
    if (vm.startedAt === undefined) return;
    const down = vm.config.startup && parseProperties(vm.config.startup, 'order').down;
    const limit = Number(timeout ?? down ?? 60);
    // Only an operating system hears the power button.
    const needed = hasGuest(this.state, this.vmid) ? (vm.shutdownSeconds ?? 10) : Infinity;
    await new Promise((done) => setTimeout(done, TICK_OF_A_GUEST));
    this.state.slept += Math.min(needed, limit);
    if (needed >= limit && !force) throw new Failure('VM quit/powerdown failed - got timeout', 255);
    if (needed >= limit) this.context.write({ stderr: 'VM still running - terminating now with SIGTERM\n' });
    else await this.context.simulation.options.onShutdown?.(vm.config.name ?? '');
    stopVm(this.context.simulation, this.vmid);
  }

  private async wait(): Promise<string> {
    const vm = this.vm();
    if (vm.startedAt === undefined) return '';
    const until = Date.now() + Math.min(Number(this.options.timeout ?? Infinity) * 10, 2_000);
    while (vm.startedAt !== undefined && Date.now() < until) await new Promise((done) => setTimeout(done, 10));
    if (vm.startedAt !== undefined) throw new Failure('timeout', 255);
    return `waiting until VM ${this.vmid} stops (PID 1000)\n`;
  }

  private destroy(): void {
    const vm = this.vm();
    this.unprotected(vm, `can't remove VM ${this.vmid}`);
    if (vm.startedAt !== undefined) throw new Failure(`VM ${this.vmid} is running - destroy failed`, 255);
    if (vm.config.lock !== 'destroyed') this.unlocked();
    const owned = Object.values(withPending(vm)).map(fileOf);
    for (const id of Object.keys(this.state.volumes)) {
      const mine = this.state.volumes[id]!.vmid === this.vmid;
      if (!mine || !(owned.includes(id) || this.options['destroy-unreferenced-disks'] === '1')) continue;
      free(this.state, id);
      this.out += `  Logical volume "${id.split(':')[1]}" successfully removed.\n`;
    }
    if (this.options.purge === '1') this.out += `purging VM ${this.vmid} from related configurations..\n`;
    Reflect.deleteProperty(this.state.vms, this.vmid);
  }

  private importDisk(source: string, storage: string): void {
    const vm = this.unlocked();
    storageOf(this.state, storage);
    const image = readImage(this.context.simulation, source);
    imagesStorage(this.state, storage);
    const id = allocate(this.state, storage, this.vmid, image.size);
    importImage(this.state, id, image);
    const target = this.options['target-disk'];
    let slot = target && DRIVE.test(target) ? target : undefined;
    if (slot && vm.config[slot]) throw new Failure(`cowardly refusing to overwrite existing entry: ${slot}`, 255);
    for (let number = 0; !slot; number++) if (vm.config[`unused${number}`] === undefined) slot = `unused${number}`;
    vm.config[slot] = DRIVE.test(slot) ? `${id},size=${formatSize(image.size)}` : id;
    this.out += `importing disk '${source}' to VM ${this.vmid} ...\n  Logical volume "${id.split(':')[1]}" created.\n${slot}: successfully imported disk '${vm.config[slot]}'\n`;
  }

  private resize(slot: string, size: string): void {
    const vm = this.unlocked();
    const drive = vm.config[slot];
    if (drive === undefined) throw new Failure(`disk '${slot}' does not exist`, 255);
    if (isCdrom(drive)) throw new Failure("you can't resize a cdrom", 255);
    const properties = parseProperties(drive, 'file');
    const volume = this.state.volumes[properties.file!]!;
    const wanted = parseSize(size.replace('+', '')) + (size.startsWith('+') ? volume.size : 0);
    if (wanted < volume.size) throw new Failure('shrinking disks is not supported', 255);
    // Also where the configuration says less.
    if (wanted === volume.size) return;
    volume.size = wanted;
    vm.config[slot] = print({ ...properties, size: formatSize(wanted) });
    this.out += `  Logical volume pve/${properties.file!.split(':')[1]} successfully resized.\n`;
  }

  private unlink(): void {
    const vm = this.unlocked();
    if (!this.options.idlist)
      throw new Failure(
        '400 Parameter verification failed.\nidlist: property is missing and it is not optional\nqm disk unlink <vmid> --idlist <string> [OPTIONS]',
        255,
      );
    this.out += `update VM ${this.vmid}: -delete ${this.options.idlist}\n`;
    for (const slot of this.options.idlist.split(/[,; ]+/)) this.delete(vm, slot);
  }

  private list(): string {
    const line = (...[vmid, name, status, memory, disk, pid]: string[]) =>
      `${vmid!.padStart(10)} ${name!.padEnd(20)} ${status!.padEnd(10)} ${memory!.padEnd(10)} ${disk!.padStart(12)} ${pid!.padEnd(10)}\n`;
    const vms = Object.entries(this.state.vms);
    if (vms.length === 0) return '';
    return [
      line('VMID', 'NAME', 'STATUS', 'MEM(MB)', 'BOOTDISK(GB)', 'PID'),
      ...vms.map(([vmid, vm]) => {
        const first = vm.config.boot && parseProperties(vm.config.boot, 'legacy').order?.split(';')[0];
        const bytes = this.state.volumes[fileOf((first && vm.config[first]) || '')]?.size ?? 0;
        const running = vm.startedAt !== undefined;
        return line(
          vmid,
          vm.config.name ?? `VM ${vmid}`,
          running ? 'running' : 'stopped',
          vm.config.memory ?? '512',
          (bytes / 2 ** 30).toFixed(2),
          running ? `${1000 + Number(vmid)}` : '0',
        );
      }),
    ].join('');
  }

  private status(): string {
    const vm = this.vm();
    const status = vm.startedAt === undefined ? 'stopped' : 'running';
    if (this.options.verbose !== '1') return `status: ${status}\n`;
    const { name = '', cores = '1', memory = '512', lock } = vm.config;
    return `cpus: ${cores}\n${lock ? `lock: ${lock}\n` : ''}maxmem: ${Number(memory) * 2 ** 20}\nname: ${name}\nqmpstatus: ${status}\nstatus: ${status}\nvmid: ${this.vmid}\n`;
  }

  private pending(): string {
    const vm = this.vm();
    return [...new Set([...Object.keys(vm.config), ...Object.keys(vm.pending)])]
      .sort()
      .map((key) => {
        const [current, next] = [vm.config[key], vm.pending[key]];
        if (current === undefined) return `new ${key}: ${next}\n`;
        if (next === null) return `del ${key}: ${current}\n`;
        return `cur ${key}: ${current}\n${next === undefined ? '' : `new ${key}: ${next}\n`}`;
      })
      .join('');
  }

  private dump(type: string): string {
    const vm = this.vm();
    const custom = vm.config.cicustom && parseProperties(vm.config.cicustom, '')[type];
    if (custom) return `${readVolumeFile(this.context.simulation, custom)}\n`;
    const { ip, gw } = parseProperties(vm.config.ipconfig0 ?? '', '');
    if (type === 'user') return `#cloud-config\nhostname: ${vm.config.name}\nmanage_etc_hosts: true\n\n`;
    if (type === 'meta') return `instance-id: ${createHash('sha1').update(text(vm.config)).digest('hex')}\n\n`;
    return `version: 1\nconfig:\n    - type: physical\n      name: eth0\n      subnets:\n      - type: static\n        address: '${ip}'\n        gateway: '${gw}'\n\n`;
  }

  private guest(command: string): string {
    const vm = this.vm();
    if (vm.startedAt === undefined) throw new Failure(`VM ${this.vmid} is not running`, 255);
    const { enabled } = parseProperties(vm.config.agent ?? '0', 'enabled');
    if (enabled !== '1') throw new Failure('No QEMU guest agent configured', 255);
    if (!this.state.extra.guestAgents?.includes(this.vmid)) throw new Failure('QEMU guest agent is not running', 255);
    if (command !== 'ping') throw new Unexpected(`guest cmd ${command}`);
    return '';
  }
}

/** The lines of a configuration, in the order of Proxmox. */
export function text(config: Readonly<Record<string, string>>): string {
  return Object.keys(config)
    .sort()
    .map((key) => `${key}: ${key === 'description' ? encoded(config[key]!) : config[key]}\n`)
    .join('');
}

/** As Proxmox writes notes: control characters, what is not ASCII, the colon and the percent sign. */
function encoded(notes: string): string {
  return [...Buffer.from(notes)]
    .map((byte) =>
      byte < 0x20 || byte === 0x25 || byte === 0x3a || byte > 0x7e
        ? `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
        : String.fromCharCode(byte),
    )
    .join('');
}

export function digestOf(vm: Vm): string {
  return createHash('sha1')
    .update(JSON.stringify([vm.config, vm.pending]))
    .digest('hex');
}

export function withPending({ config, pending }: Vm): Record<string, string> {
  return Object.fromEntries(
    Object.entries({ ...config, ...pending }).filter((entry): entry is [string, string] => entry[1] !== null),
  );
}

export function fileOf(drive: string): string {
  return drive.split(',')[0]!.replace(/^file=/, '');
}

function isCdrom(drive: string): boolean {
  return /,media=cdrom/.test(drive);
}

/** A drive as Proxmox prints it: the volume, then the rest by name. */
function print({ file, ...rest }: Readonly<Record<string, string>>): string {
  return [
    file!,
    ...Object.keys(rest)
      .sort()
      .map((key) => `${key}=${rest[key]}`),
  ].join(',');
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

function customSnippets(vm: Vm): string[] {
  return Object.values(parseProperties(withPending(vm).cicustom ?? '', ''));
}

/** The same as files, for those who read them there. */
function writeConfigs(simulation: Simulation): void {
  const folder = `${simulation.files('host')}/etc/pve/qemu-server`;
  fs.mkdirSync(folder, { recursive: true });
  for (const file of fs.readdirSync(folder))
    if (!simulation.state.vms[file.replace('.conf', '')]) fs.rmSync(`${folder}/${file}`);
  for (const [vmid, { config, pending }] of Object.entries(simulation.state.vms)) {
    const lines = Object.entries(pending).map(([key, value]) =>
      value === null ? `delete: ${key}\n` : `${key}: ${value}\n`,
    );
    const { description, ...rest } = config;
    const notes = description === undefined ? '' : `#${encoded(description).replaceAll('%0A', '\n#')}\n`;
    const content = `${notes}${text(rest)}${lines.length > 0 ? `\n[PENDING]\n${lines.join('')}` : ''}`;
    const path = `${folder}/${vmid}.conf`;
    if (!fs.existsSync(path) || fs.readFileSync(path, 'utf8') !== content) fs.writeFileSync(path, content);
  }
}
