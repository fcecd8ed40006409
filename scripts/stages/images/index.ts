import { machinesOf, type Homelab } from '../../../inventory';
import { imageOf, schematic, schematicId, type Image } from '../../../machines/images';
import { IMAGE_FACTORY, UBUNTU_IMAGES, UBUNTU_IMAGE_SIGNER } from '../../../machines/pins';
import type { Vm } from '../../../machines/vms';
import { gib } from '../../../values/quantity';
import { proxmoxHosts, type ProxmoxHost } from '../../clients/proxmox/host';
import { action, remoteScript } from '../../engine/actions';
import type { Context } from '../../clients/context';
import { DIGESTS, knownDigest, otherDigest, rememberDigest } from '../../engine/digests';
import { json } from '../../engine/json';
import { Blocked } from '../../engine/problem';
import { step, type Progress, type Stage, type Step } from '../../engine/step';

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
      const { homelab } = context;
      const steps: Step[] = [];
      for (const host of proxmoxHosts(context)) {
        const wanted = imagesOn(homelab, host.name);
        const folder = await host.files.folder('import');
        if (wanted.some(({ published }) => published)) steps.push(keyring(host));
        steps.push(...wanted.map((image) => imageStep(homelab, { host, folder, image })));
      }
      return steps;
    },
  };
}

/** The images that the machines of a host need, each once. @throws Blocked for a release that is not pinned */
function imagesOn(homelab: Homelab, host: string): readonly Image[] {
  const all = machinesOf(homelab, host).map(([name, machine]) => {
    const image = imageOf(homelab, machine);
    if (image === undefined)
      throw new Blocked(
        `machines.${name}.release must be pinned in machines/pins.ts, but ${machine.kind === 'ubuntu' ? machine.release : ''} is not; allowed: ${Object.keys(UBUNTU_IMAGES).join(', ')}`,
      );
    return image;
  });
  return [...new Map(all.map((image) => [image.file, image])).values()];
}

/** Whether a VM's image is in its place, which it only is after it was checked. */
export async function imageIsThere(host: ProxmoxHost, { image }: Vm): Promise<boolean> {
  if (image === undefined) return false;
  const folder = await host.files.folder('import');
  return (await imageState({ host, folder, image: { file: image.split('/').at(-1)! } })).digest !== undefined;
}

/** Installed where it is missing; Debian has it since release 13, the base of Proxmox 9. */
function keyring({ commands, target }: ProxmoxHost): Step {
  return step(`keys of Ubuntu's cloud images on ${target.name}`, async () => {
    const argv = ['sh', '-c', 'test -s "$1" && command -v gpgv >/dev/null', 'sh', KEYRING];
    const { code } = await commands.read(target, argv, { accepts: [0, 1, 127] });
    if (code === 0) return undefined;
    return {
      lines: ['installs the packages ubuntu-keyring and gpgv'],
      actions: [remoteScript(commands, target, 'proxmox/ubuntu-keyring.sh')],
    };
  });
}

/** An image on a host, and where it belongs there. */
interface Place<T = Image> {
  readonly host: ProxmoxHost;
  readonly folder: string;
  readonly image: T;
}

function imageStep(homelab: Homelab, place: Place): Step {
  const { host, folder, image } = place;
  const { what, url, file, published } = image;
  return step(`image of ${what} on ${host.name}`, async () => {
    const { digest, free } = await imageState(place);
    const known = published?.sha256 ?? knownDigest(url);
    if (digest !== undefined) {
      if (digest === known) return undefined;
      if (known !== undefined)
        throw new Blocked(
          `${folder}/${file} on ${host.name} must come from a download with SHA-256\n  ${known} (${published ? 'machines/pins.ts' : DIGESTS}), but it comes from one with\n  ${digest}. Find out why, then remove it there:\n  rm ${folder}/${file}*`,
        );
      const remember = action(`write to ${DIGESTS}: ${digest}`, async () => rememberDigest(url, digest));
      return {
        lines: [`${folder}/${file} is on ${host.name}, but its digest was not recorded`],
        actions: [remember],
      };
    }
    if (free < image.room)
      throw new Blocked(
        `${folder} on ${host.name} must have ${gib(image.room)} free for ${what}, but it has ${gib(free)}. Remove old images or backups there`,
      );
    // The same for every host, also once the first of them has brought the digest.
    const check = published
      ? `check that ${published.list} is signed by ${UBUNTU_IMAGE_SIGNER} and says ${published.sha256}`
      : `check that its SHA-256 is the one in ${DIGESTS}, where the digest of the first download is kept`;
    const lines = [`download ${url}`, check, `keep it as ${folder}/${file}`].map((each) => `${host.name}: ${each}`);
    return { actions: [action(lines, (progress) => bring(homelab, place, progress))] };
  });
}

async function bring(homelab: Homelab, place: Place, progress: Progress): Promise<void> {
  const { host, folder, image } = place;
  const { url, file, published } = image;
  if (published) await assertPublished(host, published);
  else await announceSchematic(homelab, host);
  progress(`downloading ${url}`);
  const digest = await download(place);
  const known = published?.sha256 ?? knownDigest(url);
  if (known !== undefined && digest !== known) {
    await removePart(place);
    const signed = `${url} must have SHA-256\n  ${known} (signed, and in machines/pins.ts), but the download has\n  ${digest}. It was removed. Run this again`;
    throw new Blocked(published ? signed : otherDigest(url, known, digest));
  }
  if (known === undefined && image.packed) await assertUnpacks(place);
  // Before the image can be used, so that nothing is ever used that is not written down.
  if (!published) rememberDigest(url, digest);
  progress(`unpacking ${file}`);
  const args = [folder, file, digest, image.packed ? 'yes' : 'no'];
  const options = { seconds: UNPACK_SECONDS, waitsFor: `${folder}/${file}` };
  await host.commands.changeScript(host.target, 'proxmox/keep-image.sh', args, options);
}

async function imageState({ host, folder, image: { file } }: Place<Pick<Image, 'file'>>) {
  const args = [folder, file];
  const { stdout } = await host.commands.readScript(host.target, 'proxmox/image-state.sh', args, { recent: true });
  const [, state, digest, free] = /^(there ([0-9a-f]{64})|absent)\nfree (\d+)\n$/.exec(stdout) ?? [];
  if (state === undefined)
    throw new Blocked(
      `image-state.sh on ${host.name} must say whether ${folder}/${file} is there, but it said ${JSON.stringify(stdout.slice(0, 120))}`,
    );
  return { digest, free: Number(free) };
}

async function download({ host, folder, image: { file, url } }: Place): Promise<string> {
  const options = { seconds: DOWNLOAD_SECONDS, waitsFor: url };
  const args = [folder, file, url];
  const { stdout } = await host.commands.changeScript(host.target, 'proxmox/download-image.sh', args, options);
  return sha256(stdout, url);
}

async function removePart({ host, folder, image: { file } }: Place): Promise<void> {
  await host.commands.change(host.target, ['rm', '-f', `${folder}/${file}.part`]);
}

/** Before a first digest is kept: that of a damaged download would refuse every good one. */
async function assertUnpacks(place: Place): Promise<void> {
  const { host, folder, image } = place;
  const part = `${folder}/${image.file}.part`;
  const options = { accepts: [0, 1], seconds: UNPACK_SECONDS, waitsFor: part };
  const { code, stderr } = await host.commands.read(host.target, ['xz', '--test', part], options);
  if (code === 0) return;
  await removePart(place);
  throw new Blocked(
    `${image.url} must be a whole file that xz can unpack, but it is not: ${stderr.trim()}. The download was removed. Run this again`,
  );
}

/** The signed list must contain the pinned digest: lists of other days are signed too. */
async function assertPublished(host: ProxmoxHost, published: NonNullable<Image['published']>): Promise<void> {
  const { list, name, sha256: pinned } = published;
  const args = [list, name, UBUNTU_IMAGE_SIGNER];
  const { stdout } = await host.commands.changeScript(host.target, 'proxmox/signed-digest.sh', args);
  const signed = sha256(stdout, list);
  if (signed !== pinned)
    throw new Blocked(
      `${list} must say\n  ${pinned} (machines/pins.ts) for ${name}, but it says\n  ${signed}. Nothing was downloaded`,
    );
}

const CURL = ['curl', '--fail', '--silent', '--show-error', '--connect-timeout', '30', '--retry', '5'];

/** Registers the schematic with the factory; it builds only images of schematics that it knows. */
async function announceSchematic(homelab: Homelab, { commands, target }: ProxmoxHost): Promise<void> {
  if ((homelab.talos.extensions ?? []).length === 0) return;
  const url = `https://${IMAGE_FACTORY}/schematics`;
  const options = { stdin: schematic(homelab) };
  const { stdout } = await commands.change(target, [...CURL, '--data-binary', '@-', url], options);
  const { id } = json(stdout, url) ?? {};
  const wanted = schematicId(homelab);
  if (id !== wanted)
    throw new Blocked(
      `${url} must give our schematic the id\n  ${wanted}, but it gave\n  ${JSON.stringify(id)}. It writes schematics down in another way now: see machines/images.ts`,
    );
}

function sha256(stdout: string, of: string): string {
  const digest = stdout.trim();
  if (!/^[0-9a-f]{64}$/.test(digest))
    throw new Blocked(`the SHA-256 of ${of} must have 64 digits, but it is ${JSON.stringify(digest.slice(0, 120))}`);
  return digest;
}
