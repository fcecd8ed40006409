import * as fs from 'node:fs';
import { join } from 'node:path';
import homelab from '../fixtures/homelab';
import type { Homelab } from '../../inventory';
import { Commands, type CommandOptions, type Output, type Target } from '../../scripts/engine/commands';
import type { Context } from '../../scripts/clients/context';
import { ROOT } from '../../scripts/engine/root';
import { Log } from '../../scripts/engine/log';
import { execute, planStage } from '../../scripts/engine/step';
import { installerImage, schematic, schematicId, talosImage, ubuntuImage } from '../../machines/images';
import { images } from '../../scripts/stages/images';

jest.mock('../../scripts/engine/root', () => {
  const { mkdtempSync } = jest.requireActual<typeof import('node:fs')>('node:fs');
  const ROOT = mkdtempSync('/tmp/images-');
  return { ROOT, DIST: ROOT };
});
afterAll(() => fs.rmSync(ROOT, { recursive: true }));

const digests = join(ROOT, 'scripts', 'digests.json');
const [A, B] = ['a'.repeat(64), 'b'.repeat(64)];
const GIB = 1024 ** 3;
const quiet = () => undefined;

/** A host whose downloads have the digest that a test sets. */
class Host extends Commands {
  readonly kept = new Map<string, string>();
  readonly changed: string[] = [];
  free = 50 * GIB;
  keyring = true;
  /** Whether xz can decompress the download. */
  whole = true;
  constructor(
    readonly comes: string = A,
    readonly signed: string = ubuntuImage('24.04')!.published!.sha256,
  ) {
    super(new Log());
    this.changing = true;
  }

  context(of: Homelab = homelab): Context {
    return { homelab: of, commands: this, log: new Log(), ask: {}, sops: {} } as unknown as Context;
  }

  override async read(_: Target, argv: readonly string[]): Promise<Output> {
    if (argv[0] === 'pvesh')
      return ok('[{"storage":"local","type":"dir","path":"/var/lib/vz","content":"iso,snippets,import"}]');
    if (argv[0] === 'xz') return { ...ok(''), code: this.whole ? 0 : 1, stderr: 'File format not recognized\n' };
    return { ...ok(''), code: this.keyring ? 0 : 1 };
  }

  override async readScript(_: Target, name: string, [, file = '']: readonly string[] = []): Promise<Output> {
    if (name !== 'proxmox/image-state.sh') throw new Error(name);
    const digest = this.kept.get(file);
    return ok(`${digest === undefined ? 'absent' : `there ${digest}`}\nfree ${this.free}\n`);
  }

  override async change(_: Target, argv: readonly string[], { stdin = '' }: CommandOptions = {}): Promise<Output> {
    this.changed.push(`${argv.join(' ')}${stdin}`);
    return ok(
      JSON.stringify({ id: schematicId({ ...homelab, talos: { ...homelab.talos, extensions: [EXTENSION] } }) }),
    );
  }

  override async changeScript(_: Target, name: string, args: readonly string[] = []): Promise<Output> {
    this.changed.push(name);
    if (name === 'proxmox/ubuntu-keyring.sh') this.keyring = true;
    if (name === 'proxmox/signed-digest.sh') return ok(`${this.signed}\n`);
    if (name === 'proxmox/download-image.sh') return ok(`${args[2]!.includes('ubuntu') ? this.signed : this.comes}\n`);
    // The digest must be stored before the image is used.
    if (name === 'proxmox/keep-image.sh') {
      if (args[1]!.includes('talos')) expect(fs.readFileSync(digests, 'utf8')).toContain(args[2]);
      this.kept.set(args[1]!, args[2]!);
    }
    return ok('');
  }
}

const EXTENSION = 'siderolabs/qemu-guest-agent';

async function apply(host: Host, of?: Homelab): Promise<void> {
  for (const each of await planStage(images(host.context(of)))) await execute(each, quiet);
}

beforeEach(() => fs.rmSync(digests, { force: true }));

test('computes the same id of a schematic as the image factory', () => {
  expect(schematicId(homelab)).toBe('376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba');
  const more = { ...homelab, talos: { ...homelab.talos, extensions: [EXTENSION] } };
  expect(schematic(more)).toBe(
    `customization:\n    systemExtensions:\n        officialExtensions:\n            - ${EXTENSION}\n`,
  );
  expect(schematicId(more)).toBe('ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515');
  expect(installerImage(homelab)).toBe(`factory.talos.dev/nocloud-installer/${schematicId(homelab)}:v1.13.9`);
  expect(talosImage(homelab).url).toMatch(
    /^https:\/\/factory.talos.dev\/image\/3765.{60}\/v1.13.9\/nocloud-amd64.raw.xz$/,
  );
});

test('stores the digest of the first download before it uses the image; a second run changes nothing', async () => {
  const host = new Host();
  host.keyring = false;
  await apply(host);
  expect(JSON.parse(fs.readFileSync(digests, 'utf8'))).toEqual({ [talosImage(homelab).url]: A });
  expect([...host.kept.keys()].sort()).toEqual([talosImage(homelab).file, ubuntuImage('24.04')!.file]);
  host.changed.length = 0;
  await apply(host);
  expect(host.changed).toEqual([]);
});

test('removes a damaged first download, and does not store its digest', async () => {
  const host = new Host();
  host.whole = false;
  await expect(apply(host)).rejects.toThrow(/File format not recognized\. The download was removed/);
  expect(host.changed.at(-1)).toMatch(/^rm -f \/var\/lib\/vz\/import\/.*\.part$/);
  expect(fs.existsSync(digests)).toBe(false);
  host.whole = true;
  await apply(host);
  expect(host.kept.has(talosImage(homelab).file)).toBe(true);
});

test('rejects a later download with another digest, and prints both digests', async () => {
  await apply(new Host(A));
  const second = new Host(B);
  await expect(apply(second)).rejects.toThrow(new RegExp(`${A}[^]*${B}[^]*It was not used`));
  expect(second.kept.size).toBe(0);
  expect(second.changed.at(-1)).toMatch(/^rm -f \/var\/lib\/vz\/import\/.*\.part$/);
  expect(fs.readFileSync(digests, 'utf8')).not.toContain(B);
});

test('stops at an image with another digest; stores the digest of an image that has none yet', async () => {
  const host = new Host();
  await apply(host);
  fs.rmSync(digests);
  host.changed.length = 0;
  await apply(host);
  expect(fs.readFileSync(digests, 'utf8')).toContain(A);
  expect(host.changed).toEqual([]);
  host.kept.set(talosImage(homelab).file, B);
  await expect(apply(host)).rejects.toThrow(new RegExp(`${A}[^]*comes from[^]*${B}`));
});

test('rejects a signed list of another day before any download', async () => {
  const host = new Host(A, B);
  await expect(apply(host)).rejects.toThrow(/SHA256SUMS must say[^]*Nothing was downloaded/);
  expect(host.kept.has(ubuntuImage('24.04')!.file)).toBe(false);
  expect(host.changed.at(-1)).toBe('proxmox/signed-digest.sh');
});

test('registers our own schematic, which must get the id that we computed', async () => {
  const talos = { ...homelab.talos, extensions: [EXTENSION] };
  const host = new Host();
  await apply(host, { ...homelab, talos });
  expect(host.changed.find((each) => each.startsWith('curl'))).toContain(schematic({ ...homelab, talos }));
  const other = { ...talos, extensions: ['siderolabs/amd-ucode'] };
  await expect(apply(new Host(), { ...homelab, talos: other })).rejects.toThrow(/must give our schematic the id/);
});

test('a full disk and a release that is not pinned stop before a download', async () => {
  const host = new Host();
  host.free = GIB;
  await expect(apply(host)).rejects.toThrow(/must have 9 GiB free for Talos v1\.13\.9, but it has 1 GiB/);
  expect(host.changed).toEqual([]);
  const machines = { ...homelab.machines, 'ai-vm': { ...homelab.machines['ai-vm']!, release: '26.04' } } as never;
  await expect(apply(new Host(), { ...homelab, machines })).rejects.toThrow(/26\.04 is not; allowed: 24\.04/);
});

function ok(stdout: string): Output {
  return { stdout, stderr: '', code: 0 };
}
