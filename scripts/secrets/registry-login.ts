import type { Homelab } from '../../inventory';
import type { ListedSecret } from '../../values/secrets';
import { Blocked } from '../engine/problem';
import { SECRETS } from '../engine/sops';
import { valuesOf, type Kept } from './store';

/** The type of a secret with which kubelet logs in to a registry. */
export const LOGIN = 'kubernetes.io/dockerconfigjson';

/** A login in the form that kubelet reads. @throws Blocked when it is none, without showing it */
export function registryLogin(answer: string, server: string): string {
  if (/^[^\s:{]+:\S+$/.test(answer))
    return JSON.stringify({ auths: { [server]: { auth: Buffer.from(answer).toString('base64') } } });
  let auth: unknown;
  try {
    auth = JSON.parse(answer)?.auths?.[server]?.auth;
  } catch {
    // What the parser says may show the login.
  }
  if (typeof auth !== 'string' || auth === '')
    throw new Blocked(
      `the login for ${server} must be USER:TOKEN, or one line of JSON with auths, ${JSON.stringify(server)} and auth in it (a Mac's config.json has none: its login is in the keychain); run this again`,
    );
  return answer;
}

/** @throws Blocked when a kept login is for another registry than homelab.ts names, without showing it */
export function assertLogin(homelab: Homelab, secret: ListedSecret, kept: Kept): void {
  const [login] = Object.values(valuesOf(secret, kept));
  if (secret.type !== LOGIN || homelab.registry === undefined || login === undefined) return;
  const { server } = homelab.registry;
  let servers: string[] = [];
  try {
    servers = Object.keys(JSON.parse(login).auths);
  } catch {
    // What the parser says may show the login.
  }
  if (!servers.includes(server))
    throw new Blocked(
      `${secret.name} must be a login for ${server} (registry.server in homelab.ts), and in ${SECRETS.cluster} is one for ${servers.join(' and ') || 'no registry'}; npm run bootstrap -- rotate ${secret.name}`,
    );
}
