import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { App, Chart, Testing } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { homelabApp } from '../../charts';
import { deployed, verdict, type Rendering } from '../../checks';
import { IsolatedNamespace } from '../../constructs';
import { groupOf, RENDERED_KINDS } from '../../constructs/kinds';
import { isClusterScoped } from '../../constructs/rendering';
import type { Homelab } from '../../inventory';
import { render } from '../../synth';
import { changed, ofKind, renderedHomelab } from '../homelab';

describe('Argo CD reaches its Git repository and nothing else outside', () => {
  /** Egress rules to other targets than its own pods, the name server and the API server: [address, port]. */
  const waysOut = (url: string) => {
    const policy = ofKind(
      renderedHomelab((h) => (h.git.url = url)),
      'NetworkPolicy',
    ).find(({ metadata }) => metadata.namespace === 'argocd' && metadata.name === 'argocd')!;
    return policy.spec.egress
      .filter(({ to }: any) => to === undefined || to[0].ipBlock !== undefined)
      .flatMap(({ to, ports }: any) =>
        ports.map(({ port, protocol }: any) => [to?.[0].ipBlock.cidr ?? 'anywhere', port, protocol]),
      )
      .filter(([, port]: any) => port !== 6443);
  };

  test.each([
    ['https://github.com/owner/homelab.git', 'anywhere', 443],
    ['https://git.home.arpa:3000/owner/homelab.git', 'anywhere', 3000],
    ['ssh://git@git.home.arpa:2222/owner/homelab.git', 'anywhere', 2222],
    ['ssh://git@ssh.github.com:443/owner/homelab.git', 'anywhere', 443],
    ['git@github.com:owner/homelab.git', 'anywhere', 22],
    ['ssh://git@192.168.1.40:2222/owner/homelab.git', '192.168.1.40/32', 2222],
    ['https://192.168.1.40/owner/homelab.git', '192.168.1.40/32', 443],
  ])('%s', (url, peer, port) => {
    expect(waysOut(url)).toEqual([[peer, port, 'TCP']]);
  });

  test('needs no egress for a repository in a local folder', () => {
    expect(waysOut('file:///srv/git/homelab.git')).toEqual([]);
  });
});

test('the parts of Argo CD reach each other at their ports, in both directions', () => {
  const { spec } = ofKind(renderedHomelab(), 'NetworkPolicy').find(({ metadata }) => metadata.name === 'argocd')!;
  const own = ({ to, from }: any) =>
    (to ?? from)?.[0].namespaceSelector?.matchLabels['kubernetes.io/metadata.name'] === 'argocd';
  const ports = (rules: any[]) => rules.filter(own).flatMap((rule) => rule.ports.map(({ port }: any) => port));
  // dex, redis, application sets, server and repo-server, metrics of each, notifications: as upstream's install.yaml has them.
  const all = [5556, 5557, 6379, 7000, 8080, 8081, 8082, 8083, 8084, 9001];
  expect(ports(spec.ingress)).toEqual(all);
  expect(ports(spec.egress)).toEqual(all);
});

test('a failed sync is retried ten times with growing pauses; the project is synced first', () => {
  const rendering = renderedHomelab();
  const applications = ofKind(rendering, 'Application');
  expect(applications.length).toBeGreaterThan(5);
  for (const { spec } of applications)
    expect(spec.syncPolicy).toEqual({
      automated: { prune: true, selfHeal: true },
      syncOptions: ['ServerSideApply=true'],
      retry: { limit: 10, refresh: true, backoff: { duration: '10s', factor: 2, maxDuration: '5m' } },
    });
  const [project] = ofKind(rendering, 'AppProject');
  expect(project!.metadata.annotations['argocd.argoproj.io/sync-wave']).toBe('-1');
});

describe('the project', () => {
  const projectOf = (rendering: Rendering) => ofKind(rendering, 'AppProject')[0]!.spec;
  const named = (list: any[]) => list.map(({ group, kind }) => `${group}/${kind}`);
  const known = (clusterWide: boolean) =>
    RENDERED_KINDS.filter(({ kind }) => isClusterScoped(kind) === clusterWide).map(
      ({ group, kind }) => `${group}/${kind}`,
    );

  test.each<[string, (homelab: any) => void]>([
    ['as it is', () => undefined],
    ['with a proxy to the models instead of an EndpointSlice', (h) => (h.llm.via = 'tcp-proxy')],
    [
      'without an ingress controller',
      (h) => {
        h.webApps = {};
        delete h.ingress;
      },
    ],
    [
      'without databases',
      (h) => {
        h.databases = {};
        for (const machine of Object.values<any>(h.machines)) delete machine.dataDisks;
        for (const service of Object.values<any>(h.services))
          service.connects = service.connects.filter((each: any) => !each.mongodb && !each.cassandra);
      },
    ],
  ])('permits the same kinds %s, or Argo CD would never delete the last object of a kind', (_, change) => {
    const project = projectOf(renderedHomelab(change));
    expect(named(project.clusterResourceWhitelist)).toEqual(known(true).sort());
    expect(named(project.namespaceResourceWhitelist)).toEqual(known(false).sort());
  });

  test('permits the namespaces of the homelab, including those that are empty now', () => {
    const namespaces = (rendering: Rendering) =>
      projectOf(rendering).destinations.map(({ namespace }: any) => namespace);
    expect(namespaces(renderedHomelab())).toEqual(['argocd', 'cassandra', 'ingress', 'mongodb', 'services', 'web']);
    const without = renderedHomelab((h) => {
      h.webApps = {};
      delete h.ingress;
    });
    expect(namespaces(without)).toEqual(['argocd', 'cassandra', 'ingress', 'mongodb', 'services', 'web']);
  });
});

describe('a chart of your own', () => {
  const homelab = changed(() => undefined);
  const withOwn = (add: (app: App) => void) => {
    const app = homelabApp(homelab);
    add(app);
    return render(app);
  };
  const chartOf = (app: App, id: string) => app.node.findChild(id) as Chart;
  const errors = (rendering: Rendering) => verdict([deployed], { rendering }).findings.map(({ message }) => message);
  const cronJob = (chart: Chart, namespace?: string) =>
    new k8s.KubeCronJob(chart, 'cleanup', {
      metadata: { name: 'cleanup', namespace },
      spec: {
        schedule: '0 3 * * *',
        jobTemplate: {
          spec: {
            template: {
              spec: {
                restartPolicy: 'Never',
                containers: [
                  {
                    name: 'cleanup',
                    image: 'ghcr.io/owner/cleanup:1',
                    resources: { requests: { memory: k8s.Quantity.fromString('1Gi') } },
                  },
                ],
              },
            },
          },
        },
      },
    });

  test('without an Application is rejected, at any depth', () => {
    const beside = withOwn((app) => cronJob(new Chart(app, 'extra', { namespace: 'services' })));
    expect(errors(beside)).toEqual([
      expect.stringMatching(
        /^dist\/extra is read by no Argo CD application, so CronJob cleanup would never be deployed; make them in a chart of your own, homelabApp\(homelab, \{ charts: \[\{ name: 'extra', make: .* or put them into a chart that has an application \(argocd, cassandra, ingress,/,
      ),
    ]);
    const inside = withOwn((app) =>
      cronJob(new Chart(chartOf(app, 'services'), 'extra', { namespace: 'services', disableResourceNameHashes: true })),
    );
    expect(errors(inside)).toEqual([expect.stringContaining('dist/extra is read by no Argo CD application')]);
  });

  test('in a chart that has one is deployed: the project permits its kind and the quota has room for it', () => {
    const room = (rendering: Rendering) =>
      ofKind(rendering, 'ResourceQuota').find(({ metadata }) => metadata.namespace === 'services')!.spec.hard;
    const own = withOwn((app) => cronJob(chartOf(app, 'services')));
    expect(errors(own)).toEqual([]);
    expect(named(own)).toContain('batch/CronJob');
    // The current run and the one before it.
    expect(room(own).pods).toBe(room(withOwn(() => undefined)).pods + 2);
  });
  const named = (rendering: Rendering) =>
    ofKind(rendering, 'AppProject')[0]!.spec.namespaceResourceWhitelist.map(
      ({ group, kind }: any) => `${group}/${kind}`,
    );

  test('in a namespace that is not rendered is rejected; with the namespace it is deployed', () => {
    const nowhere = withOwn((app) => cronJob(chartOf(app, 'services'), 'extra'));
    expect(errors(nowhere)).toEqual([
      expect.stringMatching(
        /^CronJob cleanup \(services\/cleanup\) is in the namespace extra, which the project collab does not permit, so Argo CD would refuse the sync of the whole application services; use one of argocd, .* \(a Helm chart gets it as namespace: chart.namespace\), or render that namespace: new IsolatedNamespace\(/,
      ),
    ]);
    const made = withOwn((app) => {
      new IsolatedNamespace(chartOf(app, 'platform'), 'extra', { name: 'extra' });
      cronJob(chartOf(app, 'services'), 'extra');
    });
    expect(errors(made)).toEqual([]);
  });

  test('of a kind that a changed project does not permit is rejected', () => {
    const rendering = withOwn((app) => cronJob(chartOf(app, 'services')));
    const narrow = rendering.map((each) =>
      each.object.kind !== 'AppProject'
        ? each
        : {
            ...each,
            object: {
              ...each.object,
              spec: { ...each.object.spec, namespaceResourceWhitelist: [{ group: 'batc*', kind: 'Job' }, ...apart] },
            },
          },
    );
    expect(errors(narrow)).toEqual([
      "CronJob cleanup (services/cleanup) is of a kind that the project collab does not permit, so Argo CD would refuse the sync of the whole application services; add { group: 'batch', kind: 'CronJob' } to spec.namespaceResourceWhitelist of that AppProject",
    ]);
  });
  const apart = RENDERED_KINDS.filter(({ kind }) => kind !== 'Job' && kind !== 'CronJob' && !isClusterScoped(kind));

  test('is not checked when no Application is rendered', () => {
    const app = Testing.app();
    cronJob(new Chart(app, 'extra', { namespace: 'extra' }));
    expect(errors(render(app))).toEqual([]);
  });
});

describe('the list of kinds', () => {
  const groupAndKind = ({ apiVersion, kind }: { apiVersion: string; kind: string }) => `${groupOf(apiVersion)}/${kind}`;
  const listed = RENDERED_KINDS.map(({ group, kind }) => `${group}/${kind}`).sort();

  /** Kinds that the sources render: typed classes by their name, others by the text after `new ApiObject`. */
  const made = ['constructs', 'charts'].flatMap((folder) =>
    fs
      .readdirSync(folder)
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => {
        const text = fs.readFileSync(join(folder, file), 'utf8');
        const typed = [...text.matchAll(/new k8s\.(Kube\w+)/g)].map(([, name]) =>
          groupAndKind((k8s as any)[name!].GVK),
        );
        const plain = [...text.matchAll(/new ApiObject\([^]*?apiVersion: '([^']+)',\s*kind(?:: '(\w+)')?/g)].flatMap(
          // When the kind is a parameter, all values that the file passes for it.
          ([, apiVersion, kind]) =>
            (kind === undefined
              ? [...text.matchAll(/argoObject\(\w+, [^,]+, '(\w+)'/g)].map(([, each]) => each!)
              : [kind]
            ).map((each) => groupAndKind({ apiVersion: apiVersion!, kind: each })),
        );
        expect(plain.length).toBeGreaterThanOrEqual([...text.matchAll(/new ApiObject\(/g)].length);
        return [...typed, ...plain];
      }),
  );

  test('is exactly what the sources render', () => {
    expect([...new Set(made)].sort()).toEqual(listed);
    expect(new Set(listed).size).toBe(listed.length);
  });

  test.each(['the homelab of tests', ...fs.readdirSync('examples')])('contains what %s renders', async (name) => {
    const file = resolve('examples', name, 'homelab.ts');
    const homelab: Homelab | undefined = fs.existsSync(file)
      ? (await import(file)).default
      : name === 'the homelab of tests'
        ? changed(() => undefined)
        : undefined;
    // An app without a homelab renders with the same constructs.
    if (homelab === undefined) return expect(fs.existsSync(resolve('examples', name, 'main.ts'))).toBe(true);
    const kinds = render(homelabApp(homelab)).map(({ object }) => groupAndKind(object as any));
    expect([...new Set(kinds)].filter((kind) => !listed.includes(kind))).toEqual([]);
    expect(kinds.length).toBeGreaterThan(10);
  });
});

test.each<readonly [string, (homelab: any) => void]>([
  ['model', (h) => (h.llm.models.chat.tag = 'llama3.1:8b')],
  ['port', (h) => (h.llm.port = 11435)],
])(
  'another %s changes an object that is not a hook, so that Argo CD syncs and the check of the models runs again',
  (_, change) => {
    const text = (rendering: Rendering, kind: string) =>
      JSON.stringify(ofKind(rendering, kind).find(({ metadata }) => metadata.name === 'llm-service-proof'));
    const [before, after] = [renderedHomelab(), renderedHomelab(change)];
    expect(text(after, 'Job')).not.toBe(text(before, 'Job'));
    expect(text(after, 'ConfigMap')).not.toBe(text(before, 'ConfigMap'));
  },
);
