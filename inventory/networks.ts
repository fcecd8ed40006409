import { gitAddress } from '../values/git-address';
import { ipv4, ipv4Network, overlaps, type Network } from '../values/names';
import { registryHost } from '../values/outside-names';
import { sentence } from '../values/problem';
import { clusterNetworks, nodes } from './derived';
import type { Homelab } from './homelab';
import { FIXED_NAMESPACES } from './names';
import { at } from './shape';

interface Named {
  readonly what: string;
  readonly cidr: string;
}

/** Networks that every machine has, besides those of homelab.ts. */
const EVERYWHERE: readonly Named[] = [
  { what: 'the network "this host"', cidr: '0.0.0.0/8' },
  { what: 'loopback', cidr: '127.0.0.0/8' },
  // Talos' name server on each node has 169.254.116.108.
  { what: 'link-local addresses', cidr: '169.254.0.0/16' },
  { what: 'multicast', cidr: '224.0.0.0/4' },
];

/** The controller manager gives each node a /24 of the pod network (its --node-cidr-mask-size). */
const NODE_PREFIX = 24;

/**
 * Validates that networks do not overlap and that no address is in a network of the cluster. The cluster routes packets for such
 * an address to pods or Services, so they never reach the machine in the LAN.
 */
export function networkProblems(homelab: Homelab): string[] {
  const { podCidr, serviceCidr } = clusterNetworks(homelab);
  const own: readonly Named[] = [
    { what: 'network.cidr', cidr: homelab.network.cidr },
    { what: 'network.podCidr', cidr: podCidr },
    { what: 'network.serviceCidr', cidr: serviceCidr },
  ];
  return [
    ...own.flatMap((network, index) =>
      [...own.slice(0, index), ...EVERYWHERE]
        .filter((other) => overlaps(rangeOf(network), rangeOf(other)))
        .map((other) => overlap(network, other, own)),
    ),
    ...sizes(homelab, podCidr, serviceCidr),
    ...domainInside(homelab),
    ...authorityUnused(homelab),
    ...outsideAddresses(homelab).flatMap(([place, address]) => [
      ...own
        .slice(1)
        .filter((network) => contains(rangeOf(network), address))
        .map(({ what, cidr }) =>
          sentence({
            what: `${place} must lie outside of ${what} ${cidr}, which the cluster uses itself`,
            got: address,
            fix: `give it another address, or set ${what} to an unused network`,
          }),
        ),
      ...EVERYWHERE.filter((network) => contains(rangeOf(network), address)).map(({ what, cidr }) =>
        sentence({
          what: `${place} must be an address that other machines can reach`,
          got: `${address}, of ${what} ${cidr}`,
          fix: 'write the address under which every machine of the network reaches it',
        }),
      ),
    ]),
  ];
}

/** Alternatives for networks of the cluster, to suggest when the defaults overlap. */
const CANDIDATES: Readonly<Record<string, readonly string[]>> = {
  'network.podCidr': ['10.244.0.0/16', '172.20.0.0/16', '192.168.128.0/20'],
  'network.serviceCidr': ['10.96.0.0/16', '172.24.0.0/16', '192.168.144.0/20'],
};

function overlap({ what, cidr }: Named, other: Named, all: readonly Named[]): string {
  // The router determines the home network; the networks of the cluster can be chosen.
  const settable = [what, other.what].find((name) => name in CANDIDATES);
  const free = CANDIDATES[settable ?? '']?.find((candidate) =>
    all.every(
      (each) => each.what === settable || !overlaps(rangeOf(each), rangeOf({ what: 'candidate', cidr: candidate })),
    ),
  );
  return sentence({
    what: `${what} must not overlap ${other.what} ${other.cidr}`,
    got: cidr,
    fix:
      settable === undefined
        ? 'give the home network a private range, like 192.168.1.0/24'
        : `set ${settable} to an unused network${free === undefined ? '' : `, like ${free}`}`,
  });
}

/** Pods resolve app.services to a Service first: to app in the namespace services. */
function domainInside({ network, databases }: Homelab): string[] {
  const last = network.domain.split('.').at(-1)!;
  if (![...FIXED_NAMESPACES, ...Object.keys(databases)].includes(last)) return [];
  return [
    sentence({
      what: 'network.domain must not end in the name of a namespace: pods would resolve its hosts to Services first',
      got: network.domain,
      fix: 'use a domain below home.arpa, like collab.home.arpa, or one that you own',
    }),
  ];
}

function authorityUnused({ git }: Homelab): string[] {
  if (git.ca === undefined || gitAddress(git.url).protocol === 'https') return [];
  return [
    sentence({
      what: 'git.ca must be used with an https:// address',
      got: git.url,
      fix: 'leave it out: SSH authenticates the server by its host key',
    }),
  ];
}

function sizes(homelab: Homelab, podCidr: string, serviceCidr: string): string[] {
  const problems: string[] = [];
  const count = nodes(homelab).length;
  const room = 2 ** (NODE_PREFIX - prefixOf(podCidr));
  if (room < count)
    problems.push(
      sentence({
        what: `network.podCidr must hold a /${NODE_PREFIX} for each of ${count} nodes`,
        got: podCidr,
        allowed: `/${NODE_PREFIX - Math.ceil(Math.log2(count))} or larger`,
        fix: 'a /16 leaves room for 256 nodes',
      }),
    );
  if (prefixOf(serviceCidr) < 12 || prefixOf(serviceCidr) > 28)
    problems.push(
      sentence({
        what: 'network.serviceCidr must be a network from /12 to /28',
        got: serviceCidr,
        allowed: "the API server accepts at most a /12; the cluster's name server has the tenth address",
        fix: 'a /16 is enough',
      }),
    );
  return problems;
}

/** Addresses outside the cluster that nodes, pods or the owner must reach; those in network.cidr are checked with that network. */
function outsideAddresses({ network, access, git, registry, services, webApps }: Homelab): [string, string][] {
  const repository = gitAddress(git.url);
  const all: [string, string | undefined][] = [
    ...network.dns.map((address, index): [string, string] => [`network.dns[${index}]`, address]),
    ...(network.timeServers ?? []).map((server, index): [string, string] => [`network.timeServers[${index}]`, server]),
    ...(access?.from ?? []).map((address, index): [string, string] => [`access.from[${index}]`, address]),
    ['git.url', repository.protocol === 'file' ? undefined : repository.host],
    ['registry.server', registry && registryHost(registry.server)],
    ...Object.entries({ services, webApps }).flatMap(([group, clients]) =>
      Object.entries(clients).flatMap(([name, { connects }]) =>
        connects.flatMap((connection, index): [string, string][] =>
          'address' in connection ? [[`${at(at(group, name), 'connects')}[${index}].address`, connection.address]] : [],
        ),
      ),
    ),
  ];
  const home = ipv4Network(network.cidr)!;
  return all.filter((entry): entry is [string, string] => ipv4(entry[1]) !== undefined && !contains(home, entry[1]!));
}

function rangeOf({ cidr }: Named): Network {
  return ipv4Network(cidr)!;
}

function contains({ first, last }: Network, address: string): boolean {
  const number = ipv4(address)!;
  return number >= first && number <= last;
}

function prefixOf(cidr: string): number {
  return Number(cidr.split('/')[1]);
}
