import { ApiObject, App, Chart, Duration } from 'cdk8s';
import { openNetwork, plainCredentials, render, shutdown, talosKubernetes, type Check } from '../../checks';
import { Secret } from '../../inventory';
import { changed, renderedHomelab } from '../homelab';

function found(check: Check, change: (homelab: any) => void = () => undefined): string[] {
  const findings = check.find({ rendering: renderedHomelab(change), homelab: changed(change) });
  return findings.map(({ severity, message }) => `${severity}: ${message}`);
}

test('the homelab of the tests has no warnings', () => {
  expect([shutdown, openNetwork, plainCredentials, talosKubernetes].flatMap((check) => found(check))).toEqual([]);
});

test('a shutdown that is too short for the slowest pod and the critical part is an error', () => {
  const seconds = (grace: number) => (h: any) => (h.talos.shutdownGracePeriod = Duration.seconds(grace));
  expect(found(shutdown, seconds(149))).toEqual([
    'error: talos.shutdownGracePeriod must outlast the slowest pod, cassandra/statefulset.cassandra-r1.yaml with 120 s, and the 30 s for critical pods, got "149 s"; write shutdownGracePeriod: Duration.seconds(210)',
  ]);
  expect(found(shutdown, seconds(150))).toEqual([]);
});

test('a `down` that is too short for the shutdown of Talos is a warning, with the time that is used', () => {
  expect(found(shutdown, (h) => (h.machines['talos-worker-01'].down = Duration.seconds(300)))).toEqual([
    'warning: machines.talos-worker-01.down must leave Talos time after talos.shutdownGracePeriod; the bootstrap uses 450 s, got "300 s"; write down: Duration.seconds(450)',
  ]);
});

test('policies without enforcement are a warning that explains the effect', () => {
  expect(found(openNetwork, (h) => (h.talos.enforceNetworkPolicies = false))).toEqual([
    expect.stringMatching(/^warning: talos.enforceNetworkPolicies is false: every pod may reach every other pod/),
  ]);
});

test('a password in a file of a service is a warning, also in bytes, and a secret as a file is none', () => {
  const messages = found(plainCredentials, (h) => {
    h.services.chat.files = {
      '/etc/app/db.yaml': 'host: db\npassword: hunter2\n',
      '/etc/app/mail.conf': Buffer.from('smtp_password=hunter2\n'),
      '/etc/app/plain.conf': 'password_file=/run/secrets/password\n',
    };
    h.services.chat.secrets = {
      SMTP_PASSWORD: Secret.asked('password of the mail account').file('/run/secrets/password'),
    };
  });
  expect(messages).toEqual([
    "warning: services/chat/files: line 2 of file etc_app_db.yaml looks like a credential (by its name), and would be in Git as plain text; write it as a secret of the service, as secrets: { NAME: Secret.asked('what it is') }, and change it if it was ever committed",
    expect.stringContaining('line 1 of file etc_app_mail.conf looks like a credential'),
  ]);
});

test.each([
  ['DB_PASSWORD', 'hunter2'],
  ['SMTP_PASS', 'correct horse'],
  ['apiKey_TOKEN', 'abc'],
  ['STRIPE_API_KEY', '12345'],
  ['SEED', '9f86d081884c7d659a2feaa0c55ad015'],
  ['CONFIG', 'ghp_0123456789abcdefghijABCDEFGHIJ012345'],
  ['CONFIG', 'AKIAIOSFODNN7EXAMPLE'],
  ['BROKER', 'amqp://app:s3cret@broker:5672/'],
  ['SEED', 'q7Vx2Lr9Tn4Wb8Yc1Kd6Mf3Hg5Jp0Zs'],
  ['KEY', '-----BEGIN RSA PRIVATE KEY-----\nx'],
])('%s=%s is a warning without its value', (name, value) => {
  const [message, ...more] = found(plainCredentials, (h) => (h.services.chat.env = { [name]: value }));
  expect(more).toEqual([]);
  expect(message).toContain(`services/chat/deployment: environment variable ${name} looks like a credential`);
  expect(message).not.toContain(value);
});

test.each([
  ['PASSWORD_FILE', '/run/secrets/password'],
  ['DB_PASSWORD', ''],
  ['DB_PASSWORD', '$(CASSANDRA_PASSWORD)'],
  ['URL', 'amqp://app:$(CASSANDRA_PASSWORD)@broker:5672/'],
  ['TOKEN_TTL', '3600'],
  ['USE_TOKEN', 'true'],
  ['LOG_LEVEL', 'info'],
  ['FEATURES', 'collaboration,presence,search'],
  ['GREETING', 'hello-world-this-is-a-very-long-name-of-2-things'],
  ['IMAGE', `ghcr.io/owner/x@sha256:${'0'.repeat(64)}`],
])('%s=%s is no warning', (name, value) => {
  expect(found(plainCredentials, (h) => (h.services.chat.env = { [name]: value }))).toEqual([]);
});

test('credentials are found in every kind of pod, in arguments, in files and in Secrets', () => {
  const app = new App();
  const chart = new Chart(app, 'apps', { namespace: 'apps' });
  const image = 'ghcr.io/owner/app:1.0.0';
  const env = [{ name: 'DB_PASSWORD', value: 'hunter2' }];
  const pod = (container: object) => ({
    restartPolicy: 'Never',
    containers: [{ name: 'app', image, ...container }],
  });
  const template = (container: object) => ({ metadata: { labels: { app: 'x' } }, spec: pod(container) });
  const metadata = { name: 'x' };
  const object = (kind: string, apiVersion: string, more: object) =>
    new ApiObject(chart, kind, { kind, apiVersion, metadata, ...more });
  object('CronJob', 'batch/v1', {
    spec: { schedule: '@daily', jobTemplate: { spec: { template: template({ env }) } } },
  });
  object('Job', 'batch/v1', { spec: { template: template({ args: ['--password=hunter2'] }) } });
  object('StatefulSet', 'apps/v1', { spec: { template: template({ command: ['run', '--token', 'hunter2'] }) } });
  object('DaemonSet', 'apps/v1', {
    spec: { template: { spec: { ...pod({}), initContainers: [{ name: 'first', image, env }] } } },
  });
  object('Pod', 'v1', { spec: pod({ env: [{ name: 'A', value: '$(DB_PASSWORD)' }] }) });
  object('ConfigMap', 'v1', { data: { 'app.yaml': 'a: 1\npassword: hunter2' } });
  object('Secret', 'v1', { stringData: { password: 'hunter2' } });
  const messages = plainCredentials
    .find({ rendering: render(app) })
    .map(({ message }) => message.split(', and would')[0]);
  expect(messages.sort()).toEqual([
    'apps/ConfigMap: line 2 of file app.yaml looks like a credential (by its name)',
    'apps/CronJob: environment variable DB_PASSWORD looks like a credential (by its name)',
    'apps/DaemonSet: environment variable DB_PASSWORD looks like a credential (by its name)',
    'apps/Job: an argument of container app looks like a credential (by its name)',
    'apps/Secret: Secret x looks like a credential (it holds password)',
    'apps/StatefulSet: an argument of container app looks like a credential (by its name)',
  ]);
  expect(messages.join()).not.toContain('hunter2');
});

test.each([
  [
    'v1.13.9',
    'v1.37.0',
    'error: versions.kubernetes must be one that Talos v1.13.9 supports, got "v1.37.0" (allowed: v1.31 to v1.36); change one of the two; both go up one minor version at a time',
  ],
  [
    'v1.13.9',
    'v1.30.9',
    'error: versions.kubernetes must be one that Talos v1.13.9 supports, got "v1.30.9" (allowed: v1.31 to v1.36); change one of the two; both go up one minor version at a time',
  ],
  ['v1.13.0', 'v1.31.0', undefined],
  ['v1.14.1', 'v1.37.2', undefined],
  ['v1.99.0', 'v1.99.0', undefined],
])('Talos %s and Kubernetes %s', (talos, kubernetes, message) => {
  const change = (h: any) => Object.assign(h.versions, { talos, kubernetes });
  expect(found(talosKubernetes, change)).toEqual(message === undefined ? [] : [message]);
});
