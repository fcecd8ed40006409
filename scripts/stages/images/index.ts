import type { Target } from '../../engine/commands';
import { machinesOn, proxmox, proxmoxHosts, type Context } from '../../clients/context';
import { json } from '../../engine/json';
import { DIGESTS, knownDigest, otherDigest, rememberDigest } from '../../engine/digests';
import { Blocked } from '../../engine/problem';
import type { Change, Stage, Step } from '../../engine/step';
import { imageOf, schematic, schematicId, type Image } from '../../../machines/images';
import { IMAGE_FACTORY, UBUNTU_IMAGES, UBUNTU_IMAGE_SIGNER } from '../../../machines/pins';
import type { Vm } from '../../../machines/vms';

/** Where Debian's ubuntu-keyring has the keys of cloud images. */
const KEYRING = '/usr/share/keyrings/ubuntu-cloudimage-keyring.gpg';
/** 0.6 GiB at 200 KiB/s. */
const DOWNLOAD_SECONDS = 3600;
/** 8 GiB, unpacked onto a disk with 10 MiB/s. */
const UNPACK_SECONDS = 900;

/** Brings the disk images, from which machines begin, to each Proxmox host that needs them. */
export function images(context: Context): Stage {
  return {
    name: 'images',
    title: 'disk images of Talos and Ubuntu, checked',
    async steps() {
      const steps: Step[] = [];
      for (const [host, { files = 'local' }] of proxmoxHosts(context)) {
        const wanted = imagesOn(context, host);
        if (wanted.length === 0) continue;
        const folder = `${await filesFolder(context, host, files, 'import')}/import`;
        if (wanted.some(({ published }) => published)) steps.push(keyring(context, host));
        steps.push(...wanted.map((image) => imageStep(context, host, folder, image)));
      }
      return steps;
    },
  };
}

/** The images that the machines of a host need, each once. @throws Stop for a release that is not pinned */
export function imagesOn(context: Context, host: string): readonly Image[] {
  const all = machinesOn(context, host).map(([name, machine]) => {
    const image = imageOf(context.homelab, machine);
    if (image === undefined)
      throw new Blocked(
        `machines.${name}.release must be pinned in machines/pins.ts, and ${machine.kind === 'ubuntu' ? machine.release : ''} is not; allowed: ${Object.keys(UBUNTU_IMAGES).join(', ')}`,
      );
    return image;
  });
  return [...new Map(all.map((image) => [image.file, image])).values()];
}

/**
 * Folder of the storage that holds images and cloud-init files.
 * @throws Stop when it is none, or may not hold `content`
 */
export async function filesFolder(context: Context, host: string, files: string, content: string): Promise<string> {
  const argv = ['pvesh', 'get', '/storage', '--output-format', 'json'];
  const { stdout } = await context.commands.read(proxmox(context, host), argv, { recent: true });
  const all = json(stdout, argv.join(' '));
  if (!Array.isArray(all)) throw new Blocked(`${argv.join(' ')} must list storages, and said ${stdout.slice(0, 120)}`);
  const storage = all.find((each) => each?.storage === files);
  if (storage === undefined)
    throw new Blocked(
      `${host} must have the storage ${files} for images, and has ${all.map((each) => each?.storage).join(', ')}; set hosts.${host}.files in homelab.ts`,
    );
  if (typeof storage.path !== 'string' || !storage.path.startsWith('/'))
    throw new Blocked(`storage ${files} on ${host} must be a folder, and is ${storage.type}; set hosts.${host}.files`);
  const contents = String(storage.content ?? '').split(',');
  if (!contents.includes(content))
    throw new Blocked(
      `storage ${files} on ${host} must take ${content}, and takes ${contents.join(', ')}: pvesm set ${files} --content ${[...contents, content].join(',')} (stage host does it; Proxmox 8.4 or newer)`,
    );
  return storage.path.replace(/\/$/, '');
}

/** Whether a machine's image is in its place, which it only is after it was checked. */
export async function imageIsThere(context: Context, { host, files, machine }: Vm): Promise<boolean> {
  const image = imageOf(context.homelab, machine);
  if (image === undefined) return false;
  const folder = `${await filesFolder(context, host, files, 'import')}/import`;
  return (await look(context, proxmox(context, host), folder, image)).digest !== undefined;
}

/** Installed where it is missing; Debian has it since release 13, the base of Proxmox 9. */
function keyring(context: Context, host: string): Step {
  const place = proxmox(context, host);
  return {
    title: `keys of Ubuntu's cloud images on ${host}`,
    async plan() {
      const argv = ['sh', '-c', 'test -s "$1" && command -v gpgv >/dev/null', 'sh', KEYRING];
      const { code } = await context.commands.read(place, argv, { accepts: [0, 1, 127] });
      return code === 0 ? undefined : { lines: ['apt-get install --no-install-recommends ubuntu-keyring gpgv'] };
    },
    async apply() {
      await context.commands.changeScript(place, 'proxmox/ubuntu-keyring.sh');
    },
  };
}

function imageStep(context: Context, host: string, folder: string, image: Image): Step {
  const { commands } = context;
  const place = proxmox(context, host);
  const { what, url, file, published } = image;
  return {
    title: `image of ${what} on ${host}`,
    async plan(): Promise<Change | undefined> {
      const { digest, free } = await look(context, place, folder, image);
      const known = published?.sha256 ?? knownDigest(url);
      if (digest !== undefined) {
        if (known === undefined) return { lines: [`${DIGESTS}: ${digest}, as it is on ${host}`] };
        if (digest === known) return undefined;
        throw new Blocked(
          `${folder}/${file} on ${host} must come from a download with SHA-256\n  ${known} (${published ? 'machines/pins.ts' : DIGESTS}), and comes from\n  ${digest}; find out why, then rm ${folder}/${file}*`,
        );
      }
      if (free < image.room)
        throw new Blocked(
          `${folder} on ${host} must have ${gib(image.room)} free for ${what}, and has ${gib(free)}; remove old images or backups there`,
        );
      // The same for every host, also once the first of them has brought the digest.
      const check = published
        ? `check that ${published.list} is signed by ${UBUNTU_IMAGE_SIGNER} and says ${published.sha256}`
        : `its SHA-256 must be that in ${DIGESTS}, where that of the first download is kept`;
      return { lines: [`download ${url}`, check, `keep it as ${folder}/${file}`] };
    },
    async apply(_, progress) {
      const present = await look(context, place, folder, image);
      if (present.digest !== undefined && !published) return rememberDigest(url, present.digest);
      if (published) await assertPublished(context, place, published);
      else await announceSchematic(context, place);
      progress(`downloading ${url}`);
      const digest = await download(context, place, folder, image);
      const known = published?.sha256 ?? knownDigest(url);
      if (known !== undefined && digest !== known) {
        await commands.change(place, ['rm', '-f', `${folder}/${file}.part`]);
        throw new Blocked(published ? wrongDigest(url, known, digest) : otherDigest(url, known, digest));
      }
      if (known === undefined && image.packed) await assertUnpacks(context, place, folder, image);
      // Before the image can be used, so that nothing is ever used that is not written down.
      if (!published) rememberDigest(url, digest);
      progress(`unpacking ${file}`);
      await commands.changeScript(place, 'proxmox/keep-image.sh', [folder, file, digest, image.packed ? 'yes' : 'no'], {
        seconds: UNPACK_SECONDS,
        waitsFor: `${folder}/${file}`,
      });
    },
  };
}

async function look(
  { commands }: Context,
  place: Target,
  folder: string,
  { file }: Image,
): Promise<{ digest: string | undefined; free: number }> {
  const { stdout } = await commands.readScript(place, 'proxmox/image-state.sh', [folder, file], { recent: true });
  const [, state, digest, free] = /^(there ([0-9a-f]{64})|absent)\nfree (\d+)\n$/.exec(stdout) ?? [];
  if (state === undefined)
    throw new Blocked(
      `the look at ${folder}/${file} on ${place.name} must say what is there, and said ${JSON.stringify(stdout.slice(0, 120))}`,
    );
  return { digest, free: Number(free) };
}

async function download({ commands }: Context, place: Target, folder: string, { file, url }: Image): Promise<string> {
  const { stdout } = await commands.changeScript(place, 'proxmox/download-image.sh', [folder, file, url], {
    seconds: DOWNLOAD_SECONDS,
    waitsFor: url,
  });
  return sha256(stdout, url);
}

/** Before a first digest is kept: that of a damaged download would refuse every good one. */
async function assertUnpacks(
  { commands }: Context,
  place: Target,
  folder: string,
  { file, url }: Image,
): Promise<void> {
  const part = `${folder}/${file}.part`;
  const { code, stderr } = await commands.read(place, ['xz', '--test', part], {
    accepts: [0, 1],
    seconds: UNPACK_SECONDS,
    waitsFor: part,
  });
  if (code === 0) return;
  await commands.change(place, ['rm', '-f', part]);
  throw new Blocked(
    `${url} must be a whole file that xz can unpack, and is not: ${stderr.trim()}; what came was removed, run this again`,
  );
}

/** The signed list must say what is pinned: a list of another day is signed as well. */
async function assertPublished({ commands }: Context, place: Target, published: NonNullable<Image['published']>) {
  const { list, name, sha256: pinned } = published;
  const { stdout } = await commands.changeScript(place, 'proxmox/signed-digest.sh', [list, name, UBUNTU_IMAGE_SIGNER]);
  const signed = sha256(stdout, list);
  if (signed !== pinned)
    throw new Blocked(
      `${list} must say\n  ${pinned} (machines/pins.ts) for ${name}, and says\n  ${signed}; nothing was downloaded`,
    );
}

/** The factory builds what it was told of; what is in no schematic it knows from the start. */
async function announceSchematic({ homelab, commands }: Context, place: Target): Promise<void> {
  if ((homelab.talos.extensions ?? []).length === 0) return;
  const url = `https://${IMAGE_FACTORY}/schematics`;
  const { stdout } = await commands.change(
    place,
    [
      'curl',
      '--fail',
      '--silent',
      '--show-error',
      '--connect-timeout',
      '30',
      '--retry',
      '5',
      '--data-binary',
      '@-',
      url,
    ],
    { stdin: schematic(homelab) },
  );
  const { id } = json(stdout, url) ?? {};
  const wanted = schematicId(homelab);
  if (id !== wanted)
    throw new Blocked(
      `${url} must give our schematic the id\n  ${wanted}, and gave\n  ${JSON.stringify(id)}; it writes schematics down in another way now, see machines/images.ts`,
    );
}

function sha256(stdout: string, of: string): string {
  const digest = stdout.trim();
  if (!/^[0-9a-f]{64}$/.test(digest))
    throw new Blocked(`the SHA-256 of ${of} must have 64 digits, and is ${JSON.stringify(digest.slice(0, 120))}`);
  return digest;
}

function wrongDigest(url: string, wanted: string, got: string): string {
  return `${url} must have SHA-256\n  ${wanted} (signed, and in machines/pins.ts), and what came has\n  ${got}; it was removed, run this again`;
}

function gib(size: number): string {
  return `${(size / 1024 ** 3).toFixed(1)} GiB`;
}
