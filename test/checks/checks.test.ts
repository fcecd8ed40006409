import { Size } from 'cdk8s';
import { budget, budgetRows, duplicateObjects, missingSecrets, verdict, type Rendering } from '../../checks';
import { changed, renderedHomelab } from '../homelab';

const MIB = 1024 ** 2;

describe('budget', () => {
  const judged = (change: (homelab: any) => void) =>
    budget.find({ rendering: renderedHomelab(change), homelab: changed(change) }).map(({ message }) => message);

  test('accepts the homelab of tests', () => {
    expect(judged(() => undefined)).toEqual([]);
  });

  test('refuses more memory than a node has, with the arithmetic and the fix', () => {
    expect(judged((h) => (h.databases.cassandra.memory = Size.gibibytes(7)))).toEqual([
      expect.stringMatching(
        /^talos-worker-01 is asked for \d+ MiB of memory, surge included, and has \d+ MiB \(98 % of the machine less the kubelet's reserve and 100 MiB\); \d+ MiB too much; lower a request/,
      ),
    ]);
  });

  test('refuses more CPU than a node has', () => {
    expect(judged((h) => (h.machines['talos-worker-02'].cores = 4))).toEqual([
      expect.stringMatching(/^talos-worker-02 is asked for \d+ millicores, surge included, and has 4000;/),
    ]);
  });

  test('counts the surge of every Deployment, sidecars, and what runs besides our own', () => {
    const rows = budgetRows(
      renderedHomelab(),
      changed(() => undefined),
    );
    const row = (node: string, container: string) =>
      rows.find((each) => each.node === node && each.container === container);
    expect(row('talos-worker-02', 'chat')).toMatchObject({ pods: 1, surge: 1, memory: 256 * MIB, cpu: 100 });
    expect(row('talos-worker-02', 'reconcile')).toMatchObject({ pods: 3, surge: 0, memory: 192 * MIB });
    expect(row('talos-worker-01', 'traefik')).toMatchObject({ pods: 1, surge: 0 });
    expect(row('talos-cp-01', 'kube-apiserver')).toMatchObject({ pods: 1, memory: 512 * MIB });
  });

  test('is not made without a homelab', () => {
    expect(verdict([budget, duplicateObjects], { rendering: renderedHomelab() })).toEqual({
      findings: [],
      notMade: ['budget'],
    });
  });
});

describe('duplicate objects', () => {
  const object = (construct: string, metadata: object, kind = 'Service', apiVersion = 'v1'): Rendering[number] => ({
    chart: 'a',
    construct,
    file: `a/${construct}.yaml`,
    object: { apiVersion, kind, metadata },
  });
  const judged = (...rendering: Rendering) => duplicateObjects.find({ rendering }).map(({ message }) => message);

  test('of one kind, namespace and name are an error that names both constructs', () => {
    expect(
      judged(object('a/one', { name: 'x', namespace: 'n' }), object('b/two', { name: 'x', namespace: 'n' })),
    ).toEqual(['Service n/x is rendered twice: by a/one and by b/two; give one of the two another name']);
  });

  test('of other namespaces, kinds or groups are none', () => {
    expect(
      judged(
        object('a', { name: 'x', namespace: 'n' }),
        object('b', { name: 'x', namespace: 'm' }),
        object('c', { name: 'x', namespace: 'n' }, 'ConfigMap'),
        object('d', { name: 'x', namespace: 'n' }, 'Service', 'serving.knative.dev/v1'),
      ),
    ).toEqual([]);
  });

  test('of a cluster-scoped kind are found whatever namespace a chart stamped on them', () => {
    expect(
      judged(
        object('a', { name: 'x', namespace: 'n' }, 'PersistentVolume'),
        object('b', { name: 'x' }, 'PersistentVolume'),
      ),
    ).toHaveLength(1);
  });
});

describe('missing secrets', () => {
  const secrets = [{ name: 'db', namespaces: ['a', 'b'], keys: ['username', 'password'] }];

  test('are named with the command to run, where there is an encrypted file', () => {
    const encrypted = new Set(['a/db/username', 'a/db/password', 'b/db/username']);
    expect(missingSecrets.find({ rendering: [], secrets, encrypted })).toEqual([
      {
        severity: 'warning',
        message:
          'secrets.sops.yaml lacks b/db (password), so its pods would not start; run before pushing: npm run bootstrap -- apply secrets',
      },
    ]);
  });

  test('are not looked for before there is one', () => {
    expect(verdict([missingSecrets], { rendering: [], secrets }).notMade).toEqual(['missing secrets']);
  });
});
