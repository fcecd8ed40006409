import { App, Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { render, waysOf } from '../../checks';
import { connectionsReport } from '../../cli/connections';
import { Connections, InternetAccess, MicroserviceDeployment, OutsideAddress } from '../../constructs';
import good from '../fixtures/homelab';
import { renderedHomelab } from '../homelab';

const image = 'ghcr.io/owner/app:1.0.0';

function ways(fill: (chart: Chart) => void) {
  const app = new App();
  fill(new Chart(app, 'apps', { namespace: 'apps' }));
  return waysOf(render(app));
}

test('an open way has both sides, its ports, and the reason of the client', () => {
  const found = ways((chart) => {
    const shop = new MicroserviceDeployment(chart, 'shop', { image });
    shop.connectTo(new MicroserviceDeployment(chart, 'cart', { image, port: 7070 }));
    shop.connectTo(new InternetAccess({ ports: [443, 587], because: 'mail to customers' }));
    shop.connectTo(new InternetAccess({ ports: [443], because: 'push notifications' }));
    shop.connectTo(new OutsideAddress({ address: '192.168.1.40', port: { port: 514, protocol: 'udp' } }), {
      as: 'syslog',
    });
  });
  expect(
    found.map(({ from, to, ports, because, outside, lacks }) => [from, to, ports, because, outside, lacks]),
  ).toEqual([
    ['apps/shop', '192.168.1.40', 'UDP 514', [], true, undefined],
    ['apps/shop', 'internet', 'TCP 443, TCP 587', ['mail to customers', 'push notifications'], true, undefined],
    ['apps/shop', 'apps/cart', 'TCP 7070', [], false, undefined],
  ]);
});

test('a rule without its other side opens nothing, and says what it lacks', () => {
  const found = ways((chart) => {
    const shop = new MicroserviceDeployment(chart, 'shop', { image });
    const cart = new MicroserviceDeployment(chart, 'cart', { image });
    shop.connections.allowTo(cart.connections.peer, { port: 8080 });
    cart.connections.allowFrom(shop.connections.peer, { port: 9090 });
    shop.connections.allowTo({ namespace: 'elsewhere', labels: { app: 'gone' } }, { port: 1 });
  });
  expect(found.map(({ from, to, ports, lacks }) => [from, to, ports, lacks])).toEqual([
    ['apps/shop', 'apps/cart', 'TCP 8080', 'the other side: it lets nobody in there'],
    ['apps/shop', 'apps/cart', 'TCP 9090', 'the other side: it may not go there'],
    ['apps/shop', 'pods with app=gone of namespace elsewhere', 'TCP 1', 'the other side: no chart renders such pods'],
  ]);
});

test('a network with an exception is no internet', () => {
  const found = ways((chart) => {
    const { connections } = new MicroserviceDeployment(chart, 'shop', { image });
    connections.allowTo({ cidr: '0.0.0.0/0', except: ['10.0.0.0/8'] }, { port: 443 });
  });
  expect(found.map(({ to }) => to)).toEqual(['0.0.0.0/0 except 10.0.0.0/8']);
});

test('pods without a policy are open in both directions', () => {
  const found = ways((chart) => {
    new k8s.KubePod(chart, 'pod', {
      metadata: { name: 'open', labels: { app: 'open' } },
      spec: { containers: [{ name: 'c', image }] },
    });
  });
  expect(found.map(({ from, to, ports, because }) => [from, to, ports, ...because])).toEqual([
    ['anywhere', 'apps/open', 'every port', 'no policy selects these pods'],
    ['apps/open', 'anywhere', 'every port', 'no policy selects these pods'],
  ]);
});

test('a policy for everyone is a way from anywhere', () => {
  const found = ways((chart) => {
    const labels = { app: 'edge' };
    new k8s.KubePod(chart, 'pod', { metadata: { name: 'edge', labels }, spec: { containers: [{ name: 'c', image }] } });
    const connections = new Connections(chart, 'edge', { name: 'edge', namespace: 'apps', selector: labels, labels });
    connections.allowFrom('anywhere', { port: 443 });
  });
  expect(found.map(({ from, to, ports }) => [from, to, ports])).toEqual([['anywhere', 'apps/edge', 'TCP 443']]);
});

test('the homelab of the tests has no rule without its other side', () => {
  expect(waysOf(renderedHomelab()).filter(({ lacks }) => lacks !== undefined)).toEqual([]);
});

test('the report lists the outside first, with logins and names of machines, and one service alone', () => {
  const all = waysOf(
    renderedHomelab((h) => h.services.chat.connects.push({ internet: [443], because: 'push notifications' })),
  );
  const report = connectionsReport(all, good);
  const rows = report.split('\n').map((line) => line.trim().split(/ {2,}/));
  expect(rows).toContainEqual(['services/chat', 'internet', 'TCP 443', 'push notifications']);
  expect(rows).toContainEqual(['services/chat', 'cassandra/cassandra', 'TCP 9042', 'chat']);
  expect(rows).toContainEqual(['services/assistant', '192.168.1.30 (ai-vm)', 'TCP 11434']);
  expect(report.indexOf('To and from the outside:')).toBe(0);
  const chat = connectionsReport(all, good, 'chat').split('\n');
  expect(chat.filter((line) => line.includes('/') && !line.includes('services/chat'))).toEqual([]);
  expect(() => connectionsReport(all, good, 'chatt')).toThrow('no policy names chatt; did you mean chat?');
});

test('the report says that an open network enforces nothing', () => {
  const open = { ...good, talos: { ...good.talos, enforceNetworkPolicies: false } };
  expect(connectionsReport(waysOf(renderedHomelab()), open)).toContain('does not enforce any of this');
});
