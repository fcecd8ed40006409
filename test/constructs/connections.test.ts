import { Connections, type ConnectionsProps, type Peer } from '../../constructs/connections';
import { chartIn, objectOf } from './render';

const DNS = {
  to: [
    {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
      podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
    },
  ],
  ports: [
    { port: 53, protocol: 'TCP' },
    { port: 53, protocol: 'UDP' },
  ],
};
const A: Peer = { namespace: 'a', labels: { app: 'a', tier: 'x' } };
const peerA = {
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'a' } },
  podSelector: { matchLabels: { app: 'a', tier: 'x' } },
};

/** The policy of a workload that was connected. */
function policy(connect: (connections: Connections) => void = () => undefined, more: Partial<ConnectionsProps> = {}) {
  const chart = chartIn();
  const props = { name: 'x', namespace: 'apps', selector: { app: 'x' }, labels: { team: 't' }, ...more };
  connect(new Connections(chart, 'x', props));
  return objectOf(chart, 'NetworkPolicy');
}

test('without declared connections allows no ingress and only DNS egress', () => {
  expect(policy()).toEqual({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'x', namespace: 'apps', labels: { team: 't' } },
    spec: { podSelector: { matchLabels: { app: 'x' } }, policyTypes: ['Ingress', 'Egress'], egress: [DNS] },
  });
});

test('Argo CD keeps a policy that guards data', () => {
  expect(policy(undefined, { keep: true }).metadata.annotations).toEqual({
    'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false',
  });
});

test('a peer has one rule with each of its ports once, in numeric order', () => {
  const { ingress } = policy((connections) => {
    connections.allowFrom(A, { port: 27017 });
    connections.allowFrom({ namespace: 'a', labels: { tier: 'x', app: 'a' } }, { port: 9042 });
    connections.allowFrom(A, { port: 9042, protocol: 'UDP' });
    connections.allowFrom(A, { port: 27017, protocol: 'TCP' });
  }).spec;
  expect(ingress).toEqual([
    {
      from: [peerA],
      ports: [
        { port: 9042, protocol: 'TCP' },
        { port: 9042, protocol: 'UDP' },
        { port: 27017, protocol: 'TCP' },
      ],
    },
  ]);
});

test('peers that differ by a namespace, a label or a network have separate rules', () => {
  const peers: Peer[] = [
    A,
    { ...A, namespace: 'b' },
    { ...A, labels: { app: 'a' } },
    { namespace: 'a', labels: {} },
    { cidr: '192.168.1.30/32' },
    { cidr: '192.168.1.31/32' },
    'anywhere',
  ];
  const { egress } = policy((connections) => peers.forEach((peer) => connections.allowTo(peer, { port: 80 }))).spec;
  expect(egress).toHaveLength(peers.length + 1);
  const ports = [{ port: 80, protocol: 'TCP' }];
  expect(egress).toEqual(
    expect.arrayContaining([
      DNS,
      { to: [peerA], ports },
      { to: [{ ...peerA, podSelector: {} }], ports },
      { to: [{ ipBlock: { cidr: '192.168.1.31/32' } }], ports },
      { ports },
    ]),
  );
});

test('the order in which connections are declared does not matter', () => {
  const peers: Peer[] = ['anywhere', A, { cidr: '10.0.0.0/8' }, { namespace: 'b', labels: {} }];
  const of = (order: readonly Peer[]) =>
    policy((connections) => {
      for (const peer of order) {
        connections.allowTo(peer, { port: 80 });
        connections.allowFrom(peer, { port: 80 });
      }
    });
  expect(of([...peers].reverse())).toEqual(of(peers));
});

test.each([0, 65536, 1.5, NaN])('rejects the port %p for ingress and egress', (port) => {
  policy((connections) => {
    for (const allow of ['allowFrom', 'allowTo'] as const)
      expect(() => connections[allow]('anywhere', { port })).toThrow('apps/x: the port of a connection must be a port');
  });
});
