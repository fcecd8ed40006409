/** Addresses and ports as ranges of whole numbers, to compare lists by what they permit. Pure. */

/** First and last number, both included. */
export type Range = readonly [bigint, bigint];

/** Offset of IPv6 addresses in the number range that holds both families. */
const IPV6 = 1n << 64n;

/** Every address of IPv4 and of IPv6. */
export const ALL_ADDRESSES: readonly Range[] = [
  [0n, (1n << 32n) - 1n],
  [IPV6, IPV6 + (1n << 128n) - 1n],
];

/** The addresses of a block, as 10.0.0.0/8 or fd00::/8. */
export function blockRange(cidr: string): Range {
  const [address = '', length] = cidr.split('/');
  const six = address.includes(':');
  const bits = six ? 128 : 32;
  const size = 1n << BigInt(bits - Number(length ?? bits));
  const value = six ? ipv6Number(address) : ipv4Number(address);
  const first = (value / size) * size + (six ? IPV6 : 0n);
  return [first, first + size - 1n];
}

function ipv4Number(address: string): bigint {
  return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

function ipv6Number(address: string): bigint {
  const words = (text: string) => (text === '' ? [] : text.split(':'));
  const [head = '', tail] = address.split('::');
  const last = tail === undefined ? [] : words(tail);
  const first = words(head);
  const all = [...first, ...Array(8 - first.length - last.length).fill('0'), ...last];
  return all.reduce((sum, word) => sum * 65536n + BigInt(`0x${word}`), 0n);
}

/** The difference of two lists of ranges. */
export function without(ranges: readonly Range[], others: readonly Range[]): Range[] {
  return others.reduce<Range[]>(
    (left, [from, to]) =>
      left.flatMap(([first, last]): Range[] => {
        if (to < first || from > last) return [[first, last]];
        return [
          ...(first < from ? [[first, from - 1n] as Range] : []),
          ...(last > to ? [[to + 1n, last] as Range] : []),
        ];
      }),
    [...ranges],
  );
}

/** Ports of one protocol. A named port that no container defines is its own protocol: TCP:http. */
export interface Ports {
  readonly protocol: string;
  readonly from: number;
  readonly to: number;
}

/** Every port of every protocol that a NetworkPolicy knows. */
export const ALL_PORTS: readonly Ports[] = ['TCP', 'UDP', 'SCTP'].map((protocol) => ({
  protocol,
  from: 0,
  to: 65535,
}));

/** The difference of two lists of ports. */
export function portsWithout(ports: readonly Ports[], others: readonly Ports[]): Ports[] {
  return others.reduce<Ports[]>(
    (left, other) =>
      left.flatMap((each): Ports[] => {
        const { protocol, from, to } = each;
        if (namedPort(protocol) && covers(other, protocol)) return [];
        if (other.protocol !== protocol || other.to < from || other.from > to) return [each];
        return [
          ...(from < other.from ? [{ protocol, from, to: other.from - 1 }] : []),
          ...(to > other.to ? [{ protocol, from: other.to + 1, to }] : []),
        ];
      }),
    [...ports],
  );
}

function namedPort(protocol: string): boolean {
  return protocol.includes(':');
}

function covers({ protocol, from, to }: Ports, named: string): boolean {
  return named.startsWith(`${protocol}:`) && from === 0 && to === 65535;
}

/** The intersection. */
export function portsInBoth(some: readonly Ports[], others: readonly Ports[]): Ports[] {
  return portsWithout(some, portsWithout(some, others));
}

/** Text for messages: TCP 9042, TCP 8000-8443, every port. */
export function portsText(ports: readonly Ports[]): string {
  if (portsWithout(ALL_PORTS, ports).length === 0) return 'every port';
  const texts = ports.map(({ protocol, from, to }) => {
    if (namedPort(protocol)) return protocol.replace(':', ' ');
    if (from === 0 && to === 65535) return `every ${protocol} port`;
    return `${protocol} ${from === to ? from : `${from}-${to}`}`;
  });
  return [...new Set(texts)].sort().join(', ');
}
