import { ipv4, ipv4Network, overlaps, portProblem, type Network } from './names';
import { sentence } from './problem';
import { textProblem } from './text';

/** A port outside the cluster: TCP as a plain number, such as 443. */
export type OutsidePort = number | { readonly port: number; readonly protocol: 'tcp' | 'udp' };

/** All IPv4 addresses that other hosts on the internet may have. */
export const INTERNET = '0.0.0.0/0';

/**
 * Networks of IPv4 that are no public addresses: not globally reachable by the IANA IPv4 Special-Purpose Address Registry (RFC 6890),
 * and multicast. 192.0.0.0/24 as a whole, because its two reachable addresses are anycast addresses of a home router (PCP, TURN).
 */
export const NOT_PUBLIC: readonly string[] = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // shared addresses of carriers (CGNAT)
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local, metadata services of clouds
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments
  '192.0.2.0/24', // documentation
  '192.88.99.0/24', // 6to4 relays, deprecated
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and the broadcast address
];

/** The networks that `INTERNET` leaves out, with further ones that the list does not contain yet. */
export function notPublic(further: readonly string[] = []): string[] {
  const known = NOT_PUBLIC.map((cidr) => ipv4Network(cidr)!);
  const isKnown = (inner: Network | undefined) =>
    inner !== undefined && known.some((outer) => outer.first <= inner.first && inner.last <= outer.last);
  const added = further.filter((cidr) => !isKnown(ipv4Network(cidr)));
  return [...NOT_PUBLIC, ...new Set(added)];
}

/** Whether a block of addresses is what a way to the internet opens: everything, without any network that is not public. */
export function isInternet(cidr: string, except: readonly string[] = []): boolean {
  return cidr === INTERNET && NOT_PUBLIC.every((network) => except.includes(network));
}

/** Number and protocol of a port outside, in the words of Kubernetes. */
export function outsidePort(port: OutsidePort): { readonly port: number; readonly protocol: 'TCP' | 'UDP' } {
  if (typeof port === 'number') return { port, protocol: 'TCP' };
  return { port: port.port, protocol: port.protocol === 'udp' ? 'UDP' : 'TCP' };
}

/** What is wrong with a port outside the cluster, as a sentence, or undefined. */
export function outsidePortProblem(value: unknown, what: string): string | undefined {
  if (typeof value !== 'object' || value === null) return portProblem(value, what);
  const { port, protocol, ...more } = value as Record<string, unknown>;
  if ((protocol === 'tcp' || protocol === 'udp') && Object.keys(more).length === 0)
    return portProblem(port, `${what}.port`);
  return sentence({
    what: `${what} must be a port, or a port with its protocol`,
    got: value,
    allowed: "protocol: 'tcp' or 'udp'",
    fix: "write it like 443 or { port: 3478, protocol: 'udp' }",
  });
}

/** What is wrong with the ports of a way to the internet, as a sentence, or undefined. */
export function internetPortsProblem(value: unknown, what: string): string | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > 100)
    return sentence({ what: `${what} must be a list of 1 to 100 ports`, got: value, fix: 'write it like [443]' });
  return value.map((port, index) => outsidePortProblem(port, `${what}[${index}]`)).find((problem) => problem);
}

/** What is wrong with the reason of a way out, as a sentence, or undefined. */
export function becauseProblem(value: unknown, what: string): string | undefined {
  const isReason = typeof value === 'string' && /^(?=.{3,200}$)\S.*\S$/u.test(value) && /\p{L}/u.test(value);
  if (isReason) return textProblem(value, what);
  return sentence({
    what: `${what} must be the reason for the way out, in words`,
    got: value,
    allowed: '3 to 200 characters on one line',
    fix: "write it like 'push notifications': the policy and the report show it",
  });
}

/** Networks in which no other machine has an address. */
const UNREACHABLE = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4'];

/** What is wrong with an address outside the cluster, as a sentence, or undefined. */
export function outsideAddressProblem(value: unknown, what: string): string | undefined {
  const number = ipv4(value);
  if (number === undefined) {
    const isName = typeof value === 'string' && /[a-z]/i.test(value) && !value.includes(':');
    return sentence({
      what: `${what} must be an IPv4 address`,
      got: value,
      fix: isName
        ? "give the machine a fixed address and write that: a NetworkPolicy cannot hold names. For servers on the internet write { internet: [443], because: '...' }"
        : 'write it like 192.168.1.40, one address without a network',
    });
  }
  const itself = { first: number, last: number };
  if (!UNREACHABLE.some((cidr) => overlaps(ipv4Network(cidr)!, itself))) return undefined;
  return sentence({
    what: `${what} must be an address of another machine`,
    got: value,
    allowed: 'not this network, loopback, link-local, multicast or reserved',
    fix: 'write the address under which the network reaches the machine',
  });
}
