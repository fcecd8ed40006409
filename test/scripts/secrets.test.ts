import { makeAuthority } from '../../scripts/secrets/certificates';
import { differences } from '../../scripts/clients/differences';
import { SECRETS } from '../../scripts/engine/sops';
import { declaredSecrets } from '../../scripts/secrets/declared';
import { alphanumeric, makeValues } from '../../scripts/secrets/made';
import { registryLogin } from '../../scripts/secrets/registry-login';
import { missingKeys, SecretStore, undeclared, valuesOf, withValues, type Kept } from '../../scripts/secrets/store';
import type { ListedSecret, SecretPlaces } from '../../values/secrets';
import { compare } from '../../scripts/secrets/live';
import { NotReady, Blocked } from '../../scripts/engine/problem';
import { readersOf } from '../../scripts/secrets/readers';
import { rotationSteps } from '../../scripts/secrets/rotation';
import { rotate } from '../../scripts/commands/rotate';
import { secrets } from '../../scripts/stages/secrets';
import homelab from '../fixtures/homelab';
import { execute, shownLines } from '../../scripts/engine/step';
import { fakeKubernetes } from './kubernetes';

jest.mock('../../scripts/engine/root', () => jest.requireActual('../fixtures/dist'));
jest.mock('../../scripts/secrets/declared', () => {
  const actual = jest.requireActual('../../scripts/secrets/declared');
  return { ...actual, declaredSecrets: jest.fn(actual.declaredSecrets) };
});

const kubernetes = fakeKubernetes();

const CHAT: ListedSecret = {
  name: 'cassandra-chat',
  namespaces: ['cassandra', 'services'],
  type: 'Opaque',
  keys: { username: { value: 'chat' }, password: { generate: 'alphanumeric', length: 32 } },
  readers: [],
};
const kept = (secrets: SecretPlaces, previous: SecretPlaces = {}): Kept => ({ secrets, previous });
const live = (values: Record<string, string>, type = 'Opaque') => ({
  type,
  metadata: { creationTimestamp: '2026-01-01T00:00:00Z' },
  data: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
});
const noQuestion = async (): Promise<string> => {
  throw new Error('nobody is asked');
};

describe('a stored secret', () => {
  test('has one value in all of its namespaces', async () => {
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

  test('in a URI is the percent-encoded stored password, and is not stored itself', async () => {
    const secret: ListedSecret = {
      ...CHAT,
      name: 'mongodb-chat',
      namespaces: ['mongodb'],
      keys: { ...CHAT.keys, 'password-in-uri': { percentEncoded: 'password' } },
    };
    const file = { secrets: { mongodb: { 'mongodb-chat': { username: 'chat', password: `p@/:%'` } } } };
    let written: any;
    const sops = {
      read: async () => structuredClone(file),
      write: async (_: string, tree: any) => void (written = tree),
    };
    const store = new SecretStore(sops as any, [secret]);
    const read = await store.read();
    expect(valuesOf(secret, read)['password-in-uri']).toBe('p%40%2F%3A%25%27');
    expect(missingKeys(secret, read)).toEqual([]);
    await store.write(read);
    expect(written).toEqual(file);
    const made = await makeValues(secret, Object.keys(secret.keys), undefined, noQuestion);
    expect(made['password-in-uri']).toBe(made.password);
  });

  test('with two values, or for another user, stops before any change', () => {
    const two = kept({
      cassandra: { 'cassandra-chat': { password: 'first-value' } },
      services: { 'cassandra-chat': { password: 'second-value' } },
    });
    expect(() => valuesOf(CHAT, two)).toThrow(/must have one value in cassandra and services/);
    expect(() => valuesOf(CHAT, two)).not.toThrow(/first-value|second-value/);
    const other = kept({ cassandra: { 'cassandra-chat': { username: 'talk' } } });
    expect(() => valuesOf(CHAT, other)).toThrow(/must hold username "chat"/);
  });

  test('that is no longer declared is reported and stays', () => {
    expect(undeclared([CHAT], kept({ services: { old: { key: 'x' }, 'cassandra-chat': {} } }))).toEqual([
      'services/old',
    ]);
  });

  test('with an incomplete certificate, or a key of another one, stops', async () => {
    const secret: ListedSecret = {
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

  test('is reported as missing, incomplete or equal', () => {
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
    expect(foreign).toThrow(Blocked);
    expect(foreign).toThrow(
      /services\/cassandra-chat holds another password.*nothing was changed.*kubectl -n services delete secret/,
    );
    expect(foreign).not.toThrow(/somebody-elses|kept"/);
    expect(() => compare(CHAT, 'services', wanted, kept({}), live(wanted, 'kubernetes.io/tls'))).toThrow(
      /A type cannot change/,
    );
  });

  test('that was replaced by hand is passed on to running pods', () => {
    const says = (name: string) => {
      const secret = declaredSecrets().find((each) => each.name === name)!;
      const namespace = secret.namespaces[0]!;
      const one = Object.fromEntries(Object.keys(secret.keys).map((key) => [key, 'kept']));
      const other = Object.fromEntries(Object.keys(secret.keys).map((key) => [key, 'other']));
      try {
        compare(secret, namespace, one, kept({}), live(other, secret.type));
      } catch (error) {
        return (error as Error).message;
      }
      return '';
    };
    expect(says('cassandra-chat')).toContain('run this again, then npm run bootstrap -- rotate cassandra-chat (');
    expect(says('mongodb-root')).toContain('then kubectl -n mongodb rollout restart statefulset mongodb (');
    // The pods of a ring read no secret. Argo CD recreates the job.
    expect(says('cassandra-admin')).toMatch(/then kubectl -n cassandra delete job cassandra-schema-\w+ \(/);
    expect(says('mongodb-root')).not.toContain('-- rotate');
    expect(says('mongodb-keyfile')).toMatch(/then kubectl -n mongodb delete pod -l \S*=mongodb/);
    const unread = () => compare({ ...CHAT, name: 'unread' }, 'services', wanted, kept({}), live({ password: 'x' }));
    expect(unread).toThrow(/and run this again\. If/);
  });

  test('with the value that is being replaced is known', () => {
    const previous = { services: { 'cassandra-chat': { password: 'old' } } };
    const found = compare(CHAT, 'services', wanted, kept({}, previous), live({ ...wanted, password: 'old' }));
    expect(found).toEqual({ is: 'previous', keys: ['password'] });
  });
});

test('random characters are from the alphabet, with equal frequency', () => {
  const text = alphanumeric(62_000);
  expect(text).toMatch(/^[A-Za-z0-9]{62000}$/);
  const counts = new Map<string, number>();
  for (const each of text) counts.set(each, (counts.get(each) ?? 0) + 1);
  // 1000 each; six standard deviations are 190. A remainder of 256 would make eight of them come 1.25 times as often.
  expect(Math.min(...counts.values())).toBeGreaterThan(810);
  expect(Math.max(...counts.values())).toBeLessThan(1190);
});

test.each(['registry.home.arpa:5000', '192.168.1.40:5000', 'nas'])(
  'a login for a registry in the LAN stands under the name that images have: %s',
  (server) => {
    const login = JSON.stringify({ auths: { [server]: { auth: Buffer.from('u:t').toString('base64') } } });
    expect(registryLogin('u:t', server)).toBe(login);
    expect(registryLogin(login, server)).toBe(login);
    expect(() => registryLogin(login, server.replace(':5000', '') + ':5001')).toThrow(/must be USER:TOKEN/);
  },
);

test('accepts a registry login as docker writes it, or as USER:TOKEN, and nothing else', () => {
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

describe('the readers of a secret of dist/', () => {
  const declared = declaredSecrets();
  const named = (name: string) => declared.find((each) => each.name === name)!;
  const readers = (name: string) =>
    readersOf(named(name)).map(
      ({ kind, namespace, name: who }) => `${kind} ${namespace}/${who.replace(/-[0-9a-f]{10}$/, '')}`,
    );

  test('are found by the pods that use it', () => {
    expect(readers('cassandra-chat')).toEqual(['Job cassandra/cassandra-schema', 'Deployment services/chat']);
    expect(readers('traefik-certificate')).toEqual(['DaemonSet ingress/traefik']);
    expect(readers('mongodb-keyfile')).toEqual(['StatefulSet mongodb/mongodb']);
  });
});

test('compares only declared fields, and quantities by their amount', () => {
  const wanted = { spec: { replicas: 2, list: [{ a: 1 }], empty: [], cpu: '500m' } };
  const there = { spec: { replicas: 2, list: [{ a: 1, more: true }], cpu: '0.5', added: 1 }, status: {} };
  expect(differences(wanted, there)).toEqual([]);
  expect(differences({ spec: { replicas: 3, gone: 'x' } }, there)).toEqual([
    'spec.replicas: 2 -> 3',
    'spec.gone: nothing -> "x"',
  ]);
});

/** The encrypted files, in memory. */
function files(of: Record<string, object>): any {
  const sops = {
    read: async (path: string) => of[path],
    write: async (path: string, tree: object) => (of[path] = tree),
  };
  return { homelab, sops, kubernetes, log: { hide: () => undefined } };
}

describe('the step that stores values', () => {
  const step = async (context: any) =>
    (await secrets(context).steps()).find(({ title }) => title === `${SECRETS.cluster} holds every secret`)!;

  test('waits for the certificate authority before it renews certificates, and renews them in the same run', async () => {
    const declared = declaredSecrets();
    const tls = declared.find(({ name }) => name === 'traefik-certificate')!;
    const { network, name } = homelab;
    const [old, next] = [await makeAuthority(name, network.domain), await makeAuthority(name, network.domain)];
    const values = await makeValues(tls, Object.keys(tls.keys), old, noQuestion);
    const of: Record<string, object> = { [SECRETS.cluster]: { secrets: { ingress: { [tls.name]: values } } } };
    const keeps = await step(files(of));
    await expect(keeps.plan()).rejects.toThrow(NotReady);
    of[SECRETS.authority] = next;
    expect((await keeps.plan())!.lines).toContain(
      `${tls.name}: a new certificate, because it is from another authority`,
    );
    // In the first run nothing waits, so that all questions come before any change.
    expect((await (await step(files({}))).plan())!.lines!.length).toBeGreaterThan(10);
  });

  test('stops at a login for another registry, without showing it', async () => {
    const key = '.dockerconfigjson';
    const login: ListedSecret = {
      name: 'registry',
      namespaces: ['services'],
      type: 'kubernetes.io/dockerconfigjson',
      keys: { [key]: { ask: 'a login' } },
      readers: [],
    };
    const look = async (text: string) => {
      const context = files({ [SECRETS.cluster]: { secrets: { services: { registry: { [key]: text } } } } });
      context.homelab = { ...homelab, registry: { server: 'ghcr.io' } };
      jest.mocked(declaredSecrets).mockReturnValueOnce([login]);
      return (await step(context)).plan();
    };
    expect(await look('{"auths":{"ghcr.io":{"auth":"dTp0"}}}')).toBeUndefined();
    const other = look('{"auths":{"old.example":{"auth":"dTp0"}}}');
    await expect(other).rejects.toThrow(
      /registry must be a login for ghcr\.io .* is one for old\.example; npm run bootstrap -- rotate registry$/,
    );
    await expect(other).rejects.not.toThrow(/dTp0/);
    await expect(look('broken-login')).rejects.toThrow(/is one for no registry/);
  });
});

describe('a new value', () => {
  const search = declaredSecrets().find(({ name }) => name === 'mongodb-search')!;
  const values = { username: 'search', password: 'new', 'password-in-uri': 'new' };
  const places = { mongodb: { 'mongodb-search': values }, services: { 'mongodb-search': values } };

  test('recreates a failed job', async () => {
    const previous = { mongodb: { 'mongodb-search': { password: 'old' } } };
    const conditions = [{ type: 'Failed', status: 'True' }];
    let job: object = { metadata: {}, status: { startTime: '2026-02-01T00:00:00Z', conditions } };
    kubernetes.get.mockImplementation(async ([kind]) => {
      if (kind === 'job') return job;
      return kind === 'secret' ? { ...live(values), metadata: { name: 'mongodb-search' } } : { items: [] };
    });
    kubernetes.change.mockImplementation(async (args) => {
      if (args[0] === 'delete') job = { metadata: {}, status: { startTime: '2026-03-01T00:00:00Z', succeeded: 1 } };
      return { stdout: '', stderr: '', code: 0 };
    });
    const context = files({ [SECRETS.cluster]: { secrets: places, previous } });
    const steps = rotationSteps(kubernetes, new SecretStore(context.sops), search, async () => false);
    const step = steps.find(({ title }) => title.startsWith('job mongodb/'))!;
    const change = await step.plan();
    expect(shownLines(change!)[0]).toMatch(/delete job/);
    expect(await execute({ step, change: change! }, () => undefined)).toBe(true);
    expect(kubernetes.change.mock.calls.map(([[verb]]) => verb)).toEqual(['delete']);
    expect(await step.plan()).toBeUndefined();
  });

  test('is not created while Argo CD lacks the job that must use it, and the dist/ with that job', async () => {
    const is = (job: object | undefined) =>
      kubernetes.get.mockImplementation(async ([kind]) => (kind === 'job' ? job : { items: [{}] }));
    const asked = async (diff: number) => {
      const context = files({ [SECRETS.cluster]: { secrets: places } });
      const stdout = `${'0'.repeat(40)}\trefs/heads/main\n`;
      context.commands = {
        read: jest.fn(async (_: unknown, argv: string[]) => ({
          stdout: argv[3] === 'ls-remote' ? stdout : '',
          code: argv[3] === 'diff' ? diff : 0,
        })),
      };
      context.ask = { agree: async () => Promise.reject(new Error('asked')) };
      return rotate(context, ['mongodb-search']);
    };
    jest.spyOn(console, 'log').mockImplementation();
    is(undefined);
    await expect(asked(1)).rejects.toThrow(
      /^job mongodb\/\S+ of dist\/ must run again, but is not in the cluster.*git push/,
    );
    await expect(asked(0)).rejects.toThrow('asked');
    is({ metadata: {} });
    await expect(asked(1)).rejects.toThrow('asked');
  });
});
