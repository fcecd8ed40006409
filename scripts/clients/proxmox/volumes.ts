import { type Context, proxmox } from '../context';
import type { Vm } from '../../../machines/vms';
import { Blocked } from '../../engine/problem';

/** What lies on a storage of Proxmox. */
export interface Volume {
  readonly id: string;
  /** images: a disk of a VM; rootdir: of a container; backup, iso and so on. */
  readonly type: string;
  /** In bytes; none where the storage does not say. */
  readonly size: number | undefined;
  readonly vmid: number | undefined;
}

/**
 * The answer of `pvesm list`: Volid, Format, Type, Size, VMID. A backup has the VMID of its machine.
 * @throws Stop for an answer in another form
 */
export function volumesIn(text: string, asked: string): readonly Volume[] {
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

export function unexpectedOutput(asked: string, said: string): Blocked {
  return new Blocked(
    `${asked} must answer with what it always does, and said ${JSON.stringify(said.trim().slice(0, 120))}`,
  );
}

/** What lies on a storage, of all guests. */
export async function volumes(
  context: Context,
  { host, storage }: Pick<Vm, 'host' | 'storage'>,
): Promise<readonly Volume[]> {
  const argv = ['pvesm', 'list', storage];
  const { stdout } = await context.commands.read(proxmox(context, host), argv, { recent: true });
  return volumesIn(stdout, argv.join(' '));
}

/** Disks of a VM that its configuration does not name. */
export async function strays(
  context: Context,
  vm: Vm,
  config: Readonly<Record<string, string>>,
): Promise<readonly Volume[]> {
  const named = new Set(Object.values(config).map((value) => value.split(',')[0]!.replace(/^file=/, '')));
  return (await volumes(context, vm)).filter(
    ({ id: volume, type, vmid }) => type === 'images' && vmid === vm.vmid && !named.has(volume),
  );
}
