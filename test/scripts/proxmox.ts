import homelab from '../fixtures/homelab';
import type { Homelab } from '../../inventory';
import type { CommandOptions, Output, Target } from '../../scripts/engine/commands';
import { Commands } from '../../scripts/engine/commands';
import type { Context } from '../../scripts/clients/context';
import { Log } from '../../scripts/engine/log';
import { pool, SAID, storages } from './host-facts';

/** The bootstrap was killed. */
export class Killed extends Error {}

type Config = Record<string, string>;

const GIB = 1024 ** 3;

/** A Proxmox host in memory. Answers the questions of stages, and records their changes. */
export class Proxmox extends Commands {
  readonly vms: Record<number, Config> = {};
  readonly running = new Set<number>();
  readonly volumes: Record<string, number> = {};
  /** Volumes with data. */
  readonly written = new Set<string>();
  readonly answering = new Set<string>();
  readonly changed: string[] = [];
  /** The change at which the bootstrap is killed: before, during or after it. */
  kill?: { readonly at: number; readonly when: 'before' | 'during' | 'after' };
  /** Answers that replace the true ones, by the beginning of a command. */
  readonly says: Record<string, string> = { 'cat /etc/hostname': 'pve\n' };
  /** Beginnings of commands that exit with 0 without effect, and their standard error. */
  readonly failing: Record<string, string> = {};
  total = 1720 * GIB;
  metadata = '1.00';

  constructor() {
    super(new Log());
    this.changing = true;
  }

  context(of: Homelab = homelab): Context {
    return {
      homelab: of,
      commands: this,
      log: new Log(),
      ask: {},
      sops: { exists: () => false },
    } as unknown as Context;
  }

  override async read(_: Target, argv: readonly string[], { accepts = [0] }: CommandOptions = {}): Promise<Output> {
    const words = argv.join(' ');
    const said = Object.keys(this.says).find((each) => words.startsWith(each));
    if (said !== undefined) return ok(this.says[said]!);
    const vmid = Number(argv[2]);
    if (words.startsWith('pvesh get /cluster/resources'))
      return ok(JSON.stringify(Object.keys(this.vms).map((id) => ({ type: 'qemu', vmid: Number(id), node: 'pve' }))));
    if (words.startsWith('pvesh get /nodes/pve/storage')) return ok(JSON.stringify(this.storages()));
    if (words.startsWith('lvs')) return ok(pool(3.1, Number(this.metadata)));
    if (words.startsWith('pvesh get /storage')) return ok(JSON.stringify(STORAGES));
    if (words.startsWith('qm config')) return ok(lines(this.vms[vmid]!));
    if (words.startsWith('qm pending')) return ok('');
    if (words.startsWith('qm status')) return ok(`status: ${this.running.has(vmid) ? 'running' : 'stopped'}\n`);
    if (words.startsWith('pvesm list')) return ok(this.list());
    if (words.startsWith('ping')) return { ...ok(''), code: this.answering.has(argv.at(-1)!) ? 0 : accepts[1]! };
    throw new Error(`unexpected: ${words}`);
  }

  override async readScript(_: Target, name: string, [id = '']: readonly string[] = []): Promise<Output> {
    if (name === 'proxmox/image-state.sh') return ok(`there ${'0'.repeat(64)}\nfree ${100 * GIB}\n`);
    if (name === 'proxmox/host-facts.sh') return ok(this.says[name] ?? this.facts());
    if (name === 'proxmox/volume-is-empty.sh') return ok(this.written.has(id) ? 'written\n' : 'empty\n');
    throw new Error(`unexpected: ${name}`);
  }

  override async change(_: Target, argv: readonly string[]): Promise<Output> {
    const when = this.kill?.at === this.changed.length ? this.kill.when : undefined;
    this.changed.push(argv.join(' '));
    const why = Object.entries(this.failing).find(([begin]) => argv.join(' ').startsWith(begin))?.[1];
    if (why !== undefined) return { stdout: '', stderr: why, code: 0 };
    if (when === 'during') this.half(argv);
    if (when !== 'before' && when !== 'during') this.carryOut(argv);
    if (when !== undefined) throw new Killed();
    return { stdout: '', stderr: '', code: 0 };
  }

  /** State after Proxmox was interrupted too: a lock without a VM, a detached volume. */
  private half(argv: readonly string[]): void {
    const [, command, id] = argv as [string, string, string];
    if (command === 'create') this.vms[Number(id)] = { lock: 'create' };
    if (command === 'destroy') this.vms[Number(id)] = { lock: 'destroyed' };
    if (command !== 'set') return;
    const before = { ...this.vms[Number(id)]! };
    this.set(Number(id), options(argv));
    this.vms[Number(id)] = before;
  }

  private carryOut(argv: readonly string[]): void {
    const [program, command, id] = argv as [string, string, string];
    if (program === 'pvesm') Reflect.deleteProperty(this.volumes, id);
    else if (command === 'create') this.vms[Number(id)] = options(argv);
    else if (command === 'unlock') delete this.vms[Number(id)]!.lock;
    else if (command === 'start') this.running.add(Number(id));
    else if (command === 'shutdown') this.running.delete(Number(id));
    else if (command === 'destroy') this.destroy(Number(id));
    else if (command === 'set') this.set(Number(id), options(argv));
    else if (command === 'disk') {
      const [, , , vmid, slot, size] = argv as [string, string, string, string, string, string];
      const config = this.vms[Number(vmid)]!;
      config[slot] = config[slot]!.replace(/size=\w+/, `size=${size}`);
    } else throw new Error(`unexpected: ${argv.join(' ')}`);
  }

  private set(vmid: number, settings: Config): void {
    const config = this.vms[vmid]!;
    for (const [key, value] of Object.entries(settings)) {
      const [, gigabytes] = /^local-lvm:(\d+)(?:,|$)/.exec(value) ?? [];
      if (gigabytes !== undefined) {
        if (config[key] !== undefined) config.unused0 = config[key].split(',')[0]!;
        config[key] = this.allocate(vmid, value.replace(/import-from=[^,]*,/, ''), Number(gigabytes) * GIB);
      } else if (value === 'local-lvm:cloudinit') {
        this.volumes[`local-lvm:vm-${vmid}-cloudinit`] = 4 * 1024 ** 2;
        config[key] = `local-lvm:vm-${vmid}-cloudinit,media=cdrom`;
      } else if (/^(scsi|virtio)\d/.test(key))
        config[key] = `${value},size=${this.volumes[value.split(',')[0]!]! / GIB}G`;
      else config[key] = value;
    }
  }

  private destroy(vmid: number): void {
    const config = this.vms[vmid]!;
    if (config.protection === '1' || this.running.has(vmid)) throw new Error(`${vmid} is protected`);
    for (const value of Object.values(config)) Reflect.deleteProperty(this.volumes, value.split(',')[0]!);
    Reflect.deleteProperty(this.vms, vmid);
  }

  private allocate(vmid: number, value: string, size: number): string {
    let number = 0;
    while (this.volumes[`local-lvm:vm-${vmid}-disk-${number}`] !== undefined) number++;
    const volume = `local-lvm:vm-${vmid}-disk-${number}`;
    this.volumes[volume] = size || 8 * GIB;
    return `${value.replace(/^[^,]+/, volume)},size=${this.volumes[volume] / GIB}G`;
  }

  private facts(): string {
    const more = { storages: JSON.stringify(this.storages()), pools: pool(3.1, Number(this.metadata)) };
    return JSON.stringify({ ...SAID, ...more, volumes: this.list() });
  }

  private storages() {
    return storages.map((each) => (each.storage === 'local-lvm' ? { ...each, total: this.total } : each));
  }

  private list(): string {
    const rows = Object.entries(this.volumes).map(
      ([id, size]) => `${id} raw images ${size} ${/vm-(\d+)-/.exec(id)![1]}\n`,
    );
    return `Volid Format Type Size VMID\n${rows.join('')}`;
  }
}

const STORAGES = [
  { storage: 'local', type: 'dir', path: '/var/lib/vz', content: 'iso,snippets,import' },
  { storage: 'local-lvm', type: 'lvmthin', vgname: 'pve', thinpool: 'data', content: 'images' },
];

function ok(stdout: string): Output {
  return { stdout, stderr: '', code: 0 };
}

function lines(config: Config): string {
  return Object.entries(config)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');
}

function options(argv: readonly string[]): Config {
  const config: Config = {};
  for (let index = 3; index < argv.length; index += 2)
    if (argv[index] !== '--skiplock') config[argv[index]!.slice(2)] = argv[index + 1]!;
  return config;
}
