import { Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import {
  budget,
  budgetRows,
  duplicateObjects,
  missingSecrets,
  mongodLinux,
  verdict,
  type Rendering,
} from '../../checks';
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
        /^the pods of talos-worker-01 request \d+ MiB of memory, surge included, and it has \d+ MiB \(98 % of the machine, minus the kubelet's reserve and 100 MiB\); \d+ MiB too much; lower a request/,
      ),
    ]);
  });

  test('refuses more CPU than a node has', () => {
    expect(judged((h) => (h.machines['talos-worker-02'].cores = 4))).toEqual([
      expect.stringMatching(
        /^the pods of talos-worker-02 request \d+ millicores, surge included, and it has 3950 \(its cores, minus 50 for the system\);/,
      ),
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

  test('reserves room on each node for all pods that the scheduler may place there', () => {
    const coredns = budgetRows(
      renderedHomelab(),
      changed(() => undefined),
    ).filter(({ workload }) => workload === 'coredns');
    expect(coredns.map(({ node, pods }) => [node, pods])).toEqual([
      ['talos-cp-01', 3],
      ['talos-worker-01', 3],
      ['talos-worker-02', 3],
    ]);
    const large = {
      dns: { on: 'any-node', pods: 2, containers: { dns: { memory: Size.gibibytes(1), cpu: Cpu.units(1) } } },
    };
    // It fits once on the control plane, but not twice.
    expect(judged((h) => Object.assign(h.system, large))).toContainEqual(
      expect.stringMatching(/^the pods of talos-cp-01 request \d+ millicores, surge included, and it has 1950 /),
    );
    expect(judged((h) => Object.assign(h.system, { dns: { ...large.dns, pods: 1 } }))).toEqual([]);
  });

  test('does not run without a homelab', () => {
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

  test('in other namespaces, kinds or groups are not duplicates', () => {
    expect(
      judged(
        object('a', { name: 'x', namespace: 'n' }),
        object('b', { name: 'x', namespace: 'm' }),
        object('c', { name: 'x', namespace: 'n' }, 'ConfigMap'),
        object('d', { name: 'x', namespace: 'n' }, 'Service', 'serving.knative.dev/v1'),
      ),
    ).toEqual([]);
  });

  test('of a cluster-scoped kind are found even if charts set different namespaces', () => {
    expect(
      judged(
        object('a', { name: 'x', namespace: 'n' }, 'PersistentVolume'),
        object('b', { name: 'x' }, 'PersistentVolume'),
      ),
    ).toHaveLength(1);
  });
});

describe('mongod and Linux', () => {
  const judged = (versions: object, image?: string) => {
    const change = (h: any) => Object.assign(h.versions, versions);
    const rendering = structuredClone(renderedHomelab(change)) as any;
    const mongod = rendering
      .flatMap(({ object }: any) => (object.kind === 'StatefulSet' ? object.spec.template.spec.containers : []))
      .find(({ name }: any) => name === 'mongod');
    if (image !== undefined) mongod.image = image;
    return mongodLinux
      .find({ rendering, homelab: changed(change) })
      .map(({ severity, message }) => `${severity}: ${message}`);
  };

  test.each(['v1.9.0', 'v1.11.6', 'v1.12.0', 'v1.13.9', 'v1.14.7'])('are compatible on Talos %s', (talos) =>
    expect(judged({ talos })).toEqual([]),
  );
  test.each(['6.19', '6.19.0', '6.19.14', '6.20', '7.0', '7.0.4', '7.0.13'])(
    'are incompatible on Linux %s',
    (linux) => {
      expect(judged({ talos: 'v1.15.0', linux })).toEqual([
        expect.stringMatching(
          /^error: mongodb\/mongodb \(docker\.io\/library\/mongo:8\S+\) would not start on Linux [\d.]+ of Talos v1\.15\.0: .*SERVER-121912.*v1\.13\.9/,
        ),
      ]);
    },
  );
  test.each(['6.12', '6.18', '6.18.999', '5.19', '7.0.14', '7.1.2', '8.0'])('are compatible on Linux %s', (linux) =>
    expect(judged({ talos: 'v1.15.0', linux }, 'mongo:8.0.38')).toEqual([]),
  );
  test('with an unknown Talos version give a link', () => {
    expect(judged({ talos: 'v1.15.0' })).toEqual([
      expect.stringMatching(
        /^warning: the kernel of Talos v1\.15\.0 is not known here.*releases\/tag\/v1\.15\.0.*versions\.linux$/,
      ),
    ]);
  });
  test('are checked for each image that may be version 8', () => {
    const on = (image: string) => judged({ linux: '6.19.3' }, image).length;
    expect([on('mongo:7.0.43'), on('host:5000/own/mongo:7.0.43@sha256:00')]).toEqual([0, 0]);
    expect([on('mongo:9.0.1'), on('host:5000/mongo'), on('own/mongo:prod'), on('mongo:8@sha256:00')]).toEqual([
      1, 1, 1, 1,
    ]);
    // mongod stops on every kernel from 6.19 on.
    expect(judged({ linux: '7.1.0' }, 'mongo:8.0.28')).toEqual([expect.stringMatching(/^warning: .*SERVER-125742/)]);
  });
  test('are not checked without a running MongoDB', () => {
    const change = (h: any) => {
      h.versions.linux = '6.19.0';
      h.databases.mongodb.state = 'retired';
      for (const service of [...Object.values<any>(h.services), ...Object.values<any>(h.webApps)])
        service.connects = service.connects.filter((each: any) => each.mongodb === undefined);
    };
    expect(mongodLinux.find({ rendering: renderedHomelab(change), homelab: changed(change) })).toEqual([]);
  });
});

describe('missing secrets', () => {
  const secrets = [{ name: 'db', namespaces: ['a', 'b'], keys: ['username', 'password'] }];

  test('are reported with the command to run if there is an encrypted file', () => {
    const encrypted = new Set(['a/db/username', 'a/db/password', 'b/db/username']);
    expect(missingSecrets.find({ rendering: [], secrets, encrypted })).toEqual([
      {
        severity: 'warning',
        message:
          'secrets.sops.yaml lacks b/db (password), so its pods would not start; run before pushing: npm run bootstrap -- apply secrets',
      },
    ]);
  });

  test('are not reported without an encrypted file', () => {
    expect(verdict([missingSecrets], { rendering: [], secrets }).notMade).toEqual(['missing secrets']);
  });
});
