import { ofKind, renderedHomelab } from '../homelab';

/** The container of a service, after a change of the homelab. */
function container(name: string, change?: (homelab: any) => void) {
  const deployment = ofKind(renderedHomelab(change), 'Deployment').find(({ metadata }) => metadata.name === name)!;
  return deployment.spec.template.spec.containers[0];
}

/** Its environment, without the values of secrets. */
const environment = (name: string, change?: (homelab: any) => void) =>
  Object.fromEntries(container(name, change).env.map(({ name: key, value }: any) => [key, value]));

test('a service without an image is stood in for by podinfo, at its port', () => {
  const { image, ports } = container('chat');
  expect(image).toMatch(/\/podinfo:[\d.]+$/);
  expect(ports[0]).toMatchObject({ name: 'http', containerPort: 9898 });
});

test('an image of its own has its port, its paths of health and its environment', () => {
  const { image, ports, livenessProbe, readinessProbe, env } = container('chat', (h) =>
    Object.assign(h.services.chat, {
      image: 'ghcr.io/owner/chat:1.0.0',
      port: 8081,
      health: { live: '/alive', ready: '/go' },
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
])('%s asks for %s and %s until it says more', (name, memory, cpu) => {
  expect(container(name).resources).toEqual({ requests: { memory, cpu }, limits: { memory } });
});

test('the first model of a service is LLM, others are called by their names', () => {
  expect(environment('assistant')).toMatchObject({ LLM_MODEL: 'qwen2.5:14b-instruct-q4_K_M' });
  const both = environment('assistant', (h) => h.services.assistant.connects.push({ model: 'embeddings' }));
  expect(both).toMatchObject({
    LLM_MODEL: 'qwen2.5:14b-instruct-q4_K_M',
    LLM_EMBEDDINGS_MODEL: 'nomic-embed-text:v1.5',
  });
});

test('a connection is called by the prefix that it is given', () => {
  const { API_URL } = environment('gateway', (h) => (h.services.gateway.connects[0].envPrefix = 'API'));
  expect(API_URL).toBe('http://identity.services.svc.cluster.local:9898');
  expect(environment('gateway')).not.toHaveProperty('API_URL');
});

test('without web apps there is no application of them', () => {
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

test('a login for a private registry is used by every service and web app', () => {
  const deployments = ofKind(
    renderedHomelab((h) => (h.registry = { server: 'ghcr.io' })),
    'Deployment',
  );
  expect(deployments).toHaveLength(12);
  for (const { spec } of deployments) expect(spec.template.spec.imagePullSecrets).toEqual([{ name: 'registry' }]);
});
