import { Duration, Size } from 'cdk8s';
import { certificateNames, defineHomelab, hostNames, Tls } from '../../inventory';
import { changed, refusal } from '../homelab';

const lab = (change: (homelab: any) => void) => defineHomelab(changed(change));

test('the wildcard of the domain is in the certificate, and every host that it does not cover', () => {
  const homelab = lab((h) => {
    delete h.webApps.web.host;
    h.webApps.web.routes = [
      { host: ['app', 'admin.app'] },
      { host: 'www', domain: 'example.org' },
      { host: 'shop', domain: 'example.org', tls: Tls.acme({ issuer: 'letsencrypt' }) },
    ];
  });
  expect(certificateNames(homelab)).toEqual(['*.collab.home.arpa', 'admin.app.collab.home.arpa', 'www.example.org']);
  expect(hostNames(homelab).slice(0, 4)).toEqual([
    'app.collab.home.arpa',
    'admin.app.collab.home.arpa',
    'www.example.org',
    'shop.example.org',
  ]);
});

test('two web apps share a host by path', () => {
  const homelab = lab((h) => {
    delete h.webApps.admin.host;
    h.webApps.admin.routes = [
      {
        host: 'app',
        path: '/admin',
        stripPrefix: true,
        maxBody: Size.gibibytes(2),
        responseTimeout: Duration.minutes(5),
      },
    ];
  });
  expect(hostNames(homelab)).toEqual(['app.collab.home.arpa']);
});

const routes =
  (...all: unknown[]) =>
  (h: any) => {
    h.webApps.web = { connects: [], routes: all };
  };
const broken: [string, (homelab: any) => void, string][] = [
  [
    'a web app without a route',
    (h) => delete h.webApps.web.host,
    "webApps.web must have a host or routes, got nothing; add host: 'app', or move it to services",
  ],
  ['no routes at all', routes(), 'webApps.web.routes must be a list of at least 1'],
  [
    'a whole host name',
    (h) => (h.webApps.web.host = 'app.collab.home.arpa'),
    'webApps.web.host must be the part before the domain, got "app.collab.home.arpa"; write app: collab.home.arpa is added to it',
  ],
  ['a wildcard', routes({ host: '*' }), 'webApps.web.routes[0].host must be one name, got "*"'],
  ['an empty list of hosts', routes({ host: [] }), 'webApps.web.routes[0].host must be a list of at least 1'],
  [
    'a path without a slash',
    routes({ host: 'app', path: 'api' }),
    'webApps.web.routes[0].path must be a path that starts with a /, got "api"',
  ],
  [
    'strip without a path',
    routes({ host: 'app', stripPrefix: true }),
    'webApps.web.routes[0].stripPrefix must be used with a path',
  ],
  ['a misspelt option', routes({ host: 'app', maxbody: 1 }), 'webApps.web.routes[0].maxbody must be a known property'],
  [
    'a plain number as limit',
    routes({ host: 'app', maxBody: 100 }),
    'webApps.web.routes[0].maxBody must be a Size of at least 1 KiB, got 100',
  ],
  [
    'different timeouts',
    routes({ host: 'app', idleTimeout: Duration.seconds(4) }, { host: 'b' }),
    'webApps.web.routes must have the same idleTimeout, got "4, none"',
  ],
  [
    'a certificate as text',
    routes({ host: 'app', tls: 'letsencrypt' }),
    'webApps.web.routes[0].tls must be a Tls, got "letsencrypt"',
  ],
  [
    'one host and path twice',
    routes({ host: ['app', 'admin'] }),
    'webApps.admin.host must have a host and path of its own, got "admin.collab.home.arpa/, which webApps.web.routes[0] has"',
  ],
  [
    'the same host twice in a route',
    routes({ host: ['app', 'app'] }),
    'got "app.collab.home.arpa/, which webApps.web.routes[0] has"',
  ],
  [
    'a port of the node',
    (h) => (h.services.chat.published = [{ port: 443, to: 'http' }]),
    'services.chat.published[0].port must be a free port of the workers, got 443',
  ],
  [
    'a published port without a target',
    (h) => (h.services.chat.published = [{ port: 2222 }]),
    'services.chat.published[0].to must be the name of a port of the service, got nothing',
  ],
  [
    'a published port twice',
    (h) => {
      h.services.chat.published = [{ port: 2222, to: 'ssh' }];
      h.webApps.web.published = [{ port: 2222, to: 'ssh' }];
    },
    'webApps.web.published[0].port must be used once, got "2222, which services.chat.published[0].port has"',
  ],
  [
    'a published port of a worker',
    (h) => Object.assign(h.services.chat, { kind: 'worker', published: [{ port: 2222, to: 'ssh' }] }),
    'services.chat.published must be used with a server, got "kind: \'worker\'"',
  ],
  [
    'a port that is gRPC by its name alone',
    (h) => Object.assign(h.services.chat, { image: 'a:1', ports: { grpc: 9000 } }),
    "services.chat.ports.grpc must say its protocol, got 9000 (allowed: http, grpc, tcp, udp); write grpc: { port: 9000, protocol: 'grpc' }",
  ],
];

test.each(broken)('refuses %s with a fix', (_, breakIt, message) => expect(refusal(breakIt)).toContain(message));
