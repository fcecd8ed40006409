import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Chart, Size, YamlOutputType } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import { planApp } from '../../../checks';
import { CassandraStatefulSet, DataStorage, MicroserviceDeployment } from '../../../constructs';
import { planExitCode, planText } from '../../../synth';

let folder: string;
beforeEach(() => void (folder = fs.mkdtempSync(join(tmpdir(), 'plan-'))));
afterEach(() => fs.rmSync(folder, { recursive: true }));

interface Edits {
  readonly clusterName?: string;
  readonly claim?: string;
  readonly image?: string;
}

/** An app as README.md shows one, with an own Deployment and its claim, written by cdk8s itself. */
function shop(
  { clusterName = 'shop', claim = 'files', image = 'ghcr.io/owner/orders:1' }: Edits,
  outputType?: YamlOutputType,
) {
  const app = new App({ outdir: folder, yamlOutputType: outputType, recordConstructMetadata: false });
  const chart = new Chart(app, 'shop', { namespace: 'shop', disableResourceNameHashes: true });
  const cassandra = new CassandraStatefulSet(chart, 'cassandra', {
    clusterName,
    storage: DataStorage.storageClass(Size.gibibytes(20), 'standard'),
    resources: { memory: Size.gibibytes(4), cpu: Cpu.units(1) },
  });
  new MicroserviceDeployment(chart, 'orders', { image }).connectTo(cassandra, { keyspace: 'orders' });
  const own = new Chart(app, 'own', { namespace: 'own', disableResourceNameHashes: true });
  new k8s.KubePersistentVolumeClaim(own, 'claim', {
    metadata: { name: claim },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: k8s.Quantity.fromString('1Gi') } } },
  });
  new k8s.KubeDeployment(own, 'files', {
    metadata: { name: 'files' },
    spec: {
      selector: { matchLabels: { app: 'files' } },
      template: {
        metadata: { labels: { app: 'files' } },
        spec: {
          containers: [{ name: 'files', image: 'files:1', volumeMounts: [{ name: 'data', mountPath: '/srv' }] }],
          volumes: [{ name: 'data', persistentVolumeClaim: { claimName: claim } }],
        },
      },
    },
  });
  return app;
}

const layouts = Object.values(YamlOutputType).filter((each) => typeof each === 'number');

test.each(layouts)('an unchanged app has no changes, in each layout of cdk8s: %s', async (layout) => {
  shop({}, layout as YamlOutputType).synth();
  expect(await planApp(shop({}), folder)).toMatchObject({ changes: [], risks: [], next: [], notes: [] });
});

test('reports data risks of constructs and of own charts, and accepted risks', async () => {
  shop({}).synth();
  const { risks } = await planApp(shop({ clusterName: 'other', claim: 'documents' }), folder);
  const data = risks.filter(({ verdict }) => verdict === 'data');
  expect(data.map(({ what, from, to }) => `${what}: ${from} -> ${to}`)).toEqual([
    'cassandra.clusterName: shop -> other',
    'files.claim: files -> none',
    'files.mounts./srv: claim files -> claim documents',
  ]);
  const accept = [
    { what: 'cassandra.clusterName', from: 'shop', to: 'other', on: '2026-11-27', because: 'the ring is empty' },
    { what: 'gone.claim', from: 'x', to: 'none', on: '2026-11-27', because: 'done long ago' },
  ];
  const plan = await planApp(shop({ clusterName: 'other' }), folder, { accept });
  expect(plan.risks.find(({ what }) => what === 'cassandra.clusterName')!.accepted).toBe(
    'the ring is empty (2026-11-27)',
  );
  expect(plan.notes.join()).toContain("what: 'gone.claim', from: 'x', to: 'none' } matches no change");
});

test('lists a harmless change only among the changes', async () => {
  shop({}).synth();
  const { changes, risks } = await planApp(shop({ image: 'ghcr.io/owner/orders:2' }), folder);
  expect(changes.map(({ id }) => id)).toEqual(['apps/Deployment shop/orders']);
  expect(risks).toEqual([]);
});

test('says which folder or file cannot be read', async () => {
  await expect(planApp(shop({}), join(folder, 'nowhere'))).rejects.toThrow('which does not exist');
  fs.writeFileSync(join(folder, 'a.yaml'), '<<<<<<< HEAD\na: 1\n');
  await expect(planApp(shop({}), folder)).rejects.toThrow('a.yaml: it must hold Kubernetes objects as YAML or JSON');
});

test('prints a plan in each format, with an exit code for CI', async () => {
  shop({}).synth();
  const plan = await planApp(shop({ clusterName: 'other' }), folder);
  for (const format of ['terminal', 'markdown', 'json', 'html'] as const)
    expect(await planText(plan, format)).toContain('cassandra.clusterName');
  expect(await planExitCode(plan)).toBe(30);
  expect(await planExitCode(await planApp(shop({}), folder))).toBe(0);
});
