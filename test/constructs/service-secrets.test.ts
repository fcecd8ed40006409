import { App, Chart } from 'cdk8s';
import { DeclaredSecret, MicroserviceDeployment, Secret, type MicroserviceDeploymentProps } from '../../constructs';
import { objectOf } from './render';

const image = 'ghcr.io/example/identity:1.0.0';

function rendered(props: Partial<MicroserviceDeploymentProps>, shared: Readonly<Record<string, Secret>> = {}) {
  const app = new App();
  for (const [name, secret] of Object.entries(shared)) DeclaredSecret.declareShared(app, name, secret);
  const chart = new Chart(app, 'apps', { namespace: 'apps' });
  new MicroserviceDeployment(chart, 'identity', { image, ...props });
  const { template } = objectOf(chart, 'Deployment').spec;
  return { app, chart, template, pod: template.spec, container: template.spec.containers[0] };
}

test('each secret is a Kubernetes Secret of its own, in the namespace of the service', () => {
  const { app, container } = rendered({
    secrets: { JWT_KEY: Secret.generated(48), SMTP_PASSWORD: Secret.asked('password of the mail account') },
  });
  expect(DeclaredSecret.all(app)).toMatchObject([
    { name: 'identity.jwt-key', namespaces: ['apps'], readers: ['apps/identity'], type: 'Opaque' },
    { name: 'identity.smtp-password', keys: { value: { ask: 'password of the mail account' } } },
  ]);
  expect(container.env).toEqual([
    { name: 'JWT_KEY', valueFrom: { secretKeyRef: { name: 'identity.jwt-key', key: 'value' } } },
    { name: 'SMTP_PASSWORD', valueFrom: { secretKeyRef: { name: 'identity.smtp-password', key: 'value' } } },
  ]);
});

test('a file is mounted alone, and its variable holds the path', () => {
  const { pod, container } = rendered({
    secrets: {
      JWT_KEY: Secret.keyPair().file('/run/secrets/jwt.pem'),
      TLS_KEY: Secret.asked('key of the server').file('/etc/app/tls.key'),
    },
  });
  expect(pod.volumes).toContainEqual({
    name: 'secrets',
    projected: {
      defaultMode: 0o440,
      sources: [
        { secret: { name: 'identity.jwt-key', items: [{ key: 'private-key', path: 'JWT_KEY' }] } },
        { secret: { name: 'identity.tls-key', items: [{ key: 'value', path: 'TLS_KEY' }] } },
      ],
    },
  });
  expect(container.volumeMounts).toContainEqual({
    ...{ name: 'secrets', mountPath: '/run/secrets/jwt.pem', subPath: 'JWT_KEY', readOnly: true },
  });
  expect(container.env).toEqual([
    { name: 'JWT_KEY_FILE', value: '/run/secrets/jwt.pem' },
    { name: 'TLS_KEY_FILE', value: '/etc/app/tls.key' },
  ]);
});

test('services in two namespaces share a value, and one of them only its public half', () => {
  const app = new App();
  const signing = DeclaredSecret.declareShared(app, 'signing', Secret.keyPair('ed25519'));
  const service = (namespace: string, secret: Secret) => {
    const chart = new Chart(app, namespace, { namespace });
    new MicroserviceDeployment(chart, `of-${namespace}`, { image, secrets: { KEY: secret } });
    return objectOf(chart, 'Deployment').spec.template.spec.containers[0].env;
  };
  const ref = (key: string) => [{ name: 'KEY', valueFrom: { secretKeyRef: { name: 'shared.signing', key } } }];
  expect(service('web', Secret.shared('signing').publicHalf())).toEqual(ref('public-key'));
  expect(service('apps', Secret.shared('signing'))).toEqual(ref('private-key'));
  expect(signing.namespaces).toEqual(['apps', 'web']);
  expect(DeclaredSecret.all(app)).toHaveLength(1);
});

test('a key of a declared secret can be a variable or a file', () => {
  const app = new App();
  const chart = new Chart(app, 'apps', { namespace: 'apps' });
  const tls = new DeclaredSecret(chart, 'tls', { name: 'tls', namespaces: [], keys: { 'tls.key': { ask: 'key' } } });
  const key = tls.key('tls.key');
  new MicroserviceDeployment(chart, 'a', { image, secrets: { KEY: key, CERT: { ...key, path: '/run/tls.key' } } });
  const { volumes, containers } = objectOf(chart, 'Deployment').spec.template.spec;
  expect(volumes[1].projected.sources).toEqual([
    { secret: { name: 'tls', items: [{ key: 'tls.key', path: 'CERT' }] } },
  ]);
  expect(containers[0].env).toEqual([
    { name: 'KEY', valueFrom: { secretKeyRef: { name: 'tls', key: 'tls.key' } } },
    { name: 'CERT_FILE', value: '/run/tls.key' },
  ]);
  expect(tls.namespaces).toEqual(['apps']);
});

test.each<[string, Partial<MicroserviceDeploymentProps>, string]>([
  [
    'a value',
    { secrets: { KEY: 'text' as unknown as Secret } },
    'apps/identity: secrets.KEY must be a Secret, got "text, which is not shown"',
  ],
  [
    'a shared name that is not declared',
    { secrets: { KEY: Secret.shared('partner') } },
    'apps/identity: a shared secret must be declared before the services that use it, got "partner" (allowed: signing)',
  ],
  [
    'the public half of what is no key',
    { secrets: { KEY: Secret.shared('signing').publicHalf() } },
    'secret shared.signing must have the key, got "public-key"',
  ],
  ['a second variable', { env: { KEY: 'a' }, secrets: { KEY: Secret.generated() } }, 'KEY must be set once'],
  [
    'a file inside another mount',
    { secrets: { KEY: Secret.generated().file('/tmp/key') } },
    'each path in volumes, sharedVolumes, scratch, files and secrets must be an absolute path that overlaps no other mount, got "/tmp/key, which is inside or contains /tmp"',
  ],
  [
    'a file in the place of a secret',
    { files: { '/run/key': 'a' }, secrets: { KEY: Secret.generated().file('/run/key') } },
    'which is /run/key"',
  ],
])('refuses %s', (_what, props, message) => {
  expect(() => rendered(props, { signing: Secret.generated() })).toThrow(message);
});

test('files are mounted one by one from a ConfigMap, and a change of any replaces the pods', () => {
  const files = { '/etc/nginx/nginx.conf': 'user nginx;\n', '/app/logo.png': Buffer.from([137, 80]) };
  const { chart, pod, container, template } = rendered({ files });
  expect(objectOf(chart, 'ConfigMap')).toMatchObject({
    metadata: { name: 'identity', namespace: 'apps' },
    data: { 'etc_nginx_nginx.conf': 'user nginx;\n' },
    binaryData: { 'app_logo.png': 'iVA=' },
  });
  expect(pod.volumes).toContainEqual({ name: 'files', configMap: { name: 'identity' } });
  expect(container.volumeMounts.slice(1)).toEqual([
    { name: 'files', mountPath: '/etc/nginx/nginx.conf', subPath: 'etc_nginx_nginx.conf', readOnly: true },
    { name: 'files', mountPath: '/app/logo.png', subPath: 'app_logo.png', readOnly: true },
  ]);
  const hash = (of: MicroserviceDeploymentProps['files']) =>
    rendered({ files: of }).template.metadata.annotations['checksum/files'];
  expect(hash(files)).toBe(template.metadata.annotations['checksum/files']);
  expect(hash({ ...files, '/app/logo.png': Buffer.from([137, 81]) })).not.toBe(hash(files));
  expect(hash({ '/a': 'x' })).not.toBe(hash({ '/b': 'x' }));
});
