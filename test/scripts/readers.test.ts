import { Secret } from '../../inventory';
import { readersOf } from '../../scripts/secrets/readers';
import type { ListedSecret } from '../../values/secrets';
import { renderedHomelab } from '../homelab';

const secret = (name: string, ...namespaces: string[]): ListedSecret => ({
  ...{ name, namespaces, type: 'Opaque', keys: {}, readers: [] },
});
const found = (of: ListedSecret, objects: Parameters<typeof readersOf>[1]) =>
  readersOf(of, objects).map(
    ({ kind, namespace, name, gets }) => `${kind} ${namespace}/${name.replace(/-[0-9a-f]{10}$/, '')}: ${gets}`,
  );

/** Objects of a homelab in which a service, a web app and a job use secrets, one as a file. */
const objects = renderedHomelab((homelab) => {
  homelab.secrets = { partner: Secret.generated() };
  homelab.services.chat.secrets = {
    KEY: Secret.keyPair().file('/run/secrets/key.pem'),
    PARTNER: Secret.shared('partner'),
  };
  homelab.webApps.web.secrets = { PARTNER: Secret.shared('partner').file('/run/secrets/partner') };
  homelab.services.nightly = {
    ...{ kind: 'job', schedule: '0 3 * * *', image: 'ghcr.io/example/nightly:1.0.0' },
    secrets: { PARTNER: Secret.shared('partner') },
    connects: [{ mongodb: 'mongodb', database: 'reports' }],
  };
}) as unknown as Parameters<typeof readersOf>[1];

test('a secret of a service restarts it, also where it is a file', () => {
  expect(found(secret('chat.key', 'services'), objects)).toEqual(['Deployment services/chat: restart']);
});

test('a job reads a shared secret at its next start, and the services restart', () => {
  expect(found(secret('shared.partner', 'services', 'web'), objects).sort()).toEqual([
    'CronJob services/nightly: next-start',
    'Deployment services/chat: restart',
    'Deployment web/web: restart',
  ]);
});

test('the job of a database runs again for a new login, and the job that uses it does not', () => {
  expect(found(secret('mongodb-nightly', 'mongodb', 'services'), objects).sort()).toEqual([
    'CronJob services/nightly: next-start',
    'Job mongodb/mongodb-users: run-again',
  ]);
});

test('pods of a job are found by its own label, and those of a CronJob by the labels of its pods', () => {
  const [cron] = readersOf(secret('shared.partner', 'services'), objects).filter(({ kind }) => kind === 'CronJob');
  expect(cron!.selector).toContain('app.kubernetes.io/instance=nightly');
});

test('a job that nothing else shares its secret with runs again', () => {
  const env = [{ name: 'A', valueFrom: { secretKeyRef: { name: 'own', key: 'value' } } }];
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ env }] } };
  const job = { object: { kind: 'Job', metadata: { name: 'once', namespace: 'services' }, spec: { template } } };
  const deployment = {
    object: {
      kind: 'Deployment',
      metadata: { name: 'api', namespace: 'services' },
      spec: { template, selector: { matchLabels: { a: 'b' } } },
    },
  };
  const all = [job, deployment] as unknown as typeof objects;
  expect(found(secret('own', 'services'), all!.slice(0, 1))).toEqual(['Job services/once: run-again']);
  expect(found(secret('own', 'services'), all)).toEqual([
    'Job services/once: next-start',
    'Deployment services/api: restart',
  ]);
});
