import { ApiObject, Chart, Include, Size } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import { homelabApp, type OwnChart } from '../../charts';
import { budgetRows, checks, verdict, type Rendering } from '../../checks';
import { DeclaredSecret, MicroserviceDeployment, Probes, RenderedService } from '../../constructs';
import { defineHomelab } from '../../inventory';
import { render } from '../../synth';
import { changed, ofKind } from '../homelab';

const homelab = defineHomelab(changed(() => undefined));
const rendered = (...charts: OwnChart[]): Rendering => render(homelabApp(homelab, { charts }));
const errors = (...charts: OwnChart[]) =>
  verdict(checks, { rendering: rendered(...charts), homelab })
    .findings.filter(({ severity }) => severity === 'error')
    .map(({ message }) => message);
const named = (rendering: Rendering, kind: string, name: string, namespace?: string) =>
  ofKind(rendering, kind).find(({ metadata }) => metadata.name === name && metadata.namespace === namespace)!;

/** A Redis as the documentation has it. */
const redis: OwnChart = {
  name: 'redis',
  make: (chart, { service, priorityClassName, pullSecrets }) => {
    const server = new MicroserviceDeployment(chart, 'redis', {
      image: 'docker.io/library/redis:8.2.2-alpine',
      port: 6379,
      probes: Probes.tcp(),
      resources: { memory: Size.mebibytes(128), cpu: Cpu.millis(50) },
      priorityClassName,
      pullSecrets,
    });
    service('presence').connectTo(server);
  },
};

describe('a chart of your own', () => {
  test('gets a folder, an application, a namespace with policies, limits and a quota', () => {
    const rendering = rendered(redis);
    expect(errors(redis)).toEqual([]);
    expect(
      rendering
        .filter(({ chart }) => chart === 'redis')
        .map(({ object }) => object.kind)
        .sort(),
    ).toEqual(['Deployment', 'NetworkPolicy', 'Service', 'ServiceAccount']);
    const application = named(rendering, 'Application', 'redis', 'argocd');
    expect(application.metadata.annotations['argocd.argoproj.io/sync-wave']).toBe('2');
    expect(application.spec).toMatchObject({ source: { path: 'dist/redis' }, destination: { namespace: 'redis' } });
    expect(named(rendering, 'Namespace', 'redis').metadata.labels).toMatchObject({
      'pod-security.kubernetes.io/enforce': 'restricted',
    });
    expect(named(rendering, 'NetworkPolicy', 'default-deny', 'redis')).toBeDefined();
    expect(named(rendering, 'LimitRange', 'defaults', 'redis')).toBeDefined();
    expect(named(rendering, 'ResourceQuota', 'quota', 'redis').spec.hard).toEqual({
      'requests.memory': '256Mi',
      'limits.memory': '256Mi',
      'requests.cpu': '100m',
      pods: 2,
    });
    const [project] = ofKind(rendering, 'AppProject');
    expect(project!.spec.destinations.map(({ namespace }: any) => namespace)).toContain('redis');
  });

  test('stands in the budget, and a service of homelab.ts gets its address and a way to it', () => {
    const rendering = rendered(redis);
    expect(budgetRows(rendering, homelab).filter(({ workload }) => workload === 'redis/redis')).toEqual([
      expect.objectContaining({ pods: 1, surge: 1, memory: 128 * 1024 ** 2, cpu: 50 }),
    ]);
    const { env } = named(rendering, 'Deployment', 'presence', 'services').spec.template.spec.containers[0];
    expect(env).toContainEqual({ name: 'REDIS_HOST', value: 'redis.redis.svc.cluster.local' });
    expect(JSON.stringify(named(rendering, 'NetworkPolicy', 'redis', 'redis').spec.ingress)).toContain('presence');
  });

  test('connects to a database, whose secret must then exist in its namespace', () => {
    const app = homelabApp(homelab, {
      charts: [
        {
          name: 'reports',
          make: (chart, parts) => {
            const reports = new MicroserviceDeployment(chart, 'reports', { image: 'ghcr.io/owner/reports:1.0.0' });
            reports.connectTo(parts.mongodb('mongodb'), { database: 'reports' });
            reports.connectTo(parts.llm(), { model: 'chat' });
            reports.connectTo(parts.service('documents'));
          },
        },
      ],
    });
    const secrets = DeclaredSecret.all(app).filter(({ namespaces }) => namespaces.includes('reports'));
    expect(secrets.map(({ name }) => name)).toEqual(['mongodb-reports']);
    expect(render(app).length).toBeGreaterThan(100);
  });

  test('counts each kind of workload: CronJob, Job, bare Pod and the maximum of an autoscaler', () => {
    const resources = {
      requests: { memory: k8s.Quantity.fromString('64Mi'), cpu: k8s.Quantity.fromString('10m') },
      limits: { memory: k8s.Quantity.fromString('64Mi') },
    };
    const spec = { restartPolicy: 'Never', containers: [{ name: 'a', image: 'a:1', resources }] };
    const rendering = rendered({
      name: 'batch',
      podSecurity: 'baseline',
      podSecurityReason: 'a test',
      make: (chart) => {
        new k8s.KubePod(chart, 'pod', { metadata: { name: 'pod' }, spec });
        new k8s.KubeJob(chart, 'job', { metadata: { name: 'job' }, spec: { template: { spec } } });
        new k8s.KubeCronJob(chart, 'cron', {
          metadata: { name: 'cron' },
          spec: { schedule: '0 3 * * *', jobTemplate: { spec: { template: { spec } } } },
        });
        const labels = { app: 'scaled' };
        new k8s.KubeDeployment(chart, 'scaled', {
          metadata: { name: 'scaled' },
          spec: {
            selector: { matchLabels: labels },
            template: { metadata: { labels }, spec: { ...spec, restartPolicy: 'Always' } },
          },
        });
        new k8s.KubeHorizontalPodAutoscalerV2(chart, 'scaler', {
          metadata: { name: 'scaled' },
          spec: { maxReplicas: 4, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'scaled' } },
        });
      },
    });
    const rows = budgetRows(rendering, homelab).filter(({ workload }) => workload.startsWith('batch/'));
    const pods = Object.fromEntries(
      ['pod', 'job', 'cron', 'scaled'].map((name) => [
        name,
        rows.filter(({ workload }) => workload === `batch/${name}`).reduce((sum, row) => sum + row.pods + row.surge, 0),
      ]),
    );
    // A CronJob without Forbid runs twice at once; a Deployment of four has one more pod while it rolls.
    expect(pods).toEqual({ pod: 1, job: 1, cron: 2, scaled: 5 });
    // The job twice: the changed one starts before its predecessor is pruned.
    expect(named(rendering, 'ResourceQuota', 'quota', 'batch').spec.hard).toMatchObject({
      pods: 10,
      'requests.memory': '640Mi',
    });
  });

  test('that holds data is never deleted by Argo CD', () => {
    const rendering = rendered({ ...redis, keep: true });
    const keep = { 'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false' };
    for (const object of [
      named(rendering, 'Application', 'redis', 'argocd'),
      named(rendering, 'Namespace', 'redis'),
      named(rendering, 'ResourceQuota', 'quota', 'redis'),
    ])
      expect(object.metadata.annotations).toMatchObject(keep);
    expect(named(rendering, 'Application', 'redis', 'argocd').metadata.finalizers).toBeUndefined();
  });

  test('with an Ingress is served by the controller of the homelab', () => {
    const roles = (chart: OwnChart) =>
      ofKind(rendered(chart), 'Role')
        .filter(({ metadata }) => metadata.name === 'traefik')
        .map(({ metadata }) => metadata.namespace);
    expect(roles(redis)).not.toContain('redis');
    expect(roles({ ...redis, ingress: true })).toContain('redis');
  });

  test('without charts of your own, nothing else is rendered', () => {
    expect(rendered()).toEqual(render(homelabApp(homelab)));
  });
});

const definition = (chart: Chart, scope: 'Namespaced' | 'Cluster', annotations = {}) =>
  new ApiObject(chart, 'crd', {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'issuers.example.org', annotations },
    spec: { group: 'example.org', scope, names: { kind: 'Issuer', plural: 'issuers' }, versions: [] },
  });
const issuer = (chart: Chart) =>
  new ApiObject(chart, 'issuer', { apiVersion: 'example.org/v1', kind: 'Issuer', metadata: { name: 'own' } });

describe('a chart with definitions', () => {
  test('is synced before other charts, and permits its cluster-scoped kinds', () => {
    const charts: OwnChart[] = [
      { name: 'kinds', clusterScoped: ['CustomResourceDefinition'], make: (chart) => definition(chart, 'Namespaced') },
      { name: 'users', make: issuer },
    ];
    expect(errors(...charts)).toEqual([]);
    const rendering = rendered(...charts);
    const wave = (name: string) =>
      named(rendering, 'Application', name, 'argocd').metadata.annotations['argocd.argoproj.io/sync-wave'];
    expect([wave('kinds'), wave('users')]).toEqual(['1', '2']);
    const [{ spec }] = ofKind(rendering, 'AppProject') as [any];
    expect(spec.clusterResourceWhitelist).toContainEqual({
      group: 'apiextensions.k8s.io',
      kind: 'CustomResourceDefinition',
    });
    expect(spec.namespaceResourceWhitelist).toContainEqual({ group: 'example.org', kind: 'Issuer' });
    expect(named(rendering, 'CustomResourceDefinition', 'issuers.example.org')).toBeDefined();
  });

  test('a custom kind for the whole cluster has no namespace and is permitted as such', () => {
    const chart: OwnChart = {
      name: 'kinds',
      clusterScoped: ['CustomResourceDefinition', 'Issuer'],
      make: (made) => {
        definition(made, 'Cluster');
        issuer(made);
      },
    };
    expect(errors(chart)).toEqual([]);
    const rendering = rendered(chart);
    expect(named(rendering, 'Issuer', 'own').metadata.namespace).toBeUndefined();
    const [{ spec }] = ofKind(rendering, 'AppProject') as [any];
    expect(spec.clusterResourceWhitelist).toContainEqual({ group: 'example.org', kind: 'Issuer' });
    expect(spec.namespaceResourceWhitelist).not.toContainEqual({ group: 'example.org', kind: 'Issuer' });
  });
});

describe('a chart of Helm', () => {
  /** What `helm template` of Helm 4.3.2 prints for the chart that `helm create wiki` writes. */
  const wiki = (edit: (object: any) => void = () => undefined): OwnChart => ({
    name: 'wiki',
    make: (chart) => {
      const include = new Include(chart, 'wiki', { url: 'test/fixtures/helm-template.yaml' });
      for (const object of include.apiObjects) {
        const json = object.toJson.bind(object);
        object.toJson = () => {
          const rendered = json();
          edit(rendered);
          return rendered;
        };
      }
    },
  });
  /** As values of the chart would set it. */
  const harden = (object: any) => {
    if (object.kind === 'Pod') delete object.metadata.annotations;
    const pod =
      object.kind === 'Pod' ? object.spec : object.kind === 'Deployment' ? object.spec.template.spec : undefined;
    for (const container of pod?.containers ?? [])
      container.securityContext = {
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      };
  };

  test('is refused as it is: a test that never runs, and pods that the namespace refuses', () => {
    const found = errors(wiki());
    expect(found).toEqual([
      expect.stringMatching(
        /^Pod wiki\/wiki-test-connection .* is a hook of Helm for test, which Argo CD never runs; add helmFlags/,
      ),
      expect.stringMatching(
        /^the API server would refuse the pods of Deployment wiki\/wiki \(.*\), because the namespace wiki enforces the level restricted: container wiki must set allowPrivilegeEscalation: false; container wiki must set runAsNonRoot: true; container wiki must set seccompProfile: \{ type: 'RuntimeDefault' \}; container wiki must set capabilities: \{ drop: \['ALL'\] \}; set these fields/,
      ),
      expect.stringMatching(/^the API server would refuse the pods of Pod wiki\/wiki-test-connection/),
    ]);
  });

  test('is accepted with hardened pods; what it leaves out counts as the namespace sets it', () => {
    expect(errors(wiki(harden))).toEqual([]);
    const rendering = rendered(wiki(harden));
    // Two pods and the surge of one, each with the defaults of the namespace.
    expect(named(rendering, 'ResourceQuota', 'quota', 'wiki').spec.hard).toEqual({
      'requests.memory': '192Mi',
      'limits.memory': '192Mi',
      'requests.cpu': '30m',
      pods: 3,
    });
    const rows = budgetRows(rendering, homelab).filter(({ workload }) => workload === 'wiki/wiki');
    expect(rows).toEqual([expect.objectContaining({ memory: 64 * 1024 ** 2, cpu: 10 })]);
  });

  test('is reached through its Service, at the port of its pods', () => {
    const rendering = rendered({
      name: 'wiki',
      make: (chart, { service }) => {
        wiki(harden).make(chart, {} as never);
        service('search').connectTo(RenderedService.of(chart, 'wiki'));
        service('documents').connectTo(RenderedService.of(chart, 'wiki'), { port: 'http', envPrefix: 'PAGES' });
      },
    });
    const env = (name: string) => named(rendering, 'Deployment', name, 'services').spec.template.spec.containers[0].env;
    expect(env('search')).toContainEqual({ name: 'WIKI_URL', value: 'http://wiki.wiki.svc.cluster.local:80' });
    expect(env('documents')).toContainEqual({ name: 'PAGES_PORT', value: '80' });
    const { spec } = named(rendering, 'NetworkPolicy', 'clients-of-wiki', 'wiki');
    expect(spec.podSelector.matchLabels).toEqual({
      'app.kubernetes.io/instance': 'wiki',
      'app.kubernetes.io/name': 'wiki',
    });
    expect(spec.ingress.map(({ ports }: any) => ports)).toEqual([
      [{ port: 80, protocol: 'TCP' }],
      [{ port: 80, protocol: 'TCP' }],
    ]);
  });
});

const configMap = (chart: Chart) => new k8s.KubeConfigMap(chart, 'map', { metadata: { name: 'map' } });
const pod = (chart: Chart, container: object) =>
  new k8s.KubePod(chart, 'pod', {
    metadata: { name: 'pod' },
    spec: { containers: [{ name: 'main', image: 'ghcr.io/owner/a:1', ...container }] },
  });
const MIB = (text: string) => ({ memory: k8s.Quantity.fromString(text) });

test.each<[string, OwnChart | OwnChart[], string]>([
  [
    'a name that is no DNS label',
    { name: 'My_Chart', make: configMap },
    'charts[0].name must be a DNS label, got "My_Chart" (allowed: 1 to 63 of a-z, 0-9 and -, neither first nor last a -); choose another name',
  ],
  [
    'the name of a folder of ours',
    { name: 'platform', make: configMap },
    'charts[0].name must be the name of no other folder, namespace or application, got "platform, which the homelab uses"; give the chart another name',
  ],
  ['the name of a database', { name: 'mongodb', make: configMap }, 'got "mongodb, which the homelab uses"'],
  ['the name of the root application', { name: 'collab', make: configMap }, 'got "collab, which the homelab uses"'],
  ['a namespace of Kubernetes', { name: 'kube-system', make: configMap }, 'got "kube-system, which the homelab uses"'],
  [
    'one folder for two charts',
    [
      { name: 'twice', make: configMap },
      { name: 'twice', make: configMap },
    ],
    'charts[1].name must be the name of no other folder, namespace or application, got "twice, which charts[0] uses"',
  ],
  [
    'no object',
    { name: 'empty', make: () => undefined },
    'the chart empty must render an object, got "no object"; make its objects in `make`',
  ],
  [
    'a kind for the whole cluster without a word about it',
    {
      name: 'rights',
      make: (chart) => new k8s.KubeClusterRole(chart, 'role', { metadata: { name: 'all' }, rules: [] }),
    },
    `rights/role: the chart rights must name the cluster-scoped kinds that it renders, got "ClusterRole all" (allowed: none); add clusterScoped: ['ClusterRole'] to the chart`,
  ],
  [
    'a namespaced kind among those for the whole cluster',
    { name: 'rights', clusterScoped: ['ConfigMap'], make: configMap },
    'clusterScoped of the chart rights must name kinds without a namespace, got "ConfigMap"; remove it',
  ],
  [
    'a kind for the whole cluster that it does not render',
    { name: 'rights', clusterScoped: ['ClusterRole'], make: configMap },
    'clusterScoped of the chart rights must name kinds that it renders, got "ClusterRole" (allowed: ConfigMap); remove it',
  ],
  [
    'another level of Pod Security without a reason',
    { name: 'open', podSecurity: 'privileged', make: configMap },
    'a namespace with Pod Security level privileged must give a reason, got nothing; give podSecurityReason',
  ],
  [
    'a service that homelab.ts does not have',
    { name: 'own', make: (_, { service }) => void service('documnets') },
    'a chart of your own must name a service or web app of homelab.ts, got "documnets" (allowed: gateway, identity,',
  ],
  [
    'a database that homelab.ts does not have',
    { name: 'own', make: (_, { cassandra }) => void cassandra('mongodb') },
    'a chart of your own must name a Cassandra of homelab.ts, got "mongodb" (allowed: cassandra)',
  ],
  [
    'a Service that the chart does not render',
    { name: 'own', make: (chart) => void RenderedService.of(chart, 'redis') },
    'the chart own must render the Service, got "redis" (allowed: it renders none); name one of its Services',
  ],
])('refuses %s', (_, charts, message) => {
  expect(() => rendered(...[charts].flat())).toThrow(message);
});

test.each<[string, OwnChart | OwnChart[], string]>([
  [
    'a chart inside a chart, which has no application',
    { name: 'own', make: (chart) => void configMap(new Chart(chart, 'inner', { namespace: 'own' })) },
    'dist/inner is read by no Argo CD application, so ConfigMap map would never be deployed; make them in a chart of your own',
  ],
  [
    'a namespace that nothing renders',
    {
      name: 'own',
      make: (chart) => new k8s.KubeConfigMap(chart, 'map', { metadata: { name: 'map', namespace: 'default' } }),
    },
    'ConfigMap map (own/map) is in the namespace default, which the project collab does not permit',
  ],
  [
    'the values of a secret',
    {
      name: 'own',
      make: (chart) => new k8s.KubeSecret(chart, 's', { metadata: { name: 's' }, stringData: { password: 'x' } }),
    },
    'Secret own/s (own/s) would put the values of password into dist/, and so into Git; declare it with new DeclaredSecret',
  ],
  [
    'a container that requests more than the limit that the namespace adds',
    {
      name: 'own',
      podSecurity: 'baseline',
      podSecurityReason: 'a test',
      make: (chart) => pod(chart, { resources: { requests: MIB('128Mi') } }),
    },
    'container main requests 128Mi of memory, and its limit is 64Mi (its own, or the default of the namespace); set resources.limits.memory',
  ],
  [
    'a privileged container, with a level that does not allow it',
    {
      name: 'own',
      podSecurity: 'baseline',
      podSecurityReason: 'a test',
      make: (chart) => pod(chart, { securityContext: { privileged: true } }),
    },
    'because the namespace own enforces the level baseline: container main must not be privileged; set these fields',
  ],
  [
    'more than the nodes have',
    {
      name: 'own',
      podSecurity: 'baseline',
      podSecurityReason: 'a test',
      make: (chart) => pod(chart, { resources: { limits: MIB('64Gi') } }),
    },
    'MiB too much; lower a request, move a workload or give the machine more memory',
  ],
  [
    'an object of another chart before its definition',
    [
      {
        name: 'kinds',
        clusterScoped: ['CustomResourceDefinition'],
        make: (chart) => {
          definition(chart, 'Namespaced');
        },
      },
      {
        name: 'more-kinds',
        clusterScoped: ['CustomResourceDefinition'],
        make: (chart) => {
          issuer(chart);
          new ApiObject(chart, 'other', {
            apiVersion: 'apiextensions.k8s.io/v1',
            kind: 'CustomResourceDefinition',
            metadata: { name: 'others.example.com' },
            spec: { group: 'example.com', scope: 'Namespaced', names: { kind: 'Other' } },
          });
        },
      },
    ],
    'Issuer own (more-kinds/issuer) is in the application more-kinds of wave 1, and its kind is defined in the application kinds of wave 1',
  ],
  [
    'an object in an earlier wave than its definition',
    {
      name: 'kinds',
      clusterScoped: ['CustomResourceDefinition'],
      make: (chart) => {
        definition(chart, 'Namespaced', { 'argocd.argoproj.io/sync-wave': '1' });
        issuer(chart);
      },
    },
    'Issuer own (kinds/issuer) has the sync wave 0, and the definition of its kind has 1',
  ],
  [
    'a custom kind for the whole cluster in a namespace',
    {
      name: 'kinds',
      clusterScoped: ['CustomResourceDefinition'],
      make: (chart) => {
        definition(chart, 'Cluster');
        issuer(chart);
      },
    },
    `Issuer own (kinds/issuer) is in the namespace kinds, and its CustomResourceDefinition has the scope Cluster; add clusterScoped: ['Issuer'] to the chart kinds`,
  ],
])('a check refuses %s', (_, charts, message) => {
  expect(errors(...[charts].flat())).toEqual([expect.stringContaining(message)]);
});
