import { App, Chart } from 'cdk8s';
import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ExternalLlmService, LlmEndpoint } from '../../constructs';
import { LlmProof } from '../../constructs/llm-proof';
import { scriptFile } from '../../constructs/script-file';
import { DeclaredSecret } from '../../constructs/secrets';
import { MicroserviceDeployment } from '../../constructs/microservice-deployment';
import { chartIn, objectOf, objects, patience, yamlOf } from './render';
import { python3, pythonTest } from './python';

const models = { chat: { tag: 'qwen2.5:14b' }, embeddings: { tag: 'nomic-embed-text:v1.5' } };
const address = '192.168.1.30';

function rendered(endpoint = LlmEndpoint.endpointSlice({ address })) {
  const chart = chartIn('services');
  return { chart, llm: new ExternalLlmService(chart, 'llm-service', { endpoint, models }) };
}

test('the EndpointSlice contains its conditions, or Argo CD would always show a diff', () => {
  const slice = objectOf(rendered().chart, 'EndpointSlice');
  expect(slice.endpoints).toEqual([
    { addresses: [address], conditions: { ready: true, serving: true, terminating: false } },
  ]);
  expect(slice.metadata.labels).toMatchObject({
    'kubernetes.io/service-name': 'llm-service',
    'endpointslice.kubernetes.io/managed-by': 'collab-homelab',
  });
});

test('the ports of the slice and of the Service have the same name, and the Service has no selector', () => {
  const { chart } = rendered();
  expect(objectOf(chart, 'Service').spec.ports[0].name).toBe(objectOf(chart, 'EndpointSlice').ports[0].name);
  expect(objectOf(chart, 'Service').spec).not.toHaveProperty('selector');
});

test('a client connects to a model by name, gets its tag, and reaches only the address of the machine', () => {
  const { chart, llm } = rendered();
  new MicroserviceDeployment(chart, 'assistant', { image: 'a:1' }).connectTo(llm, { model: 'chat' });
  expect(objectOf(chart, 'Deployment').spec.template.spec.containers[0].env).toEqual([
    { name: 'LLM_HOST', value: 'llm-service' },
    { name: 'LLM_PORT', value: '11434' },
    { name: 'LLM_BASE_URL', value: 'http://llm-service:11434/v1' },
    { name: 'LLM_MODEL', value: 'qwen2.5:14b' },
  ]);
  expect(objectOf(chart, 'NetworkPolicy').spec.egress).toContainEqual({
    to: [{ ipBlock: { cidr: '192.168.1.30/32' } }],
    ports: [{ port: 11434, protocol: 'TCP' }],
  });
});

test('the short name also resolves in another namespace: one alias for all its clients', () => {
  const { chart, llm } = rendered();
  const other = new Chart(chart.node.root as any, 'tools', { namespace: 'tools' });
  for (const id of ['a', 'b'])
    new MicroserviceDeployment(other, id, { image: 'a:1' }).connectTo(llm, { model: 'chat' });
  expect(objectOf(other, 'Service', 'llm-service').spec).toEqual({
    type: 'ExternalName',
    externalName: 'llm-service.services.svc.cluster.local',
  });
});

test('two charts of one namespace share its alias, which overrideManifest can change', () => {
  const app = new App();
  const llm = new ExternalLlmService(new Chart(app, 'llm', { namespace: 'services' }), 'llm-service', {
    endpoint: LlmEndpoint.endpointSlice({ address }),
    models: { chat: { tag: 'a:1' } },
    overrideManifest: (object) => ({ ...object, metadata: { ...object.metadata, annotations: { seen: 'yes' } } }),
  });
  const charts = ['one', 'two'].map((id) => new Chart(app, id, { namespace: 'web' }));
  charts.forEach((chart, index) =>
    new MicroserviceDeployment(chart, `client-${index}`, { image: 'a:1' }).connectTo(llm, { model: 'chat' }),
  );
  const aliases = charts.flatMap((chart) => objects(chart)).filter(({ metadata }) => metadata.name === 'llm-service');
  expect(aliases).toHaveLength(1);
  expect(aliases[0]!.metadata.annotations).toEqual({ seen: 'yes' });
});

test('with a DNS name there are no endpoints: the check has no token and no egress to the API server', () => {
  const { chart, llm } = rendered(LlmEndpoint.dnsName({ name: 'ai.home.arpa', addresses: [address] }));
  new LlmProof(chart, 'proof', { llm, apiServer: { cidrs: ['192.168.1.20/32'], port: 6443 } });
  expect(objects(chart).map(({ kind }) => kind)).not.toContain('Role');
  expect(objectOf(chart, 'Job').spec.template.spec.automountServiceAccountToken).toBe(false);
  expect(JSON.stringify(objectOf(chart, 'NetworkPolicy', `${llm.name}-proof`))).not.toContain('192.168.1.20');
});

test('rejects a model that is not declared, and lists the declared ones', () => {
  const { chart, llm } = rendered();
  expect(() => new MicroserviceDeployment(chart, 'a', { image: 'a:1' }).connectTo(llm, { model: 'vision' })).toThrow(
    'services/llm-service: a client must connect to a declared model, got "vision" (allowed: chat, embeddings)',
  );
});

test('with a proxy only the proxy reaches the machine, and it is ready while the machine answers', () => {
  const { chart, llm } = rendered(LlmEndpoint.tcpProxy({ address }));
  new MicroserviceDeployment(chart, 'assistant', { image: 'a:1' }).connectTo(llm, { model: 'chat' });
  expect(objects(chart).map(({ kind }) => kind)).not.toContain('EndpointSlice');
  const pod = objectOf(chart, 'Deployment', 'llm-service').spec.template.spec;
  const [proxy] = pod.containers;
  // The user of the image.
  expect(pod.securityContext).toMatchObject({ runAsUser: 101, runAsGroup: 101 });
  expect(proxy.readinessProbe.httpGet).toEqual({ path: '/api/version', port: 'http' });
  expect(patience(proxy)).toEqual([
    [30, 1],
    [30, 3],
  ]);
  expect(proxy.resources).toEqual({ requests: { memory: '64Mi', cpu: '50m' }, limits: { memory: '64Mi' } });
  // Nobody is without a proxy while it rolls.
  expect(objectOf(chart, 'Deployment', 'llm-service').spec).toMatchObject({
    replicas: 1,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
  });
  expect(JSON.stringify(objectOf(chart, 'NetworkPolicy', 'assistant'))).not.toContain(address);
  expect(JSON.stringify(objectOf(chart, 'NetworkPolicy', 'llm-service').spec.egress)).toContain(`${address}/32`);
});

test('a DNS name becomes an ExternalName Service, and the policy allows its networks', () => {
  const { chart, llm } = rendered(LlmEndpoint.dnsName({ name: 'ai.home.arpa', addresses: [address] }));
  new MicroserviceDeployment(chart, 'assistant', { image: 'a:1' }).connectTo(llm, { model: 'chat' });
  expect(objectOf(chart, 'Service', 'llm-service').spec).toEqual({
    type: 'ExternalName',
    externalName: 'ai.home.arpa',
  });
  expect(JSON.stringify(objectOf(chart, 'NetworkPolicy').spec.egress)).toContain(`${address}/32`);
});

test.each([
  [{ port: 443 }, 'https://api.example.com', '443'],
  [{ port: 8443, tls: true }, 'https://api.example.com:8443', '8443'],
  [{ port: 443, tls: false }, 'http://api.example.com:443', '443'],
  [{}, 'http://api.example.com:11434', '11434'],
])(
  'behind a DNS name clients are told that name, with %j as %s, and the key of a declared secret',
  (props, url, port) => {
    const chart = chartIn('services');
    const secret = new DeclaredSecret(chart, 'key', {
      name: 'llm-key',
      namespaces: [],
      keys: { key: { ask: 'the key' } },
    });
    const llm = new ExternalLlmService(chart, 'llm-service', {
      endpoint: LlmEndpoint.dnsName({ name: 'api.example.com', addresses: ['203.0.113.7'], ...props }),
      models: { chat: { tag: 'large-1' } },
      apiKey: secret.key('key'),
    });
    new LlmProof(chart, 'proof', { llm, apiServer: { cidrs: ['192.168.1.20/32'], port: 6443 } });
    new MicroserviceDeployment(chart, 'assistant', { image: 'a:1' }).connectTo(llm, { model: 'chat' });
    const key = { secretKeyRef: { name: 'llm-key', key: 'key' } };
    expect(objectOf(chart, 'Deployment').spec.template.spec.containers[0].env).toEqual([
      { name: 'LLM_HOST', value: 'api.example.com' },
      { name: 'LLM_PORT', value: port },
      { name: 'LLM_BASE_URL', value: `${url}/v1` },
      { name: 'LLM_MODEL', value: 'large-1' },
      { name: 'LLM_API_KEY', valueFrom: key },
    ]);
    expect(secret.namespaces).toEqual(['services']);
    expect(secret.readers).toEqual(['services/assistant', 'services/proof']);
    const { env } = objectOf(chart, 'Job').spec.template.spec.containers[0];
    expect(env).toContainEqual({ name: 'URL', value: url });
    expect(env).toContainEqual({ name: 'API_KEY', valueFrom: key });
  },
);

describe('a key for each client', () => {
  const ofOwn = () => {
    const chart = chartIn('services');
    const endpoint = LlmEndpoint.endpointSlice({ address });
    return { chart, llm: new ExternalLlmService(chart, 'llm-service', { endpoint, models, apiKey: 'per-client' }) };
  };
  const variable = (chart: Chart, kind: string, name: string, of: string) =>
    objectOf(chart, kind, name).spec.template.spec.containers[0].env.find((each: { name: string }) => each.name === of);

  test('is generated, in the namespace of the client, and the same for all of its models', () => {
    const { chart, llm } = ofOwn();
    const client = new MicroserviceDeployment(chart, 'assistant', { image: 'a:1' });
    client.connectTo(llm, { model: 'chat' });
    client.connectTo(llm, { model: 'embeddings', envPrefix: 'EMBED' });
    new LlmProof(chart, 'proof', { llm, apiServer: { cidrs: ['192.168.1.20/32'], port: 6443 } });
    const key = (name: string) => ({ secretKeyRef: { name, key: 'api-key' } });
    for (const name of ['LLM_API_KEY', 'EMBED_API_KEY'])
      expect(variable(chart, 'Deployment', 'assistant', name).valueFrom).toEqual(key('llm-service-assistant'));
    expect(variable(chart, 'Job', 'llm-service-proof', 'API_KEY').valueFrom).toEqual(key('llm-service-proof'));
    expect(DeclaredSecret.all(chart).map(({ name, namespaces, keys }) => [name, namespaces, keys])).toEqual(
      ['llm-service-assistant', 'llm-service-proof'].map((name) => [
        name,
        ['services'],
        { 'api-key': { generate: 'alphanumeric', length: 48 } },
      ]),
    );
  });

  test('two clients of one name are refused: the proxy could not tell them apart', () => {
    const { chart, llm } = ofOwn();
    const other = new Chart(chart.node.root as any, 'tools', { namespace: 'tools' });
    new MicroserviceDeployment(chart, 'assistant', { image: 'a:1' }).connectTo(llm, { model: 'chat' });
    const second = new MicroserviceDeployment(other, 'assistant', { image: 'a:1' });
    expect(() => second.connectTo(llm, { model: 'chat' })).toThrow(
      'the name of a client of services/llm-service must be its own, because its key has it, got "assistant, that of services/assistant too"',
    );
  });
});

test.each(['127.0.0.1', '169.254.1.1', '0.0.0.0', '224.0.0.1', 'ai-vm', '1.2.3'])(
  'the address %s is refused: an EndpointSlice would not take it, or not lead there',
  (bad) => {
    expect(() => rendered(LlmEndpoint.endpointSlice({ address: bad }))).toThrow(
      'the address of a model must be an IPv4 address of another machine',
    );
  },
);

test('rejects an address in place of a name, no models, and a port out of range', () => {
  expect(() => rendered(LlmEndpoint.dnsName({ name: address, addresses: [address] }))).toThrow(
    'the name of an endpoint must be a DNS name',
  );
  expect(() => rendered(LlmEndpoint.endpointSlice({ address, port: 0 }))).toThrow('port must be a port, got 0');
  expect(
    () => new ExternalLlmService(chartIn(), 'llm', { endpoint: LlmEndpoint.endpointSlice({ address }), models: {} }),
  ).toThrow('models must name at least one');
});

test('renders the service and its check', () => {
  const { chart, llm } = rendered();
  new LlmProof(chart, 'proof', { llm, apiServer: { cidrs: ['192.168.1.20/32'], port: 6443 } });
  expect(yamlOf(chart)).toMatchSnapshot();
});

describe('the proof', () => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'llm-proof-'));
  fs.writeFileSync(join(folder, 'proof.py'), scriptFile('llm-proof.py'));
  fs.writeFileSync(join(folder, 'token'), 'token');
  /** Answers as API server and endpoint at once, from one file. */
  fs.writeFileSync(
    join(folder, 'server.py'),
    `import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        answers = json.load(open(sys.argv[1]))
        key = "tags" if self.path == "/api/tags" else "slices"
        body = json.dumps(answers.get(key)).encode() if key in answers else b""
        self.send_response(200 if key in answers else 403)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
`,
  );
  let server: ReturnType<typeof spawn> | undefined;
  let port = '';
  beforeAll(async () => {
    if (python3 === '') return;
    server = spawn(python3, [join(folder, 'server.py'), join(folder, 'answers.json')]);
    port = String(await new Promise((resolve) => server!.stdout!.once('data', resolve))).trim();
  });
  afterAll(() => {
    server?.kill();
    fs.rmSync(folder, { recursive: true });
  });

  function prove(answers: object, url = `http://127.0.0.1:${port}`, more: Record<string, string> = {}) {
    fs.writeFileSync(join(folder, 'answers.json'), JSON.stringify(answers));
    const env = {
      ...process.env,
      API: `http://127.0.0.1:${port}`,
      CREDENTIALS: folder,
      SERVICE: 'llm-service',
      NAMESPACE: 'services',
      URL: url,
      HAS_ENDPOINTS: 'yes',
      MODELS: 'a:1 b:2',
      ...more,
    };
    return spawnSync(python3, [join(folder, 'proof.py')], { env, encoding: 'utf8', timeout: 30_000 });
  }
  const slices = { items: [{ endpoints: [{ addresses: [address], conditions: { ready: true } }] }] };
  const tags = { models: [{ name: 'a:1' }, { name: 'b:2' }] };

  pythonTest('is content when there is an endpoint and it has every model', () => {
    expect(prove({ slices, tags })).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('has every model: a:1 b:2'),
    });
  });

  pythonTest('lets a trained model be missing until a version of it was published', () => {
    const released = { RELEASED: 'b:2=writer' };
    expect(prove({ slices, tags: { models: [{ name: 'a:1' }] } }, undefined, released)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/b:2 is not published yet: npm run models -- publish writer[^]*every model: a:1\n/),
    });
    const published = { models: [{ name: 'a:1' }, { name: 'writer:v1' }] };
    expect(prove({ slices, tags: published }, undefined, released)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('answers but lacks b:2'),
    });
    expect(prove({ slices, tags: { models: [{ name: 'b:2' }] } }, undefined, released)).toMatchObject({ status: 1 });
  });

  test('tells the proof which models are released, and refuses others', () => {
    const { chart, llm } = rendered();
    const apiServer = { cidrs: ['192.168.1.20/32'] as [string], port: 6443 };
    const [name, { tag }] = Object.entries(llm.models)[0]!;
    new LlmProof(chart, 'proof', { llm, apiServer, released: [name] });
    expect(yamlOf(chart)).toMatch(new RegExp(`name: RELEASED\\n +value: "?${tag}=${name}`));
    expect(() => new LlmProof(chart, 'other', { llm, apiServer, released: ['none'] })).toThrow(
      /released must name models of the service.*none/,
    );
  });

  pythonTest.each([
    [
      'no endpoint: Argo CD skipped it',
      { slices: { items: [] }, tags },
      'API server: service services/llm-service has no ready endpoint',
    ],
    [
      'an endpoint that is not ready',
      { slices: { items: [{ endpoints: [{ conditions: { ready: false } }] }] }, tags },
      'has no ready endpoint',
    ],
    ['no right to ask', { tags }, 'API server: cannot read the EndpointSlices of services/llm-service'],
    ['a model that is missing', { slices, tags: { models: [{ name: 'a:1' }] } }, 'answers but lacks b:2; it has a:1'],
    ['an answer that makes no sense', { slices, tags: 5 }, 'endpoint: http://127.0.0.1'],
  ])('says which of the two failed: %s', (_name, answers, message) => {
    expect(prove(answers)).toMatchObject({ status: 1, stderr: expect.stringContaining(message) });
  });

  pythonTest('asks an HTTPS endpoint by its own name and with its key', async () => {
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    const made = spawnSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-keyout', key, '-out', cert, ...names],
      { encoding: 'utf8', timeout: 30_000 },
    );
    expect(made).toMatchObject({ status: 0 });
    fs.writeFileSync(
      join(folder, 'https.py'),
      `import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        named = self.headers["Host"].startswith("localhost:") and self.path == "/v1/models"
        known = self.headers["Authorization"] == "Bearer key-1"
        self.send_response(404 if not named else 200 if known else 401)
        self.end_headers()
        self.wfile.write(b'{"data": [{"id": "large-1"}]}')
    def log_message(self, *_): pass
server = http.server.HTTPServer(("localhost", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
`,
    );
    const https = spawn(python3, [join(folder, 'https.py'), cert, key]);
    try {
      const at = String(await new Promise((resolve) => https.stdout.once('data', resolve))).trim();
      const ask = (host: string, more: Record<string, string>) =>
        spawnSync(python3, [join(folder, 'proof.py')], {
          env: {
            ...process.env,
            SSL_CERT_FILE: cert,
            SERVICE: 'llm-service',
            NAMESPACE: 'services',
            URL: `https://${host}:${at}`,
            HAS_ENDPOINTS: 'no',
            MODELS: 'large-1',
            ...more,
          },
          encoding: 'utf8',
          timeout: 30_000,
        });
      expect(ask('localhost', { API_KEY: 'key-1' })).toMatchObject({
        status: 0,
        stdout: expect.stringContaining('has every model: large-1'),
      });
      expect(ask('localhost', {})).toMatchObject({ status: 1, stderr: expect.stringContaining('401') });
      expect(ask('127.0.0.1', { API_KEY: 'key-1' })).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('certificate'),
      });
    } finally {
      https.kill();
    }
  });

  pythonTest('says that the machine does not answer', () => {
    expect(prove({ slices, tags }, 'http://127.0.0.1:1')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('endpoint: http://127.0.0.1:1 does not answer'),
    });
  });
});
