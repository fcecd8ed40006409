import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { adviceFor } from '../../../cli/images';
import { imageInRegistry, NoImage } from '../../../cli/registry';
import { until } from '../cluster/processes';
import { built } from '../modules';
import type { Tally } from '../tally';

type Json = any;

const MODULE = 'github.com/distribution/distribution/v3';
const PORT = 8310;
const REGISTRY = `127.0.0.1:${PORT}`;
const LOGIN = Buffer.from('owner:secret').toString('base64');

/** The registry of the CNCF, which Docker Hub, ghcr.io and registries at home are made of. */
export function registryProgram(): string {
  return built(resolve(__dirname, 'registry'), MODULE, `${MODULE}/cmd/registry`, 'registry', []);
}

/** What `npm run homelab -- images` reads from a registry, first open and then with a login. */
export async function images(tally: Tally): Promise<void> {
  const folder = fs.mkdtempSync(join(tmpdir(), 'registry-'));
  try {
    await open(tally, folder);
    await withLogin(tally, folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function open(tally: Tally, folder: string): Promise<void> {
  await withRegistry(folder, '', async () => {
    const both = await pushed('documents', '1.0.0', [
      [
        'amd64',
        { User: '1000', ExposedPorts: { '3000/tcp': {} }, Volumes: { '/data': {} }, Entrypoint: ['node', 'server.js'] },
      ],
      ['arm64', {}],
    ]);
    const found = await imageInRegistry(`${REGISTRY}/owner/documents:1.0.0`);
    tally.check(
      'an image of two platforms',
      found.platforms.join() === 'linux/amd64,linux/arm64',
      JSON.stringify(found),
    );
    tally.check(
      'its settings',
      JSON.stringify([found.config?.user, found.config?.ports, found.config?.entrypoint]) ===
        '["1000",["3000/tcp"],["node","server.js"]]',
      JSON.stringify(found),
    );
    const advice = adviceFor(found.config!, undefined).join('\n');
    tally.check(
      'user, port and folder are advised',
      /user: 1000/.test(advice) && /port: 3000/.test(advice) && /writes to \/data/.test(advice),
      advice,
    );
    const byDigest = await imageInRegistry(`${REGISTRY}/owner/documents@${both}`);
    tally.check('the same by its digest', byDigest.config?.user === '1000', JSON.stringify(byDigest));

    await pushed('of-the-mac', '1.0.0', [['arm64', {}]]);
    const ofMac = await imageInRegistry(`${REGISTRY}/owner/of-the-mac:1.0.0`);
    tally.check(
      'an image that was built on the Mac alone',
      ofMac.config === undefined && ofMac.platforms.join() === 'linux/arm64',
      JSON.stringify(ofMac),
    );

    const none = await refusal(`${REGISTRY}/owner/documents:9.9.9`);
    tally.check('a version that does not exist', /has no such image/.test(none), none);
  });
  const nobody = await refusal(`${REGISTRY}/owner/documents:1.0.0`);
  tally.check('a registry that does not run', /does not answer \(.*ECONNREFUSED/.test(nobody), nobody);
}

async function withLogin(tally: Tally, folder: string): Promise<void> {
  // bcrypt of "secret", as htpasswd -B makes it.
  fs.writeFileSync(join(folder, 'htpasswd'), 'owner:$2b$05$8lMTCi.xp9DXxFMLszhc7.bOVNnRovvnkXUwyxLuxsTrPB8R3zMBe\n');
  const auth = `auth:\n  htpasswd:\n    realm: home\n    path: ${join(folder, 'htpasswd')}\n`;
  await withRegistry(folder, auth, async () => {
    process.env.DOCKER_CONFIG = join(folder, 'docker');
    const without = await refusal(`${REGISTRY}/owner/documents:1.0.0`);
    tally.check(
      'a private registry without a login',
      /answers 401; if it is private: docker login/.test(without),
      without,
    );
    fs.mkdirSync(join(folder, 'docker'));
    fs.writeFileSync(join(folder, 'docker', 'config.json'), JSON.stringify({ auths: { [REGISTRY]: { auth: LOGIN } } }));
    const found = await imageInRegistry(`${REGISTRY}/owner/documents:1.0.0`);
    tally.check('with the login of docker login', found.config?.user === '1000', JSON.stringify(found));
    delete process.env.DOCKER_CONFIG;
  });
}

async function refusal(image: string): Promise<string> {
  try {
    return JSON.stringify(await imageInRegistry(image));
  } catch (error) {
    if (error instanceof NoImage) return error.message;
    throw error;
  }
}

async function withRegistry(folder: string, auth: string, test: () => Promise<void>): Promise<void> {
  const file = join(folder, 'config.yml');
  fs.writeFileSync(
    file,
    `version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: ${join(folder, 'blobs')}\nhttp:\n  addr: ${REGISTRY}\n${auth}`,
  );
  const registry = spawn(registryProgram(), ['serve', file], { stdio: 'ignore' });
  try {
    await until(
      'the registry answers',
      20,
      async () => (await fetch(`http://${REGISTRY}/v2/`).catch(() => undefined)) !== undefined,
    );
    await test();
  } finally {
    const gone = new Promise((done) => registry.once('exit', done));
    registry.kill();
    await gone;
  }
}

/** Pushes an image of some platforms. @returns the digest of its index */
async function pushed(
  name: string,
  tag: string,
  platforms: readonly (readonly [architecture: string, config: Json])[],
): Promise<string> {
  const base = `http://${REGISTRY}/v2/owner/${name}`;
  const manifests: Json[] = [];
  for (const [architecture, config] of platforms) {
    const own = await blob(
      base,
      JSON.stringify({ os: 'linux', architecture, config, rootfs: { type: 'layers', diff_ids: [] } }),
    );
    const type = 'application/vnd.oci.image.manifest.v1+json';
    const text = JSON.stringify({
      schemaVersion: 2,
      mediaType: type,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...own },
      layers: [],
    });
    await put(`${base}/manifests/${digestOf(text)}`, text, type);
    manifests.push({
      mediaType: type,
      digest: digestOf(text),
      size: text.length,
      platform: { os: 'linux', architecture },
    });
  }
  const type = 'application/vnd.oci.image.index.v1+json';
  const index = JSON.stringify({ schemaVersion: 2, mediaType: type, manifests });
  await put(`${base}/manifests/${tag}`, index, type);
  return digestOf(index);
}

async function blob(base: string, text: string): Promise<{ readonly digest: string; readonly size: number }> {
  const begun = await fetch(`${base}/blobs/uploads/`, { method: 'POST' });
  const place = new URL(begun.headers.get('location')!, base);
  place.searchParams.set('digest', digestOf(text));
  await put(place.toString(), text, 'application/octet-stream');
  return { digest: digestOf(text), size: text.length };
}

async function put(url: string, body: string, type: string): Promise<void> {
  const answer = await fetch(url, { method: 'PUT', body, headers: { 'content-type': type } });
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}: ${await answer.text()}`);
}

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
