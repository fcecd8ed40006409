import { SECRETS } from '../../scripts/engine/sops';
import { changingKeys, declaredSecrets, type Values } from '../../scripts/secrets/declared';
import { keyfileStages } from '../../scripts/secrets/live';
import { SecretMaker } from '../../scripts/secrets/made';
import { SecretStore } from '../../scripts/secrets/store';
import { NotReady } from '../../scripts/engine/problem';
import { rotationSteps } from '../../scripts/secrets/rotation';
import { execute, type Step } from '../../scripts/engine/step';
import { byHand } from '../../scripts/secrets/readers';
import homelab from '../fixtures/homelab';
import { fakeKubernetes } from './kubernetes';

jest.mock('../../scripts/engine/root', () => jest.requireActual('../fixtures/dist'));

const kubernetes = fakeKubernetes();
const named = (name: string) => declaredSecrets().find((each) => each.name === name)!;
const text = (base64: string) => Buffer.from(base64, 'base64').toString();
const encoded = (values: Values) =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));

/** A cluster that recreates jobs at once and rolls out without delay. Each change takes a second. */
class Cluster {
  /** Events in order, with the values that each job and pod started with. */
  readonly events: string[] = [];
  private seconds = 0;
  private readonly secrets = new Map<string, any>();
  private readonly started = new Map<string, string>();

  /** @param knows a machine outside the cluster that must accept old and new values */
  constructor(
    private tree: Record<string, any>,
    private readonly knows?: (values: () => readonly string[], tell: (event: string) => void) => Step,
  ) {
    kubernetes.get.mockImplementation(async (args) => this.object(args));
    kubernetes.change.mockImplementation(async (args, options) => {
      this.change(args, options?.stdin as string);
      return { stdout: '', stderr: '', code: 0 };
    });
    for (const [namespace, secrets] of Object.entries<any>(tree.secrets))
      for (const [name, values] of Object.entries<Values>(secrets)) this.set(namespace, name, encoded(values));
  }

  private readonly sops: any = {
    read: async (path: string) => (path === SECRETS.cluster ? this.tree : undefined),
    write: async (_: string, tree: object) => {
      this.events.push(`the file ${'previous' in tree ? 'keeps' : 'forgets'} the old value`);
      this.tree = tree;
    },
  };
  private readonly store = new SecretStore(this.sops);

  /** Runs the steps until nothing changes. With `stops`, each run is killed after one step. */
  async rotate(name: string, stops: boolean): Promise<void> {
    const secret = named(name);
    const maker = new SecretMaker(homelab, this.sops, {} as any);
    const next = await maker.replaced(secret, await this.store.read(), changingKeys(secret));
    Object.assign(this.tree, next);
    for (let run = 0; run < 50; run++) if (!(await this.once(secret, stops))) return;
    throw new Error(`never done: ${this.events.join('\n')}`);
  }

  /** Plans all steps first. Leaves out complete steps, and plans a step later if it depends on an earlier one. */
  private async once(secret: ReturnType<typeof named>, stops: boolean): Promise<boolean> {
    const planned: Step[] = [];
    for (const step of rotationSteps(kubernetes, this.store, secret, async () => false, this.knower(secret.name)))
      if ((await this.look(step)) !== undefined) planned.push(step);
    for (const step of planned) {
      if (!(await execute({ step }, () => undefined))) continue;
      if (stops) return true;
    }
    return planned.length > 0;
  }

  private knower(name: string): Step | undefined {
    const values = () =>
      [this.tree.secrets, this.tree.previous ?? {}].flatMap((places) =>
        Object.values<any>(places).flatMap((names) => (name in names ? [String(names[name].password)] : [])),
      );
    return this.knows?.(
      () => [...new Set(values())],
      (event) => this.events.push(event),
    );
  }

  private async look(step: Step): Promise<unknown> {
    try {
      return await step.plan();
    } catch (error) {
      if (error instanceof NotReady) return error;
      throw error;
    }
  }

  private now(): string {
    return new Date(Date.UTC(2026, 0, 1) + ++this.seconds * 1000).toISOString();
  }

  private set(namespace: string, name: string, data: Readonly<Record<string, string>>, annotations?: object): void {
    const known = this.secrets.get(`${namespace}/${name}`);
    const isSame = JSON.stringify(known?.data) === JSON.stringify(data);
    const managedFields = isSame ? known.metadata.managedFields : [{ time: this.now(), fieldsV1: { 'f:data': {} } }];
    this.secrets.set(`${namespace}/${name}`, { type: 'Opaque', metadata: { name, annotations, managedFields }, data });
  }

  private object([kind, name, inNamespace, called]: readonly string[]): object | undefined {
    if (kind === 'secret') return this.secrets.get(`${inNamespace}/${called}`);
    if (kind === 'pod')
      return { items: [{ metadata: { name: 'pod' }, status: { startTime: this.since(inNamespace!) } }] };
    if (kind === 'job') return { status: { startTime: this.since(name!), succeeded: 1 } };
    const status = { observedGeneration: 1, updatedReplicas: 1, readyReplicas: 1, replicas: 1 };
    return kind === 'crd' ? undefined : { metadata: { generation: 1 }, spec: {}, status };
  }

  private since(what: string): string {
    return this.started.get(what) ?? '2025-01-01T00:00:00Z';
  }

  private change(args: readonly string[], stdin?: string): void {
    if (args[0] !== 'apply') {
      const [verb, , what] = args as [string, string, string];
      this.started.set(verb === 'delete' ? what : args[4]!, this.now());
      this.events.push(verb === 'delete' ? 'the job runs' : `${what} restarts`);
      return;
    }
    const [{ metadata, data }] = JSON.parse(stdin!).items;
    this.set(metadata.namespace, metadata.name, data, metadata.annotations);
    const told = Object.keys(data)
      .sort()
      .filter((key) => !key.endsWith('password-in-uri'));
    this.events.push(`${metadata.namespace}: ${told.map((key) => `${key} ${this.shown(text(data[key]))}`).join(', ')}`);
  }

  /** New values are random, so this shows them as NEW. */
  private shown(value: string): string {
    return value
      .replace(/[A-Za-z0-9+/]{32,}=*/g, 'NEW')
      .replace(/\n/g, ' ')
      .trim();
  }
}

const SEARCH = { username: 'search', password: 'old', 'password-in-uri': 'old' };
const CLIENT = [
  'mongodb: password NEW, previous-password old, previous-username search, username search_2',
  'the job runs',
  'services: password NEW, username search_2',
  'deployment/search restarts',
  'mongodb: password NEW, username search_2',
  'the job runs',
  'the file forgets the old value',
];
const OWN = (namespace: string, user: string) => [
  `${namespace}: password NEW, previous-password old, username ${user}`,
  'the job runs',
  `${namespace}: password NEW, username ${user}`,
  'the job runs',
  'the file forgets the old value',
];
const KEYFILE = [
  'mongodb: keyfile - old - NEW',
  'statefulset/mongodb restarts',
  'mongodb: keyfile - NEW - old',
  'statefulset/mongodb restarts',
  'mongodb: keyfile NEW',
  'statefulset/mongodb restarts',
  'the file forgets the old value',
];

describe.each([
  ['in one go', false],
  ['stopped after each step', true],
])('a new value, %s', (_how, stops) => {
  test.each([
    ['mongodb-search', { mongodb: SEARCH, services: SEARCH }, CLIENT],
    ['mongodb-root', { mongodb: { username: 'root', password: 'old' } }, OWN('mongodb', 'root')],
    ['cassandra-admin', { cassandra: { username: 'admin', password: 'old' } }, OWN('cassandra', 'admin')],
    ['mongodb-keyfile', { mongodb: { keyfile: 'old' } }, KEYFILE],
  ])('of %s rolls out in an order in which every client can always log in', async (name, values, events) => {
    const places = Object.entries(values).map(([namespace, each]) => [namespace, { [name]: each }]);
    const cluster = new Cluster({ secrets: Object.fromEntries(places) });
    await cluster.rotate(name, stops);
    expect(cluster.events).toEqual(events);
  });
});

test.each([
  ['in one go', false],
  ['stopped after each step', true],
])(
  'a machine that checks a key, %s, knows both keys before the first client sends the new one',
  async (_how, stops) => {
    let known = 1;
    const cluster = new Cluster(
      { secrets: { mongodb: { 'mongodb-search': SEARCH }, services: { 'mongodb-search': SEARCH } } },
      (values, tell) => ({
        title: 'the machine knows',
        async plan() {
          if (values().length === known) return undefined;
          const run = async () => {
            known = values().length;
            tell(`the machine knows ${known}`);
          };
          return { actions: [{ lines: ['tell it'], run }] };
        },
      }),
    );
    await cluster.rotate('mongodb-search', stops);
    expect(cluster.events).toEqual(['the machine knows 2', ...CLIENT, 'the machine knows 1']);
  },
);

test('the name of a client alternates: the second new password takes the first name again', async () => {
  const cluster = new Cluster({
    secrets: { mongodb: { 'mongodb-search': SEARCH }, services: { 'mongodb-search': SEARCH } },
  });
  await cluster.rotate('mongodb-search', false);
  await cluster.rotate('mongodb-search', false);
  expect(cluster.events.at(-3)).toBe('mongodb: password NEW, username search');
});

test('a keyfile accepts both keys before it sends the new one, and sends it before it drops the old one', () => {
  expect(keyfileStages('a', 'b')).toEqual(['- a\n- b\n', '- b\n- a\n', 'b']);
});

test('a command rotates every secret, except one that data depends on or whose database does not run', () => {
  const active = declaredSecrets().filter((secret) => byHand(homelab, secret) !== undefined);
  expect(active.map(({ name }) => name)).toEqual([]);
  const retired = {
    ...homelab,
    databases: { ...homelab.databases, mongodb: { ...homelab.databases.mongodb!, state: 'retired' as const } },
  };
  expect(byHand(retired, named('mongodb-root'))).toMatch(/set it to active/);
});
