import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiObject, Helm, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { homelabApp, type OwnChart } from '../../../charts';
import { checks, podSecurityFaults } from '../../../checks';
import { MicroserviceDeployment, Probes, RenderedService } from '../../../constructs';
import { synthesize } from '../../../synth';
import { CASES } from '../../fixtures/pod-security';
import { helm } from './binaries';
import type { Json } from './client';
import { applySecrets, manifestsOf, secretsOf } from './deploy';
import * as points from './points';
import { until } from './processes';

const LEVELS = ['restricted', 'baseline'] as const;

/** Our judgment of pods by the Pod Security Standards is that of the API server. */
export async function podSecurityAgrees({ client, tally }: points.Ground): Promise<void> {
  for (const level of LEVELS) {
    const namespace = `level-${level}`;
    const labels = { 'pod-security.kubernetes.io/enforce': level };
    await client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } });
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } };
    await until(`${namespace} has an account`, 20, async () => (await client.get(account)) !== undefined);
    for (const [what, spec, , annotations = {}] of CASES) {
      const { status, body } = await client.request('POST', `/api/v1/namespaces/${namespace}/pods?dryRun=All`, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'judged', annotations },
        spec: { ...spec, automountServiceAccountToken: false },
      });
      const refused = status === 403 && /violates PodSecurity/.test(body.message);
      const ours = podSecurityFaults(spec, { annotations }, level);
      tally.check(
        `${level}: ${what} is ${refused ? 'refused' : 'accepted'} by both`,
        (status === 201 || refused) && refused === ours.length > 0,
        `the API server: ${status} ${body.message ?? ''}; ours: ${ours.join('; ') || 'no fault'}`,
      );
    }
  }
}

/** A chart as its author writes one, here the one that Helm itself starts every chart with. */
function chartOfHelm(folder: string): string {
  const { status, stderr } = spawnSync(helm(), ['create', 'wiki'], {
    cwd: folder,
    env: { ...process.env, HOME: folder },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`helm create failed: ${stderr}`);
  return join(folder, 'wiki');
}

/** Charts of an owner: a Redis of our constructs, a chart of Helm, a definition and an object of it. */
function chartsIn(folder: string): OwnChart[] {
  return [
    {
      name: 'redis',
      make: (chart, { service, priorityClassName }) => {
        const redis = new MicroserviceDeployment(chart, 'redis', {
          image: 'docker.io/library/redis:8.2.2-alpine',
          port: 6379,
          probes: Probes.tcp(),
          resources: { memory: Size.mebibytes(64), cpu: Cpu.millis(20) },
          priorityClassName,
        });
        service('presence').connectTo(redis);
      },
    },
    {
      name: 'wiki',
      make: (chart, { service }) => {
        new Helm(chart, 'wiki', {
          chart: chartOfHelm(folder),
          releaseName: 'wiki',
          namespace: chart.namespace,
          helmExecutable: helm(),
          helmFlags: ['--skip-tests'],
          values: {
            podSecurityContext: { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: 'RuntimeDefault' } },
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
          },
        });
        service('search').connectTo(RenderedService.of(chart, 'wiki'));
      },
    },
    {
      name: 'kinds',
      clusterScoped: ['CustomResourceDefinition'],
      make: (chart) => {
        const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
        new ApiObject(chart, 'definition', {
          apiVersion: 'apiextensions.k8s.io/v1',
          kind: 'CustomResourceDefinition',
          metadata: { name: 'pages.example.org' },
          spec: {
            group: 'example.org',
            scope: 'Namespaced',
            names: { kind: 'Page', listKind: 'PageList', plural: 'pages', singular: 'page' },
            versions: [{ name: 'v1', served: true, storage: true, schema }],
          },
        });
      },
    },
    {
      name: 'pages',
      make: (chart) => {
        new ApiObject(chart, 'page', {
          apiVersion: 'example.org/v1',
          kind: 'Page',
          metadata: { name: 'first' },
          spec: { title: 'First' },
        });
      },
    },
  ];
}

/** Charts of an owner beside the homelab's pass all checks, are accepted, fit their quotas and run. */
export async function ownChartsRun(ground: points.Ground): Promise<void> {
  const { client, tally, homelab } = ground;
  const folder = fs.mkdtempSync(join(tmpdir(), 'own-charts-'));
  try {
    const dist = join(folder, 'dist');
    const charts = chartsIn(folder);
    await synthesize(async () => ({ app: homelabApp(homelab, { charts }), homelab, checks }), { outdir: dist });
    const all = manifestsOf(dist);
    const own = all.filter(({ file }) => charts.some(({ name }) => file.startsWith(`${name}/`)));
    const of = (kind: string) => all.filter(({ object }) => object.kind === kind);
    await points.accepted({ ...ground, manifests: [...of('Namespace'), ...of('CustomResourceDefinition')] });
    await until('the API server serves Pages', 20, async () => {
      const { body } = await client.request('GET', '/apis/example.org/v1');
      return body.resources?.some(({ kind }: Json) => kind === 'Page');
    });
    await applySecrets(client, secretsOf(dist));
    await points.accepted({ ...ground, manifests: all });
    await points.allRunning(client);
    await points.idempotent({ ...ground, manifests: own });
    const pods = async (namespace: string) => (await client.list('v1', 'Pod', namespace)).length;
    tally.check(
      'the chart of Helm and the Redis have a pod each',
      (await pods('wiki')) === 1 && (await pods('redis')) === 1,
    );
    tally.check(
      'each chart of an owner has an application',
      charts.every(({ name }) => of('Application').some(({ object }) => object.metadata.name === name)),
    );
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}
