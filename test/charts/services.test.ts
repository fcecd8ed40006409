import { Probes } from '../../inventory';
import { ofKind, renderedHomelab } from '../homelab';

/** The container of a service, after a change of the homelab. */
function container(name: string, change?: (homelab: any) => void) {
  const deployment = ofKind(renderedHomelab(change), 'Deployment').find(({ metadata }) => metadata.name === name)!;
  return deployment.spec.template.spec.containers[0];
}

/** Its environment, without the values of secrets. */
const environment = (name: string, change?: (homelab: any) => void) =>
  Object.fromEntries(container(name, change).env.map(({ name: key, value }: any) => [key, value]));

test('a service without an image runs podinfo, at its port', () => {
  const { image, ports } = container('chat');
  expect(image).toMatch(/\/podinfo:[\d.]+$/);
  expect(ports[0]).toMatchObject({ name: 'http', containerPort: 9898 });
});

test('an image of your own has its port, health check paths and environment', () => {
  const { image, ports, livenessProbe, readinessProbe, env } = container('chat', (h) =>
    Object.assign(h.services.chat, {
      image: 'ghcr.io/owner/chat:1.0.0',
      port: 8081,
      probes: Probes.http({ live: '/alive', ready: '/go' }),
      env: { LOG: 'debug' },
    }),
  );
  expect([image, ports[0].containerPort]).toEqual(['ghcr.io/owner/chat:1.0.0', 8081]);
  expect([livenessProbe.httpGet.path, readinessProbe.httpGet.path]).toEqual(['/alive', '/go']);
  expect(env).toContainEqual({ name: 'LOG', value: 'debug' });
});

test.each([
  ['chat', '256Mi', '100m'],
  ['web', '128Mi', '50m'],
])('%s requests %s and %s by default', (name, memory, cpu) => {
  expect(container(name).resources).toEqual({ requests: { memory, cpu }, limits: { memory } });
});

test('the variables of the first model start with LLM, those of others with their names', () => {
  expect(environment('assistant')).toMatchObject({ LLM_MODEL: 'qwen2.5:14b-instruct-q4_K_M' });
  const both = environment('assistant', (h) => h.services.assistant.connects.push({ model: 'embeddings' }));
  expect(both).toMatchObject({
    LLM_MODEL: 'qwen2.5:14b-instruct-q4_K_M',
    LLM_EMBEDDINGS_MODEL: 'nomic-embed-text:v1.5',
  });
});

test('the variables of a connection start with its envPrefix', () => {
  const { API_URL } = environment('gateway', (h) => (h.services.gateway.connects[0].envPrefix = 'API'));
  expect(API_URL).toBe('http://identity.services.svc.cluster.local:9898');
  expect(environment('gateway')).not.toHaveProperty('API_URL');
});

test('renders no Application for web apps when there are none', () => {
  const applications = ofKind(
    renderedHomelab((h) => (h.webApps = {})),
    'Application',
  ).map(({ metadata }) => metadata.name);
  expect(applications).not.toContain('web');
  expect(applications).toContain('services');
});

test('every service is in the namespace of services, and every web app in its own with a route', () => {
  const rendering = renderedHomelab();
  const routes = ofKind(rendering, 'Ingress').map(({ metadata, spec }) => [metadata.namespace, spec.rules[0].host]);
  expect(routes).toEqual([
    ['web', 'admin.collab.home.arpa'],
    ['web', 'app.collab.home.arpa'],
  ]);
  expect(ofKind(rendering, 'Deployment').filter(({ metadata }) => metadata.namespace === 'services')).toHaveLength(10);
});

test('every service and web app uses the login of a private registry', () => {
  const deployments = ofKind(
    renderedHomelab((h) => (h.registry = { server: 'ghcr.io' })),
    'Deployment',
  );
  expect(deployments).toHaveLength(12);
  for (const { spec } of deployments) expect(spec.template.spec.imagePullSecrets).toEqual([{ name: 'registry' }]);
});
