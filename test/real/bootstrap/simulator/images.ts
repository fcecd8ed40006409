import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Homelab } from '../../../../inventory';
import { schematicId, talosImage, ubuntuImage } from '../../../../machines/images';
import { UBUNTU_IMAGE_SIGNER, UBUNTU_IMAGES } from '../../../../machines/pins';
import type { Simulation } from './simulation';
import { imageFile } from './storage';

const SIZE = 2 ** 32;

/**
 * What the image factory and Ubuntu have to offer a simulated host: small images, packed as the real ones, and a list that
 * a key of this test has signed for real. `pins.ts` in the clone names that key and the digest of that image.
 */
export function offerImages(simulation: Simulation, homelab: Homelab, clone: string): void {
  const talos = talosImage(homelab);
  const system = { system: 'talos', version: homelab.versions.talos, platform: 'nocloud', size: 2 * SIZE } as const;
  simulation.urls[talos.url] = packed(imageFile({ ...system, schematic: schematicId(homelab) }));
  simulation.urls[`POST https://${new URL(talos.url).host}/schematics`] = () => `{"id":"${schematicId(homelab)}"}`;

  const releases = Object.values(homelab.machines).flatMap((each) => (each.kind === 'ubuntu' ? each.release : []));
  const folder = fs.mkdtempSync(join(tmpdir(), 'keys-'));
  let pins = fs.readFileSync(join(clone, 'machines/pins.ts'), 'utf8');
  for (const release of new Set(releases)) {
    const { url, published } = ubuntuImage(release)!;
    const content = imageFile({ system: 'ubuntu', version: release, size: SIZE });
    const digest = createHash('sha256').update(content).digest('hex');
    const { signer, keyring, signature } = signed(folder, `${digest} *${published!.name}\n`);
    simulation.urls[url] = content;
    simulation.urls[published!.list] = `${digest} *${published!.name}\n`;
    simulation.urls[`${published!.list}.gpg`] = signature;
    // Debian's package ubuntu-keyring.
    simulation.state.extra.packages = {
      ...simulation.state.extra.packages,
      'ubuntu-keyring': { 'usr/share/keyrings/ubuntu-cloudimage-keyring.gpg': keyring.toString('base64') },
    };
    pins = pins.replace(UBUNTU_IMAGES[release]!.sha256, digest).replace(UBUNTU_IMAGE_SIGNER, signer);
  }
  fs.writeFileSync(join(clone, 'machines/pins.ts'), pins);
  fs.rmSync(folder, { recursive: true, force: true });
}

function packed(content: string): Buffer {
  return execFileSync('xz', ['--stdout', '-'], { input: content });
}

function signed(home: string, text: string): { signer: string; keyring: Buffer; signature: Buffer } {
  fs.chmodSync(home, 0o700);
  const gpg = (args: readonly string[], input = '') =>
    execFileSync('gpg', ['--homedir', home, '--batch', '--quiet', '--passphrase', '', ...args], {
      input,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
  gpg(['--quick-gen-key', 'test <test@example.com>', 'rsa2048', 'sign', 'never']);
  const signer = /^fpr:+([0-9A-F]{40}):/m.exec(gpg(['--list-keys', '--with-colons']).toString())![1]!;
  const signature = gpg(['--detach-sign', '--output', '-'], text);
  const keyring = gpg(['--export']);
  execFileSync('gpgconf', ['--homedir', home, '--kill', 'all']);
  return { signer, keyring, signature };
}
