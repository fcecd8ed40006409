import { createHash } from 'node:crypto';
import homelab from '../fixtures/homelab';
import { firewall, packages } from '../../machines/ai-vm';
import { ollamaOverride } from '../../machines/ollama';
import { PROXY_FILES, proxyConfig } from '../../machines/llm-proxy';
import type { Homelab, LlmGateway, UbuntuMachine } from '../../inventory';
import { NotReady, Problem } from '../../scripts/engine/problem';
import { assertClientsHaveKeys, proxyKeys, proxyOf } from '../../scripts/secrets/llm-keys';
import { noProxy, proxyFiles, proxyRuns } from '../../scripts/stages/ai-vm/llm-proxy';
import { fakeKubernetes } from './kubernetes';
import { aiVm, apply, Told } from './ubuntu';

const READER = {
  kind: 'Deployment',
  metadata: { name: 'assistant', namespace: 'services' },
  spec: {
    selector: { matchLabels: { app: 'assistant' } },
    template: {
      spec: {
        containers: [{ env: [{ valueFrom: { secretKeyRef: { name: 'llm-service-assistant', key: 'api-key' } } }] }],
      },
    },
  },
};
jest.mock('../../scripts/engine/root', () => jest.requireActual('../fixtures/dist'));
jest.mock('../../scripts/clients/context', () => ({
  ...jest.requireActual('../../scripts/clients/context'),
  manifests: () => [{ object: READER }],
}));

const withGateway = (gateway: LlmGateway = {}): Homelab => ({ ...homelab, llm: { ...homelab.llm!, gateway } });
const guarded = withGateway();
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const secret = {
  name: 'llm-service-assistant',
  namespaces: ['services'],
  type: 'Opaque' as const,
  keys: { 'api-key': { generate: 'alphanumeric' as const, length: 48 } },
  readers: [],
};
const storeOf = (now: string | undefined, previous?: string): any => {
  const places = (value?: string) => (value === undefined ? {} : { services: { [secret.name]: { 'api-key': value } } });
  return { declared: [secret], read: async () => ({ secrets: places(now), previous: places(previous) }) };
};
const facts = (more: Record<string, string> = {}) =>
  Object.entries({ active: 'active', enabled: 'enabled', mark: '', file: '', keys: '', ...more })
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');

describe('the rendered files of the AI VM', () => {
  test('behind the gateway Ollama listens on loopback, without it on all addresses', () => {
    expect(ollamaOverride(guarded).text).toContain('OLLAMA_HOST=127.0.0.1:11434');
    expect(ollamaOverride(homelab).text).toContain('OLLAMA_HOST=0.0.0.0:11434');
    const machine = homelab.machines['ai-vm'] as UbuntuMachine;
    expect(packages(guarded, 'ai-vm', machine)).toEqual(expect.arrayContaining(['haproxy', 'socat']));
    expect(packages(homelab, 'ai-vm', machine)).not.toContain('haproxy');
  });

  test('only the addresses of scrapers reach the metrics', () => {
    const scraped = withGateway({ scrapedBy: ['192.168.1.22'] });
    expect(firewall(scraped, 'ai-vm').rules).toContain('ip saddr { 192.168.1.22 } tcp dport 8405 accept');
    expect(firewall(guarded, 'ai-vm').rules).not.toContain('8405');
    const binds = ({ text }: { text: string }) => text.match(/bind \S+:8405/g);
    expect(binds(proxyConfig(guarded))).toEqual(['bind 127.0.0.1:8405']);
    expect(binds(proxyConfig(scraped))).toEqual(['bind 127.0.0.1:8405', 'bind 192.168.1.30:8405']);
  });

  test('no line of the configuration exceeds the limits of HAProxy: 2048 characters, 64 words', () => {
    const many = Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => [
        `model-${index}`,
        { tag: `hf.co/some-organisation/some-model-with-a-long-name-${index}:q4_K_M`, context: 4096 },
      ]),
    );
    const large: Homelab = { ...guarded, services: {}, webApps: {}, llm: { ...guarded.llm!, models: many } };
    for (const line of proxyConfig(large).text.split('\n')) {
      expect(line.length).toBeLessThan(2048);
      expect(line.trim().split(/\s+/).length).toBeLessThanOrEqual(64);
    }
  });
});

describe('the keys of the proxy', () => {
  test('are the old and new keys of the file, as digests that only root can read', async () => {
    const commands = new Told({ 'llm-proxy.sh state': facts() });
    const step = proxyKeys({ ...commands.context(guarded) }, storeOf('new-key', 'old-key'));
    const change = (await step.plan())!;
    expect(change.lines).toEqual(['SHA-256 of the keys of: assistant']);
    await apply(step);
    expect(commands.changed.join('\n')).toContain(`${PROXY_FILES.clients} 0600`);
    expect(commands.changed.at(-1)).toBe('ubuntu/llm-proxy.sh keys');
    expect(JSON.stringify([change, commands.changed])).not.toMatch(/new-key|old-key/);
  });

  test('need no change if the file and the running proxy have them', async () => {
    const wanted = sha256(
      ['a', 'b']
        .map((key) => `${sha256(key)} assistant\n`)
        .sort()
        .join(''),
    );
    const planned = (more: Record<string, string>) =>
      proxyKeys(new Told({ 'llm-proxy.sh state': facts(more) }).context(guarded), storeOf('a', 'b')).plan();
    await expect(planned({ file: wanted, keys: wanted, mark: 'x' })).resolves.toBeUndefined();
    await expect(planned({ file: wanted })).resolves.toBeUndefined();
    await expect(planned({ file: wanted, keys: sha256(''), mark: 'x' })).resolves.toBeDefined();
    await expect(planned({ file: sha256(''), keys: wanted, mark: 'x' })).resolves.toBeDefined();
  });

  test('cannot be seen before all of them are made, so that the plan says what will be done', async () => {
    const commands = new Told({ 'llm-proxy.sh state': facts() });
    const keyless = proxyKeys({ ...commands.context(guarded) }, storeOf(undefined)).plan();
    await expect(keyless).rejects.toThrow(NotReady);
    await expect(keyless).rejects.toThrow(/these have none: llm-service-assistant$/);
  });

  test('belong only to secrets of clients', () => {
    const context = new Told({}).context(guarded);
    expect(proxyOf(context, storeOf('a'), secret)).toBeDefined();
    expect(proxyOf(context, storeOf('a'), { ...secret, name: 'mongodb-root' })).toBeUndefined();
    expect(proxyOf(new Told({}).context(), storeOf('a'), secret)).toBeUndefined();
  });
});

describe('before the proxy requires keys', () => {
  const asked = (get: () => Promise<any>) => {
    const kubernetes = fakeKubernetes();
    kubernetes.get.mockImplementation(get);
    return assertClientsHaveKeys({ ...new Told({}).context(guarded), kubernetes } as any, storeOf('a'));
  };

  test('a client that runs without a key stops the stage before any change', async () => {
    const old = { spec: { template: { spec: { containers: [{ env: [] }] } } } };
    await expect(asked(async () => old)).rejects.toThrow(/these run without: services\/assistant/);
  });

  test('clients that have a key, or do not run yet, do not stop it', async () => {
    await expect(asked(async () => READER)).resolves.toBeUndefined();
    await expect(asked(async () => undefined)).resolves.toBeUndefined();
    const noCluster = async () => Promise.reject(new NotReady('no kubeconfig'));
    await expect(asked(noCluster)).resolves.toBeUndefined();
  });

  test('a cluster that does not answer stops the stage', async () => {
    const silent = async () => Promise.reject(new Problem('connection refused'));
    await expect(asked(silent)).rejects.toThrow(/does not answer whether .* have their keys/);
  });
});

test('the configuration can be seen once the package is there, which brings one of its own', async () => {
  const planned = (installed: string | { code: number }) => {
    const commands = new Told({ 'dpkg-query': installed, sha256sum: `${sha256('')}  -\n` });
    const steps = proxyFiles({ ...commands.context(guarded), sops: {} } as any, aiVm(commands, guarded));
    return steps.at(-1)!.plan();
  };
  await expect(planned({ code: 1 })).rejects.toThrow(NotReady);
  await expect(planned('installed\n')).resolves.toMatchObject({ actions: [{ lines: [/haproxy.cfg/] }] });
});

test('starts the proxy only if another configuration runs', async () => {
  const { mark } = proxyConfig(guarded);
  let runs = facts({ mark: 'another' });
  const commands = new Told({
    'llm-proxy.sh state': () => runs,
    'llm-proxy.sh start': () => ((runs = facts({ mark })), ''),
  });
  const step = proxyRuns(guarded, aiVm(commands, guarded));
  await apply(step);
  expect(commands.changed).toEqual(['ubuntu/llm-proxy.sh start']);
  await expect(step.plan()).resolves.toBeUndefined();
});

test('without a gateway, stops an existing proxy before Ollama takes its port', async () => {
  const there = new Told({ 'test -e': '' });
  await apply(noProxy(aiVm(there)));
  expect(there.changed).toEqual(['ubuntu/llm-proxy.sh stop']);
  await expect(noProxy(aiVm(new Told({ 'test -e': { code: 1 } }))).plan()).resolves.toBeUndefined();
});
