import { sentence } from './problem';

/** Names and addresses as Kubernetes, DNS and IPv4 define them. Each function returns a sentence, or undefined when all is well. */

/** RFC 1123 label: what a namespace, a Service or a host may be called. */
export function dnsLabelProblem(value: unknown, what: string, maximum = 63): string | undefined {
  if (typeof value === 'string' && value.length <= maximum && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(value))
    return undefined;
  return sentence({
    what: `${what} must be a DNS label`,
    got: value,
    allowed: `1 to ${maximum} of a-z, 0-9 and -, neither first nor last a -`,
    fix: 'choose another name',
  });
}

/** RFC 1123 subdomain: labels joined by dots, at most 253 characters. */
export function dnsNameProblem(value: unknown, what: string): string | undefined {
  const good =
    typeof value === 'string' &&
    value.length <= 253 &&
    value.split('.').every((label) => !dnsLabelProblem(label, what));
  if (good) return undefined;
  return sentence({
    what: `${what} must be a DNS name`,
    got: value,
    allowed: 'labels of a-z, 0-9 and - joined by dots',
    fix: 'write it like web.collab.home.arpa',
  });
}

export function portProblem(value: unknown, what: string): string | undefined {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65535) return undefined;
  return sentence({
    what: `${what} must be a port`,
    got: value,
    allowed: '1 to 65535',
    fix: 'give the port as a whole number',
  });
}

/** An IPv4 address as a number, or undefined. Leading zeros are refused: some readers take them for octal. */
export function ipv4(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined;
  const parts = value.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255))
    return undefined;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function ipv4Problem(value: unknown, what: string): string | undefined {
  if (ipv4(value) !== undefined) return undefined;
  return sentence({
    what: `${what} must be an IPv4 address`,
    got: value,
    allowed: 'four numbers from 0 to 255',
    fix: 'write it like 192.168.1.21',
  });
}

/** An IPv4 network: its first and last address as numbers. */
export interface Network {
  readonly first: number;
  readonly last: number;
}

/** `192.168.1.0/24` as a network, or undefined when it is none or has host bits set. */
export function ipv4Network(cidr: unknown): Network | undefined {
  if (typeof cidr !== 'string') return undefined;
  const [address, prefix, ...rest] = cidr.split('/');
  const first = ipv4(address);
  if (first === undefined || rest.length > 0 || !/^(\d|[12]\d|3[0-2])$/.test(prefix ?? '')) return undefined;
  const size = 2 ** (32 - Number(prefix));
  return first % size === 0 ? { first, last: first + size - 1 } : undefined;
}

/** An image with an exact version: a tag that is not `latest`, a digest, or both. */
export function imageProblem(value: unknown, what: string): string | undefined {
  const match =
    typeof value === 'string'
      ? /^[a-z0-9][a-z0-9.:/_-]*?(?::([A-Za-z0-9_][\w.-]{0,127}))?(@sha256:[0-9a-f]{64})?$/.exec(value)
      : null;
  if (match && (match[1] ?? match[2]) !== undefined && match[1] !== 'latest') return undefined;
  return sentence({
    what: `${what} must be an image with an exact version`,
    got: value,
    allowed: 'REPOSITORY:TAG, REPOSITORY@sha256:DIGEST or both; never latest',
    fix: 'pin the version that you tested, like ghcr.io/owner/documents:1.4.2',
  });
}
