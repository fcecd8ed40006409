import { portProblem } from './names';
import { serverProblem } from './outside-names';
import { sentence } from './problem';

/** The parts of a Git address. */
export type GitAddress =
  | { readonly protocol: 'https' | 'ssh'; readonly host: string; readonly port: number }
  /** A folder that Argo CD can read: needs no network. */
  | { readonly protocol: 'file' };

interface Parts {
  readonly protocol: 'https' | 'ssh';
  readonly user?: string;
  readonly host: string;
  readonly port: string | undefined;
  readonly path: string;
}

const DEFAULT_PORTS = { https: 443, ssh: 22 } as const;

function partsOf(url: unknown): Parts | undefined {
  if (typeof url !== 'string' || /[\s'"\\?#]/.test(url)) return undefined;
  const [, scheme, user, host, port, path] =
    /^(https|ssh):\/\/(?:([^/@]*)@)?([^/:@]+)(?::(\d*))?\/([^@]+)$/.exec(url) ?? [];
  if (scheme !== undefined) return { protocol: scheme as 'https' | 'ssh', user, host: host!, port, path: path! };
  // The scp syntax, which cannot hold a port.
  const [, login, server, folder] = /^([^/:@]+)@([^/:@]+):([^@]+)$/.exec(url) ?? [];
  return login === undefined
    ? undefined
    : { protocol: 'ssh', user: login, host: server!, port: undefined, path: folder! };
}

/** Parses an address that `gitAddressProblem` accepts. */
export function gitAddress(url: string): GitAddress {
  const parts = partsOf(url);
  if (parts === undefined) return { protocol: 'file' };
  const { protocol, host, port } = parts;
  return { protocol, host: host.toLowerCase(), port: port === undefined ? DEFAULT_PORTS[protocol] : Number(port) };
}

/** What is wrong with an address that Argo CD and the owner's Mac clone from, as a sentence, or undefined. */
export function gitAddressProblem(value: unknown, what: string): string | undefined {
  if (typeof value === 'string' && /^file:\/\/\/[^\s'"]+$/.test(value)) return undefined;
  const parts = partsOf(value);
  if (typeof value === 'string' && /^(http|git):\/\//.test(value))
    return sentence({
      what: `${what} must be an address whose server authenticates itself`,
      got: value,
      allowed: 'https:// or ssh://',
      fix: 'use the SSH port of the server, or give it a certificate (git.ca); otherwise anyone on the network path can change what Argo CD applies',
    });
  if (parts === undefined)
    return sentence({
      what: `${what} must be an address that Argo CD can clone`,
      got: value,
      allowed: 'https://HOST[:PORT]/PATH, ssh://USER@HOST[:PORT]/PATH, USER@HOST:PATH',
      fix: 'write it like https://github.com/owner/collab-homelab.git or ssh://git@git.home.arpa:2222/owner/homelab.git',
    });
  const { protocol, user, host, port, path } = parts;
  if (protocol === 'https' && user !== undefined)
    return sentence({
      what: `${what} must not contain a login: it is published in dist/`,
      got: String(value).replace(/\/\/[^@]*@/, '//...@'),
      fix: `write https://${host}${port === undefined ? '' : `:${port}`}/${path}; the bootstrap asks for the login and keeps it encrypted`,
    });
  if (protocol === 'ssh' && (user === undefined || user === '' || user.includes(':')))
    return sentence({
      what: `${what} must name the user to log in as, without a password`,
      got: value,
      fix: `on most Git servers the user is git: ssh://git@${host}${port === undefined ? '' : `:${port}`}/${path}`,
    });
  if (!String(value).startsWith(`${protocol}://`) && /^\d+\//.test(path)) {
    const [number, ...rest] = path.split('/');
    return sentence({
      what: `${what} must be an ssh:// address when it has a port`,
      got: value,
      fix: `Git reads ${number} as a folder here: write ssh://${user}@${host}:${number}/${rest.join('/')} for a port, or ssh://${user}@${host}/${path} for a folder`,
    });
  }
  return (
    serverProblem(host, `the host of ${what}`) ??
    (port === undefined ? undefined : portProblem(Number(port || NaN), `the port of ${what}`))
  );
}
