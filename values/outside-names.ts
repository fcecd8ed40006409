import { dnsNameProblem, ipv4, portProblem } from './names';
import { sentence } from './problem';

/** Names that must resolve to the same machine on the owner's Mac, on the nodes and in the pods. */

/** Top-level domains for which the name server of the network is never asked, and why. */
const NEVER_ASKED: Readonly<Record<string, string>> = {
  local:
    'Macs and many other systems resolve names below .local by multicast (RFC 6762), which pods and nodes do not answer',
  localhost: 'it always means the local machine',
  svc: 'pods resolve such names to Services of the cluster first',
  arpa: 'below arpa only home.arpa is meant for home networks (RFC 8375)',
};

/** The cluster's own DNS domain. */
const CLUSTER_DOMAIN = 'cluster.local';

/** Why a name never resolves to a server in the home network, or undefined. */
function unreachableBecause(name: string): string | undefined {
  if (name === CLUSTER_DOMAIN || name.endsWith(`.${CLUSTER_DOMAIN}`))
    return `the cluster's own DNS answers for ${CLUSTER_DOMAIN}`;
  if (name === 'home.arpa' || name.endsWith('.home.arpa')) return undefined;
  return NEVER_ASKED[name.split('.').at(-1)!];
}

/** The domain of the homelab: every host name ends in it. */
export function domainProblem(value: unknown, what: string): string | undefined {
  const form = dnsNameProblem(value, what);
  if (form !== undefined) return form;
  const reason = unreachableBecause(value as string);
  return reason === undefined
    ? undefined
    : sentence({
        what: `${what} must be a domain that the name server of your network can serve`,
        got: value,
        fix: `${reason}; use one below home.arpa, like collab.home.arpa, or a domain that you own`,
      });
}

/** A server outside the cluster, by name or IPv4 address. */
export function serverProblem(host: string, what: string): string | undefined {
  const fix = 'write its IPv4 address, or a name that your name server resolves, like git.home.arpa';
  const number = ipv4(host);
  if (number === undefined && (/^[\d.]+$/.test(host) || dnsNameProblem(host.toLowerCase(), what) !== undefined))
    return sentence({ what: `${what} must be a DNS name or an IPv4 address`, got: host, fix });
  if (number !== undefined)
    return number >>> 24 === 127
      ? sentence({ what: `${what} must be a server that pods and nodes can reach`, got: host, fix })
      : undefined;
  const reason = unreachableBecause(host.toLowerCase());
  return reason === undefined
    ? undefined
    : sentence({ what: `${what} must be a server that pods and nodes can reach`, got: host, fix: `${reason}; ${fix}` });
}

/** A registry as written in image names: HOST or HOST:PORT. */
export function registryProblem(value: unknown, what: string): string | undefined {
  const [, host, port] = /^([^\s:/@]+)(?::(\d+))?$/.exec(typeof value === 'string' ? value : '') ?? [];
  if (host === undefined || host !== host.toLowerCase())
    return sentence({
      what: `${what} must be a registry as written in image names`,
      got: value,
      allowed: 'HOST or HOST:PORT in lower case, without https:// and without a path',
      fix: 'write it like ghcr.io or registry.home.arpa:5000',
    });
  return (
    serverProblem(host, what) ?? (port === undefined ? undefined : portProblem(Number(port), `the port of ${what}`))
  );
}

/** The host of a registry, without its port. */
export function registryHost(server: string): string {
  return server.split(':')[0]!;
}
