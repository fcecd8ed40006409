import { sentence } from './problem';

/** Names and addresses as Kubernetes, DNS and IPv4 define them. Each function returns a sentence, or undefined when all is well. */

/** RFC 1123 label: the name of a namespace or a host. */
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

/**
 * RFC 1035 label: the name of a Service. Only Kubernetes 1.34 and newer accept a first digit
 * (RelaxedServiceNameValidation), and Talos 1.13 supports Kubernetes from 1.31 on.
 */
export function serviceNameProblem(value: unknown, what: string, maximum = 63): string | undefined {
  if (typeof value !== 'string' || !/^\d/.test(value)) return dnsLabelProblem(value, what, maximum);
  return sentence({
    what: `${what} must be a DNS label that starts with a letter`,
    got: value,
    allowed: `1 to ${maximum} of a-z, 0-9 and -, first a letter, last no -`,
    fix: 'choose another name: Kubernetes before 1.34 refuses a Service name that starts with a digit',
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

/** An IPv4 address as a number, or undefined. Leading zeros are refused: some parsers read them as octal. */
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

/** Whether two networks share an address. */
export function overlaps(one: Network, other: Network): boolean {
  return one.first <= other.last && other.first <= one.last;
}

/**
 * The grammar by which container runtimes parse an image (github.com/distribution/reference): domain, path, tag, digest.
 * The first part is a domain where it has a dot or a colon or is localhost; anything else is a path on Docker Hub.
 */
const DOMAIN = /^(?:[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*|\[[a-f0-9:]+\])(?::(\d+))?$/i;
const PATH = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/;
const PATH_MAXIMUM = 255;

/** An image with an exact version that a runtime can parse: a tag that is not `latest`, a digest, or both. */
export function imageProblem(value: unknown, what: string): string | undefined {
  const wrong = typeof value === 'string' ? imageFault(value) : 'write it in quotes';
  if (wrong === undefined) return undefined;
  return sentence({
    what: `${what} must be an image with an exact version`,
    got: value,
    allowed: 'REPOSITORY:TAG, REPOSITORY@sha256:DIGEST or both; never latest',
    fix: wrong,
  });
}

const EXAMPLE = 'like ghcr.io/owner/documents:1.4.2';

/** Parts of an image. `domain` is undefined for Docker Hub's short names, such as redis:7.4. */
export interface ImageParts {
  readonly domain?: string;
  readonly path: string;
  readonly tag?: string;
  readonly digest?: string;
}

/** The parts of an image that `imageProblem` accepts, by the same grammar. */
export function imageParts(image: string): ImageParts {
  const [named = '', digest] = image.split('@');
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  const repository = colon < 0 ? named : named.slice(0, colon);
  const slash = repository.indexOf('/');
  const first = repository.slice(0, Math.max(slash, 0));
  const hasDomain = /[.:]/.test(first) || first === 'localhost';
  return {
    domain: hasDomain ? first : undefined,
    path: hasDomain ? repository.slice(slash + 1) : repository,
    tag: colon < 0 ? undefined : named.slice(colon + 1),
    digest,
  };
}

/** What to change in an image that is refused, or undefined. */
function imageFault(image: string): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(image))
    return `leave out ${image.slice(0, image.indexOf('//') + 2)}: an image is not a web address`;
  if (/\s/.test(image)) return `remove the white space, ${EXAMPLE}`;
  if (image.split('@').length > 2) return 'write one @, before the digest';
  const { domain, path, tag, digest } = imageParts(image);
  if (digest !== undefined && !DIGEST.test(digest))
    return 'give the whole digest in lower case: sha256: and 64, sha384: and 96, or sha512: and 128 hexadecimal digits';
  const wrong = repositoryFault(domain, path);
  if (wrong !== undefined) return wrong;
  if (tag !== undefined && !TAG.test(tag))
    return 'give a tag of 1 to 128 letters, digits, _, . and - that does not start with . or -';
  if (tag === 'latest' || (tag === undefined && digest === undefined))
    return `pin the version that you tested, ${EXAMPLE}`;
  return undefined;
}

function repositoryFault(domain: string | undefined, path: string): string | undefined {
  if (path !== path.toLowerCase())
    return `the repository has an upper case letter; write it in lower case: ${path.toLowerCase()}`;
  const port = domain === undefined ? undefined : DOMAIN.exec(domain);
  if (port === null)
    return `correct the registry ${domain}: it must be a DNS name or an address, with a port if needed, such as registry.home.arpa:5000`;
  if (port?.[1] !== undefined && portProblem(Number(port[1]), '') !== undefined)
    return `correct the port ${port[1]} of the registry: it must be 1 to 65535`;
  if (/(^|\/)(\/|$)/.test(path)) return `remove the empty part: a / must stand between two names, ${EXAMPLE}`;
  if (!PATH.test(path))
    return `write the repository with a-z, 0-9 and between them one . or _, two _ or any number of -, ${EXAMPLE}`;
  // Official images of Docker Hub are below library/, which counts towards the length.
  const maximum = domain === undefined && !path.includes('/') ? PATH_MAXIMUM - 'library/'.length : PATH_MAXIMUM;
  return path.length > maximum ? `shorten the repository to ${maximum} characters` : undefined;
}
