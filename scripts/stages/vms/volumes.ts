import { Stop } from '../../engine/problem';

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
  if (!head.startsWith('Volid')) throw strange(asked, head);
  return rows.map((row) => {
    // Names of ISO images may hold spaces; a size may be unknown (-) or estimated (~).
    const [, id, type, size, vmid] = /^(\S.*?)\s+\S+\s+(\S+)\s+(-|~?\d+)(?:\s+(\d+))?\s*$/.exec(row) ?? [];
    if (id === undefined) throw strange(asked, row);
    return {
      id,
      type: type!,
      size: size === '-' ? undefined : Number(size!.replace('~', '')),
      vmid: vmid === undefined ? undefined : Number(vmid),
    };
  });
}

export function strange(asked: string, said: string): Stop {
  return new Stop(
    `${asked} must answer with what it always does, and said ${JSON.stringify(said.trim().slice(0, 120))}`,
  );
}
