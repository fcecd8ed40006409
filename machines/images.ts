import { createHash } from 'node:crypto';
import type { Homelab, Machine } from '../inventory';
import { IMAGE_FACTORY, UBUNTU_IMAGES } from './pins';

/** The disk image of new machines. */
export interface Image {
  /** Name in messages. */
  readonly what: string;
  readonly url: string;
  /** File name below import/ of the host's storage for files. The prefix marks it as ours. */
  readonly file: string;
  /** Whether the download must be unpacked with xz. */
  readonly packed: boolean;
  /** Space for download and unpacked file together, in bytes. */
  readonly room: number;
  /** How its publisher authenticates it. */
  readonly published?: {
    readonly sha256: string;
    /** Address of the signed list, and the name of the image there. */
    readonly list: string;
    readonly name: string;
  };
}

const GIB = 1024 ** 3;

/** Prefix of the names of our images on a host. */
export const IMAGE_PREFIX = 'collab-homelab-';

/**
 * The extensions in the Talos image, exactly as the image factory writes them (the order of its fields, 4 spaces, no
 * quotes): its SHA-256 is the schematic's id. Names of extensions need no quotes: inventory/shapes.ts allows none that would.
 */
export function schematic({ talos: { extensions = [] } }: Homelab): string {
  if (extensions.length === 0) return 'customization: {}\n';
  const list = extensions.map((name) => `            - ${name}\n`).join('');
  return `customization:\n    systemExtensions:\n        officialExtensions:\n${list}`;
}

export function schematicId(homelab: Homelab): string {
  return createHash('sha256').update(schematic(homelab)).digest('hex');
}

/**
 * The image that `talosctl upgrade` and the machine config install: the nocloud installer of the same schematic. With another
 * one, a node would restart without the address that Proxmox gave it.
 */
export function installerImage(homelab: Homelab): string {
  return `${IMAGE_FACTORY}/nocloud-installer/${schematicId(homelab)}:${homelab.versions.talos}`;
}

/** A disk image of Talos unpacks to 8 GiB (DefaultRAWDiskSize of its imager); the download has less than 1 GiB. */
export function talosImage(homelab: Homelab): Image {
  const { talos } = homelab.versions;
  const id = schematicId(homelab);
  return {
    what: `Talos ${talos}`,
    url: `https://${IMAGE_FACTORY}/image/${id}/${talos}/nocloud-amd64.raw.xz`,
    file: `${IMAGE_PREFIX}talos-${talos}-${id.slice(0, 12)}.raw`,
    packed: true,
    room: 9 * GIB,
  };
}

/** Ubuntu's .img is a qcow2 file of 0.6 GiB; Proxmox needs the right suffix for an import. */
export function ubuntuImage(release: string): Image | undefined {
  const pin = UBUNTU_IMAGES[release];
  if (pin === undefined) return undefined;
  const name = `ubuntu-${release}-server-cloudimg-amd64.img`;
  return {
    what: `Ubuntu ${release} of ${pin.serial}`,
    url: `${pin.folder}/${name}`,
    file: `${IMAGE_PREFIX}ubuntu-${release}-${pin.serial}.qcow2`,
    packed: false,
    room: 1 * GIB,
    published: { sha256: pin.sha256, list: `${pin.folder}/SHA256SUMS`, name },
  };
}

/** Space for the downloads of all images together, in bytes. */
export function roomForImages(homelab: Homelab, machines: readonly Machine[]): number {
  const rooms = new Map<string, number>();
  for (const machine of machines) {
    const image = imageOf(homelab, machine);
    if (image !== undefined) rooms.set(image.file, image.room);
  }
  return [...rooms.values()].reduce((sum, room) => sum + room, 0);
}

/** The image of a machine, or undefined for a release that is not pinned. */
export function imageOf(homelab: Homelab, machine: Machine): Image | undefined {
  return machine.kind === 'talos' ? talosImage(homelab) : ubuntuImage(machine.release);
}
