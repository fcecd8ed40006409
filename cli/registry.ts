import * as fs from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { imageParts } from '../values/names';
import { visible } from '../values/problem';

/** What an image says of itself (OCI image configuration), for the platform of the nodes. */
export interface ImageConfig {
  /** User, as the image names it: a name, a number, NUMBER:GROUP, or empty for root. */
  readonly user: string;
  /** Ports such as 8080/tcp. */
  readonly ports: readonly string[];
  /** Folders that the image declares as volumes: it writes there. */
  readonly volumes: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** The command of a health check for Docker, which Kubernetes ignores. */
  readonly healthCheck?: readonly string[];
}

/** An image as its registry has it. */
export interface RegistryImage {
  /** Platforms that it is built for, such as linux/amd64. */
  readonly platforms: readonly string[];
  /** Undefined where it is not built for linux/amd64. */
  readonly config?: ImageConfig;
}

/** The registry does not have the image, or does not say it to us. */
export class NoImage extends Error {}

/** Platform of the nodes: the K8 Plus has an AMD processor. */
export const PLATFORM = 'linux/amd64';

const SECONDS = 20;
const INDEXES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
const MANIFESTS = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

interface Place {
  readonly registry: string;
  readonly path: string;
  /** Tag or digest; a digest where both stand. */
  readonly version: string;
}

interface Manifest {
  readonly mediaType?: string;
  readonly manifests?: readonly {
    readonly digest: string;
    readonly platform?: { readonly os: string; readonly architecture: string };
  }[];
  readonly config?: { readonly digest: string };
}

/**
 * Reads an image's description from its registry, and no layer of it. With the login of `docker login`, if there is one.
 * @throws NoImage when the registry does not answer, lacks the image or wants another login
 */
export async function imageInRegistry(image: string): Promise<RegistryImage> {
  const place = placeOf(image);
  const read = reader(place);
  const first = await read<Manifest>(`manifests/${place.version}`, [...INDEXES, ...MANIFESTS]);
  if (first.manifests === undefined) {
    const config = await configOf(first, read);
    const isOurs = config.platform === PLATFORM;
    return { platforms: [config.platform], ...(isOurs && { config: config.config }) };
  }
  const built = first.manifests.flatMap(({ digest, platform }) =>
    platform === undefined || platform.os === 'unknown'
      ? []
      : [{ digest, name: `${platform.os}/${platform.architecture}` }],
  );
  const platforms = [...new Set(built.map(({ name }) => name))];
  const ours = built.find(({ name }) => name === PLATFORM);
  if (ours === undefined) return { platforms };
  const manifest = await read<Manifest>(`manifests/${ours.digest}`, MANIFESTS);
  return { platforms, config: (await configOf(manifest, read)).config };
}

async function configOf(
  { config }: Manifest,
  read: Reader,
): Promise<{ readonly platform: string; readonly config: ImageConfig }> {
  if (config === undefined) throw new NoImage('it is no image of containers: its manifest has no configuration');
  const { os, architecture, config: own = {} } = await read<any>(`blobs/${config.digest}`, ['*/*']);
  const [kind, ...test] = own.Healthcheck?.Test ?? [];
  return {
    platform: `${os}/${architecture}`,
    config: {
      user: own.User ?? '',
      ports: Object.keys(own.ExposedPorts ?? {}),
      volumes: Object.keys(own.Volumes ?? {}),
      entrypoint: own.Entrypoint ?? [],
      command: own.Cmd ?? [],
      ...(kind === 'CMD' && { healthCheck: test }),
      ...(kind === 'CMD-SHELL' && { healthCheck: ['sh', '-c', ...test] }),
    },
  };
}

/** Registry, path and version, as container runtimes complete a short name. */
export function placeOf(image: string): Place {
  const { domain = 'docker.io', path, tag = 'latest', digest } = imageParts(image);
  const version = digest ?? tag;
  if (domain !== 'docker.io') return { registry: domain, path, version };
  return { registry: DOCKER_HUB, path: path.includes('/') ? path : `library/${path}`, version };
}

/** Where docker.io answers. */
const DOCKER_HUB = 'registry-1.docker.io';

type Reader = <T>(what: string, accept: readonly string[]) => Promise<T>;

/** Reads JSON below a repository; asks for a token once, when the registry wants one. */
function reader({ registry, path }: Place): Reader {
  let authorization: string | undefined;
  const get = (what: string, accept: readonly string[]) =>
    fetched(`${schemeOf(registry)}://${registry}/v2/${path}/${what}`, {
      accept: accept.join(', '),
      ...(authorization !== undefined && { authorization }),
    });
  return async (what, accept) => {
    let answer = await get(what, accept);
    if (answer.status === 401 && authorization === undefined) {
      authorization = await authorizationFor(registry, answer.headers.get('www-authenticate') ?? '');
      answer = await get(what, accept);
    }
    if (answer.ok) return (await answer.json()) as never;
    const reason = answer.status === 404 ? 'has no such image' : `answers ${answer.status}`;
    const login = answer.status === 401 || answer.status === 403 ? `; if it is private: docker login ${registry}` : '';
    throw new NoImage(`the registry ${registry} ${reason}${login}`);
  };
}

/** A registry on this machine is asked without TLS, as Docker does. */
function schemeOf(registry: string): string {
  return /^(localhost|127\.0\.0\.1)(:\d+)?$/.test(registry) ? 'http' : 'https';
}

async function fetched(url: string, headers: Readonly<Record<string, string>>): Promise<Response> {
  try {
    return await fetch(url, { headers, signal: AbortSignal.timeout(SECONDS * 1000) });
  } catch (error) {
    const { cause, message } = error as Error;
    throw new NoImage(
      `${new URL(url).host} does not answer (${visible(String((cause as Error | undefined)?.message ?? message))})`,
    );
  }
}

/** The header for what a registry asks for in `WWW-Authenticate`: a token (https://distribution.github.io/distribution/spec/auth/token), or the login itself. */
async function authorizationFor(registry: string, wanted: string): Promise<string | undefined> {
  const login = loginOf(registry);
  const basic = login && `Basic ${login}`;
  if (/^basic/i.test(wanted)) return basic;
  const asked = Object.fromEntries([...wanted.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]));
  if (asked.realm === undefined) return basic;
  const query = new URLSearchParams({
    ...(asked.service && { service: asked.service }),
    ...(asked.scope && { scope: asked.scope }),
  });
  const answer = await fetched(`${asked.realm}?${query}`, basic === undefined ? {} : { authorization: basic });
  if (!answer.ok) return undefined;
  const { token, access_token: other } = (await answer.json()) as { token?: string; access_token?: string };
  return `Bearer ${token ?? other}`;
}

/** USER:PASSWORD in base64, as `docker login` keeps it without a helper program. */
function loginOf(registry: string): string | undefined {
  const file = join(process.env.DOCKER_CONFIG ?? join(homedir(), '.docker'), 'config.json');
  if (!fs.existsSync(file)) return undefined;
  try {
    const { auths = {} } = JSON.parse(fs.readFileSync(file, 'utf8'));
    const name = registry === DOCKER_HUB ? 'https://index.docker.io/v1/' : registry;
    return auths[name]?.auth;
  } catch {
    throw new NoImage(`${file} cannot be read as JSON`);
  }
}
