import { ofKind, renderedHomelab } from '../homelab';

describe('Argo CD reaches its Git repository and nothing else outside', () => {
  /** Ways out to other machines than pods of its own, the name server and the API server: [address, port]. */
  const waysOut = (url: string) => {
    const policy = ofKind(
      renderedHomelab((h) => (h.git.url = url)),
      'NetworkPolicy',
    ).find(({ metadata }) => metadata.namespace === 'argocd' && metadata.name === 'argocd')!;
    return policy.spec.egress
      .filter(({ to }: any) => to === undefined || to[0].ipBlock !== undefined)
      .flatMap(({ to, ports }: any) =>
        ports.map(({ port, protocol }: any) => [to?.[0].ipBlock.cidr ?? 'anywhere', port, protocol]),
      )
      .filter(([, port]: any) => port !== 6443);
  };

  test.each([
    ['https://github.com/owner/homelab.git', 'anywhere', 443],
    ['https://git.home.arpa:3000/owner/homelab.git', 'anywhere', 3000],
    ['ssh://git@git.home.arpa:2222/owner/homelab.git', 'anywhere', 2222],
    ['ssh://git@ssh.github.com:443/owner/homelab.git', 'anywhere', 443],
    ['git@github.com:owner/homelab.git', 'anywhere', 22],
    ['ssh://git@192.168.1.40:2222/owner/homelab.git', '192.168.1.40/32', 2222],
    ['https://192.168.1.40/owner/homelab.git', '192.168.1.40/32', 443],
  ])('%s', (url, peer, port) => {
    expect(waysOut(url)).toEqual([[peer, port, 'TCP']]);
  });

  test('a folder that it sees needs no way out', () => {
    expect(waysOut('file:///srv/git/homelab.git')).toEqual([]);
  });
});
