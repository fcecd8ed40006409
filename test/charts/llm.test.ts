import { DeclaredSecret } from '../../constructs';
import { homelabApp } from '../../charts';
import { defineHomelab, llmClients, type Homelab } from '../../inventory';
import { changed, ofKind, renderedHomelab } from '../homelab';

const CHAT = 'qwen2.5:14b-instruct-q4_K_M';
const EMBEDDINGS = 'nomic-embed-text:v1.5';
const FALLBACK = { host: 'api.example.com', addresses: ['203.0.113.7'], model: 'large-1' };

test('each client that the proxy knows has a declared key, and no other secret is one', () => {
  const homelab: Homelab = defineHomelab(changed((h) => (h.llm.gateway = { outside: ['mac-programs'] })));
  const declared = DeclaredSecret.all(homelabApp(homelab)).filter(({ keys }) => 'api-key' in keys);
  const clients = llmClients(homelab);
  expect(declared.map(({ name }) => name)).toEqual(clients.map(({ secret }) => secret).sort());
  expect(clients.map(({ name, models }) => [name, models.join(' ')])).toEqual([
    ['assistant', `${CHAT} writer:stable`],
    ['mac-programs', `${EMBEDDINGS} ${CHAT} writer:stable`],
    ['proof', `${EMBEDDINGS} ${CHAT} writer:stable`],
    ['search', EMBEDDINGS],
  ]);
});

test('without a gateway nobody has a key', () => {
  const homelab = defineHomelab(changed(() => undefined));
  expect(llmClients(homelab)).toEqual([]);
  expect(DeclaredSecret.all(homelabApp(homelab)).filter(({ keys }) => 'api-key' in keys)).toEqual([]);
});

describe('a fallback', () => {
  const rendering = renderedHomelab((h) => Object.assign(h.llm.models.chat, { fallback: FALLBACK }));
  const named = (kind: string, name: string) => ofKind(rendering, kind).find(({ metadata }) => metadata.name === name)!;
  const variables = (name: string) =>
    (named('Deployment', name).spec.template.spec.containers[0].env as { name: string }[]).filter((each) =>
      each.name.includes('FALLBACK'),
    );

  test('reaches clients of its model by name and key, over TLS', () => {
    expect(variables('assistant')).toEqual([
      { name: 'LLM_FALLBACK_HOST', value: 'api.example.com' },
      { name: 'LLM_FALLBACK_PORT', value: '443' },
      { name: 'LLM_FALLBACK_BASE_URL', value: 'https://api.example.com/v1' },
      { name: 'LLM_FALLBACK_MODEL', value: 'large-1' },
      {
        name: 'LLM_FALLBACK_API_KEY',
        valueFrom: { secretKeyRef: { name: 'llm-service-chat-fallback', key: 'api-key' } },
      },
    ]);
    expect(variables('search')).toEqual([]);
  });

  test('lets out to its addresses those clients alone', () => {
    const reach = ofKind(rendering, 'NetworkPolicy')
      .filter(({ spec }) => JSON.stringify(spec.egress ?? []).includes('203.0.113.7/32'))
      .map(({ metadata }) => metadata.name);
    expect(reach).toEqual(['assistant']);
  });

  test('on another port without TLS asks for no key', () => {
    const local = { ...FALLBACK, host: 'second.collab.home.arpa', addresses: ['192.168.1.31'], port: 11434 };
    const app = homelabApp(defineHomelab(changed((h) => Object.assign(h.llm.models.chat, { fallback: local }))));
    expect(DeclaredSecret.all(app).filter(({ keys }) => 'api-key' in keys)).toEqual([]);
  });
});
