import { portProblem } from './names';
import { serverProblem } from './outside-names';
import { sentence } from './problem';

/** Where a Git repository lies. */
export type GitAddress =
  | { readonly protocol: 'https' | 'ssh'; readonly host: string; readonly port: number }
  /** A folder that Argo CD sees: nothing is asked over the network. */
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
  // As scp writes it: such an address has no place for a port.
  const [, login, server, folder] = /^([^/:@]+)@([^/:@]+):([^@]+)$/.exec(url) ?? [];
  return login === undefined
    ? undefined
    : { protocol: 'ssh', user: login, host: server!, port: undefined, path: folder! };
}

/** An address that `gitAddressProblem` finds nothing wrong with. */
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
      what: `${what} must be an address whose server proves who it is`,
      got: value,
      allowed: 'https:// or ssh://',
      fix: 'anybody between could change what Argo CD applies; use the SSH port of the server, or give it a certificate (git.ca)',
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
      what: `${what} must have no login in it: it is published in dist/`,
      got: String(value).replace(/\/\/[^@]*@/, '//...@'),
      fix: `write https://${host}${port === undefined ? '' : `:${port}`}/${path}; the bootstrap asks for the login and keeps it encrypted`,
    });
  if (protocol === 'ssh' && (user === undefined || user === '' || user.includes(':')))
    return sentence({
      what: `${what} must name the user to log in as, without a password`,
      got: value,
      fix: `Git servers mostly call it git: ssh://git@${host}${port === undefined ? '' : `:${port}`}/${path}`,
    });
  if (!String(value).startsWith(`${protocol}://`) && /^\d+\//.test(path)) {
    const [number, ...rest] = path.split('/');
    return sentence({
      what: `${what} must be an ssh:// address where it has a port`,
      got: value,
      fix: `Git takes ${number} for a folder here: write ssh://${user}@${host}:${number}/${rest.join('/')}, or ssh://${user}@${host}/${path} where it is one`,
    });
  }
  return (
    serverProblem(host, `the host of ${what}`) ??
    (port === undefined ? undefined : portProblem(Number(port || NaN), `the port of ${what}`))
  );
}
