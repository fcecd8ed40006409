import { makeAuthority } from '../../scripts/engine/certificates';
import { differences } from '../../scripts/engine/differences';
import {
  alphanumeric,
  declaredSecrets,
  makeValues,
  missingKeys,
  undeclared,
  valuesOf,
  withValues,
  type DeclaredSecret,
  type Kept,
  type Places,
} from '../../scripts/engine/kept-secrets';
import { compare } from '../../scripts/engine/live-secrets';
import { Stop } from '../../scripts/engine/problem';
import { byHand, readersOf } from '../../scripts/engine/secret-readers';
import { registryLogin } from '../../scripts/stages/secrets';
import homelab from '../../homelab';

const CHAT: DeclaredSecret = {
  name: 'cassandra-chat',
  namespaces: ['cassandra', 'services'],
  type: 'Opaque',
  keys: { username: { value: 'chat' }, password: { generate: 'alphanumeric', length: 32 } },
  readers: [],
};
const kept = (secrets: Places, previous: Places = {}): Kept => ({ secrets, previous });
const live = (values: Record<string, string>, type = 'Opaque') => ({
  type,
  metadata: { creationTimestamp: '2026-01-01T00:00:00Z' },
  data: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
});
const noQuestion = async (): Promise<string> => {
  throw new Error('nobody is asked');
};

describe('a kept secret', () => {
  test('is there once with one value in each of its namespaces', async () => {
    const half = kept({ cassandra: { 'cassandra-chat': { password: 'p1' } } });
    expect(missingKeys(CHAT, half)).toEqual([
      { namespace: 'cassandra', keys: ['username'] },
      { namespace: 'services', keys: ['username', 'password'] },
    ]);
    const known = valuesOf(CHAT, half);
    const made = await makeValues(CHAT, ['username'], undefined, noQuestion);
    const next = withValues(half.secrets, CHAT, CHAT.namespaces, { ...known, ...made });
    expect(next).toEqual({
      cassandra: { 'cassandra-chat': { password: 'p1', username: 'chat' } },
      services: { 'cassandra-chat': { password: 'p1', username: 'chat' } },
    });
    expect(missingKeys(CHAT, kept(next))).toEqual([]);
  });

  test('with two values, or for another user, stops before anything is made', () => {
    const two = kept({
      cassandra: { 'cassandra-chat': { password: 'first-value' } },
      services: { 'cassandra-chat': { password: 'second-value' } },
    });
    expect(() => valuesOf(CHAT, two)).toThrow(/must have one value in cassandra and services/);
    expect(() => valuesOf(CHAT, two)).not.toThrow(/first-value|second-value/);
    const other = kept({ cassandra: { 'cassandra-chat': { username: 'talk' } } });
    expect(() => valuesOf(CHAT, other)).toThrow(/must hold username "chat"/);
  });

  test('that nobody declares any more is named and stays', () => {
    expect(undeclared([CHAT], kept({ services: { old: { key: 'x' }, 'cassandra-chat': {} } }))).toEqual([
      'services/old',
    ]);
  });

  test('with half a certificate, or a key of another one, stops', async () => {
    const secret: DeclaredSecret = {
      ...CHAT,
      name: 'tls',
      namespaces: ['ingress'],
      keys: {
        'tls.crt': { generate: 'certificate', dnsNames: ['*.collab.home.arpa'] },
        'tls.key': { generate: 'certificate-key' },
      },
    };
    const authority = await makeAuthority('collab', 'collab.home.arpa');
    const values = await makeValues(secret, Object.keys(secret.keys), authority, noQuestion);
    expect(valuesOf(secret, kept({ ingress: { tls: values } }))).toEqual(values);
    expect(() => valuesOf(secret, kept({ ingress: { tls: { 'tls.key': values['tls.key']! } } }))).toThrow(/together/);
    const mixed = { ...values, 'tls.key': authority.key };
    expect(() => valuesOf(secret, kept({ ingress: { tls: mixed } }))).toThrow(/do not belong together/);
  });
});

describe('a secret in the cluster', () => {
  const wanted = { username: 'chat', password: 'kept' };

  test('that is missing, lacks keys, or is the same is told apart', () => {
    expect(compare(CHAT, 'services', wanted, kept({}), undefined)).toEqual({
      is: 'missing',
      keys: ['username', 'password'],
    });
    expect(compare(CHAT, 'services', wanted, kept({}), live({ username: 'chat' }))).toEqual({
      is: 'missing',
      keys: ['password'],
    });
    expect(compare(CHAT, 'services', wanted, kept({}), live(wanted))).toMatchObject({ is: 'same' });
  });

  test('with another value is never overwritten, and no value is shown', () => {
    const foreign = () => compare(CHAT, 'services', wanted, kept({}), live({ ...wanted, password: 'somebody-elses' }));
    expect(foreign).toThrow(Stop);
    expect(foreign).toThrow(
      /services\/cassandra-chat holds another password.*nothing was changed.*kubectl -n services delete secret/,
    );
    expect(foreign).not.toThrow(/somebody-elses|kept"/);
    expect(() => compare(CHAT, 'services', wanted, kept({}), live(wanted, 'kubernetes.io/tls'))).toThrow(
      /can never change/,
    );
  });

  test('with the value that is being replaced is known', () => {
    const previous = { services: { 'cassandra-chat': { password: 'old' } } };
    const found = compare(CHAT, 'services', wanted, kept({}, previous), live({ ...wanted, password: 'old' }));
    expect(found).toEqual({ is: 'previous', keys: ['password'] });
  });
});

test('random characters are of the alphabet, each as often as the others', () => {
  const text = alphanumeric(62_000);
  expect(text).toMatch(/^[A-Za-z0-9]{62000}$/);
  const counts = new Map<string, number>();
  for (const each of text) counts.set(each, (counts.get(each) ?? 0) + 1);
  // 1000 each; six standard deviations are 190. A remainder of 256 would make eight of them come 1.25 times as often.
  expect(Math.min(...counts.values())).toBeGreaterThan(810);
  expect(Math.max(...counts.values())).toBeLessThan(1190);
});

test('a login for a registry is taken as docker writes it, or as USER:TOKEN, and nothing else', () => {
  const json = '{"auths":{"ghcr.io":{"auth":"dTp0"}}}';
  expect(registryLogin(json, 'ghcr.io')).toBe(json);
  expect(registryLogin('u:t', 'ghcr.io')).toBe(json);
  for (const wrong of [
    'token-alone',
    '{"auths":{"ghcr.io":{}},"credsStore":"osxkeychain"}',
    '{',
    '{"auths":{"docker.io":{"auth":"x"}}}',
  ]) {
    expect(() => registryLogin(wrong, 'ghcr.io')).toThrow(/must be USER:TOKEN/);
    expect(() => registryLogin(wrong, 'ghcr.io')).not.toThrow(/token-alone|osxkeychain/);
  }
});

describe('who reads a secret of dist/', () => {
  const declared = declaredSecrets();
  const named = (name: string) => declared.find((each) => each.name === name)!;
  const readers = (name: string) =>
    readersOf(named(name)).map(
      ({ kind, namespace, name: who }) => `${kind} ${namespace}/${who.replace(/-[0-9a-f]{10}$/, '')}`,
    );

  test('is found from its pods', () => {
    expect(readers('cassandra-chat')).toEqual(['Job cassandra/cassandra-schema', 'Deployment services/chat']);
    expect(readers('traefik-certificate')).toEqual(['DaemonSet ingress/traefik']);
    expect(readers('mongodb-keyfile')).toEqual(['StatefulSet mongodb/mongodb']);
  });

  test('tells which may be changed by a command', () => {
    const manual = declared.filter((secret) => byHand(homelab, secret) !== undefined).map(({ name }) => name);
    expect(manual).toEqual(['cassandra-admin', 'mongodb-keyfile', 'mongodb-root']);
    expect(byHand(homelab, named('mongodb-keyfile'))).toMatch(/all must restart at once/);
    expect(byHand(homelab, named('mongodb-root'))).toMatch(/changeUserPassword/);
    expect(byHand(homelab, named('cassandra-admin'))).toMatch(/ALTER ROLE admin/);
  });
});

test('differences are of what is wanted alone, and quantities count by what they mean', () => {
  const wanted = { spec: { replicas: 2, list: [{ a: 1 }], empty: [], cpu: '500m' } };
  const there = { spec: { replicas: 2, list: [{ a: 1, more: true }], cpu: '0.5', added: 1 }, status: {} };
  expect(differences(wanted, there)).toEqual([]);
  expect(differences({ spec: { replicas: 3, gone: 'x' } }, there)).toEqual([
    'spec.replicas: 2 -> 3',
    'spec.gone: nothing -> "x"',
  ]);
});
