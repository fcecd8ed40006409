import { createHash } from 'node:crypto';
import type { Homelab, Machine } from '../inventory';
import { IMAGE_FACTORY, UBUNTU_IMAGES } from './pins';

/** A disk image that machines begin from. */
export interface Image {
  /** As messages call it. */
  readonly what: string;
  readonly url: string;
  /** File name below import/ of the host's storage for files. The prefix says that it is ours. */
  readonly file: string;
  /** Whether what is downloaded must be unpacked with xz. */
  readonly packed: boolean;
  /** Room that download and unpacked file need together, in bytes. */
  readonly room: number;
  /** What its publisher says of it. */
  readonly published?: {
    readonly sha256: string;
    /** Where the signed list is, and how it names the image. */
    readonly list: string;
    readonly name: string;
  };
}

const GIB = 1024 ** 3;

/** Name of every image of ours on a host begins with it. */
export const IMAGE_PREFIX = 'collab-homelab-';

/**
 * What is in the Talos image besides Talos, as the image factory writes it down (the order of its fields, 4 spaces, no
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
 * What `talosctl upgrade` and the machine config install: the nocloud installer of the same schematic, or a node would come
 * back without the address that Proxmox gave it.
 */
export function installerImage(homelab: Homelab): string {
  return `${IMAGE_FACTORY}/nocloud-installer/${schematicId(homelab)}:${homelab.versions.talos}`;
}

/** Talos' disk images unpack to 8 GiB (DefaultRAWDiskSize of its imager), the download is below 1 GiB. */
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

/** Ubuntu's .img is a qcow2 file of 0.6 GiB; Proxmox imports by the ending of the name. */
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

/** Room that all images of machines need together while they are brought, in bytes. */
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
