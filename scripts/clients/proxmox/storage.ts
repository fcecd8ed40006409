import { action, command } from '../../engine/actions';
import type { CommandOptions, Commands, Target } from '../../engine/commands';
import { json } from '../../engine/json';
import { Blocked } from '../../engine/problem';
import type { Action } from '../../engine/step';

/** What lies on a storage of Proxmox. */
export interface Volume {
  readonly id: string;
  /** images: a disk of a VM; rootdir: of a container; backup, iso and so on. */
  readonly type: string;
  /** In bytes; none where the storage does not say. */
  readonly size: number | undefined;
  readonly vmid: number | undefined;
}

/** As /etc/pve/storage.cfg has it. */
export interface StorageConfig {
  readonly storage: string;
  readonly type: string;
  readonly content: readonly string[];
  readonly path?: string;
}

/** What it is, how full it is, and what it holds. */
export interface StorageFacts {
  readonly name: string;
  readonly type: string;
  readonly content: readonly string[];
  readonly active: boolean;
  /** In bytes. */
  readonly total: number;
  readonly used: number;
  readonly free: number;
  /** VG/LV of a thin pool. */
  readonly pool?: string;
}

/** LVM's logical volumes that are thin pools, by VG/LV: bytes, and percent of data and metadata. */
export type ThinPools = Readonly<
  Record<string, { readonly size: number; readonly data: number; readonly metadata: number }>
>;

/** The storages of a host, and how full they are. */
export interface StorageSpace {
  readonly storages: readonly StorageFacts[];
  /** On the storage for disks. */
  readonly volumes: readonly Volume[];
  readonly pools: ThinPools;
}

const RECENT: CommandOptions = { recent: true };

/** One storage of a Proxmox host. */
export class ProxmoxStorage {
  constructor(
    private readonly commands: Commands,
    private readonly target: Target,
    readonly name: string,
  ) {}

  /** What lies on it, of all guests. */
  async volumes(): Promise<readonly Volume[]> {
    const argv = ['pvesm', 'list', this.name];
    return parseVolumes((await this.commands.read(this.target, argv, RECENT)).stdout, argv.join(' '));
  }

  /** Disks of a VM on it that the VM's configuration does not name. */
  async strays(vmid: number, config: Readonly<Record<string, string>>): Promise<readonly Volume[]> {
    const named = new Set(Object.values(config).map((value) => value.split(',')[0]!.replace(/^file=/, '')));
    return (await this.volumes()).filter((each) => each.type === 'images' && each.vmid === vmid && !named.has(each.id));
  }

  /** Whether nothing was ever written to a volume. */
  async isEmpty(volume: string): Promise<boolean> {
    const { stdout } = await this.commands.readScript(this.target, 'proxmox/volume-is-empty.sh', [volume]);
    return stdout.trim() === 'empty';
  }

  /**
   * Its folder, for a storage of files.
   * @throws Blocked when it has none, or must not hold `content`
   */
  async folder(content: 'import' | 'snippets'): Promise<string> {
    const { name, target } = this;
    const all = await storageConfigs(this.commands, target);
    const storage = all.find((each) => each.storage === name);
    const fix = `Set hosts.${target.name}.files in homelab.ts`;
    if (storage === undefined)
      throw new Blocked(
        `${target.name} must have the storage ${name} for images, but it has ${all.map((each) => each.storage).join(', ')}. ${fix}`,
      );
    if (storage.path?.startsWith('/') !== true)
      throw new Blocked(`storage ${name} on ${target.name} must be a folder, but it is ${storage.type}. ${fix}`);
    if (!storage.content.includes(content))
      throw new Blocked(
        `storage ${name} on ${target.name} must accept ${content}, but it accepts ${storage.content.join(', ')}. Stage host sets it (Proxmox 8.4 or newer):\n  npm run bootstrap -- apply host`,
      );
    return `${storage.path.replace(/\/$/, '')}/${content}`;
  }

  /** Replaces the kinds of content that it accepts. */
  setContent(kinds: readonly string[]): Action {
    return command(this.commands, this.target, ['pvesm', 'set', this.name, '--content', kinds.join(',')]);
  }

  /** Removes a volume and what is on it. */
  free(volume: string): Action {
    const argv = ['pvesm', 'free', volume];
    return action(`${this.target.name}: ${argv.join(' ')}`, async () => {
      const { stderr } = await this.commands.change(this.target, argv);
      // It exits with 0 even if it failed. Standard error may also hold a mere warning.
      if (stderr.trim() !== '' && (await this.volumes()).some(({ id }) => id === volume))
        throw hadNoEffect(this.target, argv, stderr);
    });
  }
}

/** A command of Proxmox that exited with 0 but had no effect. */
export function hadNoEffect({ name }: Target, argv: readonly string[], stderr: string): Blocked {
  return new Blocked(`${name}: ${argv.join(' ')} ended with 0, but changed nothing. It said: ${stderr.trim()}`);
}

/** All storages of a host, as they are configured. */
export async function storageConfigs(commands: Commands, target: Target): Promise<readonly StorageConfig[]> {
  const argv = ['pvesh', 'get', '/storage', '--output-format', 'json'];
  const { stdout } = await commands.read(target, argv, RECENT);
  const all = json(stdout, argv.join(' '));
  if (!Array.isArray(all)) throw unexpectedOutput(argv.join(' '), stdout);
  return all.map((each) => ({ ...each, content: String(each.content ?? '').split(',') }));
}

/**
 * The answer of `pvesm list`: Volid, Format, Type, Size, VMID. A backup has the VMID of its machine.
 * @throws Blocked for an answer in another form
 */
export function parseVolumes(text: string, asked: string): readonly Volume[] {
  const [head = '', ...rows] = text.split('\n').filter((each) => each.trim() !== '');
  if (!head.startsWith('Volid')) throw unexpectedOutput(asked, head);
  return rows.map((row) => {
    // Names of ISO images may hold spaces; a size may be unknown (-) or estimated (~).
    const [, id, type, size, vmid] = /^(\S.*?)\s+\S+\s+(\S+)\s+(-|~?\d+)(?:\s+(\d+))?\s*$/.exec(row) ?? [];
    if (id === undefined) throw unexpectedOutput(asked, row);
    return {
      id,
      type: type!,
      size: size === '-' ? undefined : Number(size!.replace('~', '')),
      vmid: vmid === undefined ? undefined : Number(vmid),
    };
  });
}

/** The answer of `lvs --reportformat json --units b --nosuffix`. Only a thin pool has metadata. */
export function parseThinPools(text: string, asked: string): ThinPools {
  const rows = json(text, asked)?.report?.[0]?.lv;
  if (!Array.isArray(rows)) throw unexpectedOutput(asked, text);
  const pools = rows.filter((row) => row?.metadata_percent);
  return Object.fromEntries(
    pools.map(({ vg_name, lv_name, lv_size, data_percent, metadata_percent }) => {
      const pool = { size: Number(lv_size), data: Number(data_percent), metadata: Number(metadata_percent) };
      if (!Object.values(pool).every(Number.isFinite)) throw unexpectedOutput(asked, JSON.stringify(pool));
      return [`${vg_name}/${lv_name}`, pool];
    }),
  );
}

/** `pvesh get` of a node's storages, with `pvesh get /storage`, which knows their pools. */
export function parseStorages(states: readonly any[], configs: readonly any[]): StorageFacts[] {
  return states.map((state) => {
    const config = configs.find(({ storage }) => storage === state.storage) ?? {};
    const { vgname, thinpool } = config;
    return {
      name: String(state.storage),
      type: String(state.type ?? config.type),
      content: String(config.content ?? state.content ?? '')
        .split(',')
        .filter((each) => each !== ''),
      active: Number(state.active ?? 1) === 1 && Number(state.enabled ?? 1) === 1,
      total: Number(state.total ?? 0),
      used: Number(state.used ?? 0),
      free: Number(state.avail ?? 0),
      ...(vgname && thinpool && { pool: `${vgname}/${thinpool}` }),
    };
  });
}

export function unexpectedOutput(asked: string, said: string): Blocked {
  return new Blocked(
    `${asked} must print its usual format, but it printed ${JSON.stringify(said.trim().slice(0, 120))}`,
  );
}
