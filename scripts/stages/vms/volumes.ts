import { Stop } from '../../engine/problem';

/** A disk on a storage of Proxmox, of a VM or of a container. */
export interface Volume {
  readonly id: string;
  readonly type: 'images' | 'rootdir';
  /** In bytes; none where the storage does not say. */
  readonly size: number | undefined;
  readonly vmid: number | undefined;
}

/**
 * The disks in the answer of `pvesm list`: Volid, Format, Type, Size, VMID. What else a folder holds is none, also a backup,
 * which has the VMID of its machine.
 * @throws Stop for an answer in another form
 */
export function disksIn(text: string, asked: string): readonly Volume[] {
  const [head = '', ...rows] = text.split('\n').filter((each) => each.trim() !== '');
  if (!head.startsWith('Volid')) throw strange(asked, head);
  return rows.flatMap((row) => {
    // Names of ISO images may hold spaces; a size may be unknown (-) or estimated (~).
    const [, id, type, size, vmid] = /^(\S.*?)\s+\S+\s+(\S+)\s+(-|~?\d+)(?:\s+(\d+))?\s*$/.exec(row) ?? [];
    if (id === undefined) throw strange(asked, row);
    if (type !== 'images' && type !== 'rootdir') return [];
    return [
      {
        id,
        type,
        size: size === '-' ? undefined : Number(size!.replace('~', '')),
        vmid: vmid === undefined ? undefined : Number(vmid),
      },
    ];
  });
}

export function strange(asked: string, said: string): Stop {
  return new Stop(
    `${asked} must answer with what it always does, and said ${JSON.stringify(said.trim().slice(0, 120))}`,
  );
}
