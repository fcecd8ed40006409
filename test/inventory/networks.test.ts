import { defineHomelab } from '../../inventory';
import { makeAuthority } from '../../scripts/secrets/certificates';
import { changed } from '../homelab';

/** Problems of a homelab with a change, one a line. */
function problemsOf(change: (homelab: any) => void): string[] {
  try {
    defineHomelab(changed(change));
    return [];
  } catch (error) {
    return (error as { problems?: string[] }).problems ?? [String(error)];
  }
}

/** Another home network, with every address moved into it. */
const moved = (cidr: string, prefix: string) => (h: any) => {
  h.network.cidr = cidr;
  h.network.gateway = `${prefix}.1`;
  h.network.dns = [`${prefix}.1`];
  for (const each of [...Object.values<any>(h.hosts), ...Object.values<any>(h.machines)])
    each.address = `${prefix}.${each.address.split('.')[3]}`;
};

describe('networks', () => {
  test.each([
    [
      'the pods of Talos',
      moved('10.244.7.0/24', '10.244.7'),
      'network.podCidr must not overlap network.cidr 10.244.7.0/24, got "10.244.0.0/16"; set network.podCidr to an unused network, like 172.20.0.0/16',
    ],
    [
      'the Services of Talos',
      moved('10.100.0.0/16', '10.100.0'),
      'network.serviceCidr must not overlap network.cidr 10.100.0.0/16, got "10.96.0.0/12"; set network.serviceCidr to an unused network, like 10.96.0.0/16',
    ],
    [
      'loopback',
      moved('127.0.0.0/16', '127.0.0'),
      'network.cidr must not overlap loopback 127.0.0.0/8, got "127.0.0.0/16"; give the home network a private range, like 192.168.1.0/24',
    ],
  ])('of the home that overlap %s are refused, once', (_, change, message) => {
    expect(problemsOf(change)).toEqual([message]);
  });

  test('of the home that hold those of the cluster are refused for both', () => {
    expect(problemsOf(moved('10.0.0.0/8', '10.0.0'))).toEqual([
      expect.stringContaining('network.podCidr must not overlap network.cidr 10.0.0.0/8'),
      expect.stringContaining('network.serviceCidr must not overlap network.cidr 10.0.0.0/8'),
    ]);
  });

  test('are accepted with networks of the cluster that are apart from it', () => {
    const apart = (h: any) => {
      moved('10.0.0.0/8', '10.0.0')(h);
      h.network.podCidr = '172.20.0.0/16';
      h.network.serviceCidr = '172.24.0.0/16';
    };
    expect(problemsOf(apart)).toEqual([]);
  });

  test.each([
    [
      'each other',
      { podCidr: '10.100.0.0/16' },
      'network.serviceCidr must not overlap network.podCidr 10.100.0.0/16, got "10.96.0.0/12"',
    ],
    [
      "Talos' own name server",
      { podCidr: '169.254.0.0/16' },
      'network.podCidr must not overlap link-local addresses 169.254.0.0/16, got "169.254.0.0/16"; set network.podCidr to an unused network, like 10.244.0.0/16',
    ],
    ['no network', { podCidr: '10.244.0.1/16' }, 'network.podCidr must be an IPv4 network, got "10.244.0.1/16"'],
    [
      'fewer pods than nodes need',
      { podCidr: '10.244.0.0/23' },
      'network.podCidr must hold a /24 for each of 3 nodes, got "10.244.0.0/23" (allowed: /22 or larger); a /16 leaves room for 256 nodes',
    ],
    [
      'more Services than the API server takes',
      { serviceCidr: '10.96.0.0/11' },
      'network.serviceCidr must be a network from /12 to /28, got "10.96.0.0/11"',
    ],
    [
      'no room for the name server',
      { serviceCidr: '10.96.0.0/29' },
      'network.serviceCidr must be a network from /12 to /28, got "10.96.0.0/29"',
    ],
  ])('of the cluster: %s', (_, networks, message) => {
    expect(problemsOf((h) => Object.assign(h.network, networks))).toEqual([expect.stringContaining(message)]);
  });

  test('of just the size that the nodes need are accepted', () => {
    expect(problemsOf((h) => (h.network.podCidr = '10.244.0.0/22'))).toEqual([]);
  });
});

test.each<[string, (homelab: any) => void]>([
  ['network.dns[1]', (h) => h.network.dns.push('10.96.0.10')],
  ['network.timeServers[0]', (h) => (h.network.timeServers = ['10.244.0.5'])],
  ['access.from[0]', (h) => (h.access.from = ['10.100.0.9'])],
  ['git.url', (h) => (h.git.url = 'https://10.244.1.7:3000/owner/homelab.git')],
  ['git.url', (h) => (h.git.url = 'git@10.111.255.255:owner/homelab.git')],
  ['registry.server', (h) => (h.registry = { server: '10.96.4.4:5000' })],
])('%s must not be an address of the cluster', (place, change) => {
  expect(problemsOf(change)).toEqual([
    expect.stringMatching(
      new RegExp(
        `^${place.replace(/[[\]]/g, '\\$&')} must lie outside of network\\.(pod|service)Cidr .* set network\\.`,
      ),
    ),
  ]);
});

test.each(['127.0.0.53', '169.254.116.108', '224.0.0.251', '0.0.0.0'])(
  '%s is no name server for other machines',
  (own) => {
    expect(problemsOf((h) => h.network.dns.push(own))).toEqual([
      expect.stringContaining(`network.dns[1] must be an address that other machines can reach, got "${own}, of `),
    ]);
  },
);

test.each([
  'https://git.home.arpa:3000/owner/homelab.git',
  'ssh://git@git.home.arpa:2222/owner/homelab.git',
  'ssh://git@192.168.1.40:2222/owner/homelab.git',
  'git@192.168.1.40:owner/homelab.git',
  'https://git.example.com/owner/homelab.git',
])('a Git server in the LAN is accepted: %s', (url) => {
  expect(problemsOf((h) => (h.git.url = url))).toEqual([]);
});

test.each(['ghcr.io', 'registry.home.arpa:5000', '192.168.1.40:5000', '192.168.1.40', 'nas:5000'])(
  'a registry is accepted: %s',
  (server) => {
    expect(problemsOf((h) => (h.registry = { server }))).toEqual([]);
  },
);

test.each([
  ['https://ghcr.io', 'must be a registry as written in image names'],
  ['ghcr.io/owner', 'must be a registry as written in image names'],
  ['Registry.home.arpa', 'must be a registry as written in image names'],
  ['me@ghcr.io', 'must be a registry as written in image names'],
  ['registry.home.arpa:', 'must be a registry as written in image names'],
  ['registry.home.arpa:70000', 'must be a port'],
  ['192.168.1.400:5000', 'must be a DNS name or an IPv4 address'],
  ['localhost:5000', 'must be a server that pods and nodes can reach'],
  ['nas.local:5000', 'multicast'],
  ['registry.web.svc.cluster.local', "the cluster's own DNS answers for cluster.local"],
  [5000, 'must be a registry as written in image names'],
])('a registry is refused: %s', (server, message) => {
  expect(problemsOf((h) => (h.registry = { server }))).toEqual([expect.stringContaining(message)]);
});

test.each([
  ['cluster.local', "the cluster's own DNS answers for cluster.local"],
  ['lab.cluster.local', "the cluster's own DNS answers for cluster.local"],
  ['svc.cluster.local', "the cluster's own DNS answers for cluster.local"],
  ['svc', 'to Services of the cluster first'],
  ['lab.svc', 'to Services of the cluster first'],
  ['home.local', 'multicast'],
  ['local', 'multicast'],
  ['lab.localhost', 'it always means the local machine'],
  ['1.168.192.in-addr.arpa', 'only home.arpa'],
  ['services', 'must not end in the name of a namespace'],
  ['lab.mongodb', 'must not end in the name of a namespace'],
  ['lab.kube-system', 'must not end in the name of a namespace'],
])('a domain that the cluster or multicast swallows is refused: %s', (domain, message) => {
  expect(problemsOf((h) => (h.network.domain = domain))).toEqual([expect.stringContaining(message)]);
});

test.each(['home.arpa', 'collab.home.arpa', 'lab.example.org', 'fritz.box', 'cluster.local.example.org'])(
  'a domain is accepted: %s',
  (domain) => {
    expect(problemsOf((h) => (h.network.domain = domain))).toEqual([]);
  },
);

test('an authority of the Git server goes with HTTPS, one of the registry with any server', async () => {
  const { certificate: ca } = await makeAuthority('collab', 'home.arpa');
  expect(problemsOf((h) => (h.git = { url: 'https://git.home.arpa/o/h.git', ca }))).toEqual([]);
  expect(problemsOf((h) => (h.registry = { server: '192.168.1.40:5000', ca }))).toEqual([]);
  expect(problemsOf((h) => (h.git = { url: 'git@git.home.arpa:o/h.git', ca }))).toEqual([
    'git.ca must be used with an https:// address, got "git@git.home.arpa:o/h.git"; leave it out: SSH authenticates the server by its host key',
  ]);
  expect(problemsOf((h) => (h.git = { url: 'https://git.home.arpa/o/h.git', ca: '~/ca.crt' }))).toEqual([
    expect.stringContaining('git.ca must be certificates in PEM, got "something else"'),
  ]);
});
