import { Size } from 'cdk8s';
import { images, Probes } from '../../constructs';
import type { Rendering } from '../../checks';
import homelab from '../fixtures/homelab';
import { variablesOf, type Homelab } from '../../inventory';
import { changed, ofKind, renderedHomelab } from '../homelab';

const rendering = renderedHomelab();
const WORKLOADS = ['Deployment', 'StatefulSet', 'DaemonSet', 'Job'];
const workloads = ofKind(rendering, ...WORKLOADS);
const KEEP = 'Prune=false,Delete=false';

const idOf = ({ kind, metadata }: any) =>
  `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name}`;
const isKept = ({ metadata }: any) => metadata.annotations?.['argocd.argoproj.io/sync-options'] === KEEP;
const podOf = (workload: any) => workload.spec.template;
const containersOf = (workload: any) => [
  ...(podOf(workload).spec.initContainers ?? []),
  ...podOf(workload).spec.containers,
];
const selects = (selector: any, labels: any) =>
  Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value);

describe('where pods run', () => {
  const named = (name: string) => workloads.filter(({ metadata }) => metadata.name.startsWith(name));
  const required = (workload: any) =>
    podOf(workload).spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms[0]
      .matchExpressions[0];

  test.each([
    ['cassandra-r', 3],
    ['mongodb', 1],
  ])('runs %s only on the nodes with its label', (name, count) => {
    const sets = ofKind(rendering, 'StatefulSet').filter(({ metadata }) => metadata.name.startsWith(name));
    expect(sets).toHaveLength(count);
    for (const set of sets)
      expect(required(set)).toEqual({
        key: 'storage-type',
        operator: 'In',
        values: [name === 'mongodb' ? 'mongodb' : 'cassandra'],
      });
  });

  test('prefers worker-02 for services and allows worker-01, so that a drain of worker-02 moves them', () => {
    for (const name of Object.keys(homelab.services)) {
      const [service] = named(name).filter(({ kind }) => kind === 'Deployment');
      expect(required(service)).toBeUndefined();
      expect(
        podOf(service).spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference
          .matchExpressions[0].values,
      ).toEqual(['mongodb']);
      expect(service!.spec.replicas).toBe(1);
    }
  });
});

describe('what pods may do', () => {
  test('every container has a memory limit that is its request, and a request for CPU', () => {
    const wrong = workloads.flatMap((workload) =>
      containersOf(workload)
        .filter(
          ({ resources }: any) =>
            !resources?.limits?.memory ||
            resources.limits.memory !== resources.requests?.memory ||
            !resources.requests.cpu,
        )
        .map(({ name }: any) => `${idOf(workload)} ${name}`),
    );
    expect(wrong).toEqual([]);
    expect(workloads.length).toBeGreaterThan(15);
  });

  test('every namespace with pods denies traffic in both directions by default, and every pod has its own policy', () => {
    const policies = ofKind(rendering, 'NetworkPolicy');
    const denied = policies
      .filter(({ metadata, spec }) => metadata.name === 'default-deny' && spec.policyTypes.length === 2)
      .map(({ metadata }) => metadata.namespace);
    const used = new Set(workloads.map(({ metadata }) => metadata.namespace));
    expect([...used].filter((namespace) => !denied.includes(namespace))).toEqual([]);
    const alone = workloads.filter(
      (workload) =>
        policies.filter(
          ({ metadata, spec }) =>
            metadata.namespace === workload.metadata.namespace &&
            metadata.name !== 'default-deny' &&
            selects(spec.podSelector, podOf(workload).metadata.labels),
        ).length !== 1,
    );
    expect(alone.map(idOf)).toEqual([]);
  });

  test('every namespace is restricted, except one that gives the reason', () => {
    const namespaces = ofKind(rendering, 'Namespace').map(({ metadata }) => ({
      name: metadata.name,
      level: metadata.labels['pod-security.kubernetes.io/enforce'],
      reason: metadata.annotations?.['collab-homelab/pod-security-reason'],
    }));
    expect(namespaces.filter(({ level }) => level !== 'restricted')).toEqual([
      { name: 'ingress', level: 'privileged', reason: expect.stringContaining('hostPort 80 and 443') },
    ]);
    expect(namespaces).toHaveLength(6);
  });

  test('only pods that call the API server have a token', () => {
    const withToken = workloads.filter((workload) => podOf(workload).spec.automountServiceAccountToken !== false);
    expect(withToken.map(idOf)).toEqual(['DaemonSet ingress/traefik', 'Job services/llm-service-proof']);
  });
});

test('services reach only the targets in homelab.ts', () => {
  const reached = (namespace: string, name: string) => {
    const policy = ofKind(rendering, 'NetworkPolicy').find(
      ({ metadata }) => metadata.namespace === namespace && metadata.name === name,
    )!;
    return policy.spec.egress
      .flatMap(({ to }: any) => to)
      .map(
        ({ ipBlock, podSelector }: any) =>
          ipBlock?.cidr ?? podSelector.matchLabels['app.kubernetes.io/instance'] ?? 'dns',
      )
      .sort();
  };
  const model = '192.168.1.30/32';
  const target = (connection: any) =>
    connection.service ?? connection.mongodb ?? connection.cassandra ?? (connection.model && model);
  for (const [group, namespace] of [
    ['services', 'services'],
    ['webApps', 'web'],
  ] as const)
    for (const [name, { connects }] of Object.entries(homelab[group]))
      expect([name, reached(namespace, name)]).toEqual([name, [...new Set(connects.map(target)), 'dns'].sort()]);
});

describe('what a real API server showed', () => {
  const everywhere = (value: any, visit: (key: string, entry: unknown) => void): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, entry] of Object.entries(value)) {
      visit(key, entry);
      everywhere(entry, visit);
    }
  };

  test('renders no empty matchLabels: the API server drops it, and each sync would apply it again', () => {
    const empty: string[] = [];
    for (const { file, object } of rendering)
      everywhere(object, (key, entry) => {
        if (key === 'matchLabels' && Object.keys(entry as object).length === 0) empty.push(file);
      });
    expect(empty).toEqual([]);
  });

  test('renders no globalDefault: false in a priority class: the API server drops it', () => {
    for (const object of ofKind(rendering, 'PriorityClass')) expect(object).not.toHaveProperty('globalDefault');
  });

  test('renders finalizers with a path: the API server warns about one without', () => {
    const finalizers = rendering.flatMap(({ object }) => object.metadata.finalizers ?? []);
    expect(finalizers.length).toBeGreaterThan(0);
    for (const finalizer of finalizers) expect(finalizer).toMatch(/^[a-z0-9.-]+\/.+/);
  });
});

test('no secret and no literal password is rendered', () => {
  expect(ofKind(rendering, 'Secret')).toEqual([]);
  const literal = workloads.flatMap((workload) =>
    containersOf(workload).flatMap(({ env = [] }: any) =>
      env.filter(({ name, value }: any) => /PASSWORD|TOKEN|SECRET/.test(name) && value !== undefined),
    ),
  );
  expect(literal).toEqual([]);
});

test('every image has an exact version and is listed in the file of images', () => {
  const used = new Set(workloads.flatMap((workload) => containersOf(workload).map(({ image }: any) => image)));
  expect([...used].filter((image) => !Object.values<string>(images).includes(image))).toEqual([]);
  for (const image of Object.values(images)) expect(image).toMatch(/(:(?!latest)[^/:]+|@sha256:[0-9a-f]{64})$/);
});

describe('Argo CD', () => {
  const applications = ofKind(rendering, 'Application');
  const settings = ofKind(rendering, 'ConfigMap').find(({ metadata }) => metadata.name === 'argocd-cm')!;

  test('keeps only objects that hold data or protect it', () => {
    const kept = rendering.map(({ object }) => object).filter(isKept);
    const kinds = (namespace: string) =>
      kept
        .filter(
          ({ kind, metadata }) =>
            metadata.namespace === namespace || (kind === 'Namespace' && metadata.name === namespace),
        )
        .map(({ kind, metadata }) => `${kind} ${metadata.name}`)
        .sort();
    for (const database of ['cassandra', 'mongodb'])
      expect(kinds(database)).toEqual(
        [
          'LimitRange defaults',
          `Namespace ${database}`,
          `NetworkPolicy ${database}`,
          'NetworkPolicy default-deny',
          'ResourceQuota quota',
        ].sort(),
      );
    expect(ofKind(rendering, 'PersistentVolume', 'StorageClass').filter((object) => !isKept(object))).toEqual([]);
    expect(ofKind(rendering, 'PersistentVolume')).toHaveLength(6);
    expect(kept.filter(({ metadata }) => ['services', 'web', 'ingress'].includes(metadata.namespace))).toEqual([]);
  });

  test('deleting the Application of a database deletes nothing: it is kept and has no finalizer', () => {
    const kept = applications.filter(isKept);
    expect(kept.map(({ metadata }) => metadata.name).sort()).toEqual(['cassandra', 'collab', 'mongodb', 'platform']);
    expect(kept.filter(({ metadata }) => metadata.finalizers)).toEqual([]);
  });

  test('has one Application for each folder, with prune and self-heal, in waves that start with the platform', () => {
    const folders = new Set(rendering.map(({ chart }) => chart));
    expect(applications.map(({ spec }) => spec.source.path).sort()).toEqual(
      [...folders].map((folder) => `dist/${folder}`).sort(),
    );
    const waves = Object.fromEntries(
      applications.map(({ metadata }) => [metadata.name, Number(metadata.annotations['argocd.argoproj.io/sync-wave'])]),
    );
    expect(waves).toEqual({
      collab: 0,
      platform: 0,
      cassandra: 1,
      mongodb: 1,
      ingress: 1,
      llm: 1,
      services: 2,
      web: 3,
      'llm-proof': 4,
    });
    for (const { spec } of applications)
      expect(spec.syncPolicy).toMatchObject({
        automated: { prune: true, selfHeal: true },
        syncOptions: ['ServerSideApply=true'],
      });
  });

  test('gives each Application a namespace that the project permits: Argo CD refuses to sync one without', () => {
    const permitted = ofKind(rendering, 'AppProject')[0]!.spec.destinations.map(({ namespace }: any) => namespace);
    for (const { metadata, spec } of applications)
      expect([metadata.name, permitted.includes(spec.destination.namespace)]).toEqual([metadata.name, true]);
  });

  test('does not exclude EndpointSlices, as its default does: llm-service would have no endpoint', () => {
    expect(settings.data['resource.exclusions']).not.toContain('EndpointSlice');
    expect(settings.data['resource.exclusions']).toContain('Endpoints');
  });

  test('checks the health of Applications, or sync waves would not wait', () => {
    expect(settings.data['resource.customizations.health.argoproj.io_Application']).toContain('Progressing');
  });
});

describe('a database that is removed', () => {
  const retire = (h: any) => {
    h.databases.mongodb.state = 'retired';
    for (const service of Object.values<any>(h.services))
      service.connects = service.connects.filter((connection: any) => !connection.mongodb);
  };
  const retired = renderedHomelab(retire);
  const ids = (of: Rendering) => of.map(({ object }) => idOf(object));

  test('runs no pods after it is retired, and keeps namespace, policies, volumes and Application', () => {
    const left = retired.map(({ object }) => object).filter((object) => idOf(object).includes('mongodb'));
    expect(left.filter(({ kind }) => WORKLOADS.includes(kind))).toEqual([]);
    expect(left.map(idOf).sort()).toEqual([
      'Application argocd/mongodb',
      'LimitRange mongodb/defaults',
      'Namespace mongodb',
      'NetworkPolicy mongodb/default-deny',
      'NetworkPolicy mongodb/mongodb',
      'PersistentVolume mongodb-data-mongodb-0',
      'PersistentVolume mongodb-data-mongodb-1',
      'PersistentVolume mongodb-data-mongodb-2',
      'ResourceQuota mongodb/quota',
    ]);
    expect(left.find(({ kind }) => kind === 'ResourceQuota')!.spec.hard.pods).toBe(0);
    expect(left.filter((object) => !isKept(object))).toEqual([]);
  });

  test('leaves nothing in Git after its entry is deleted', () => {
    const gone = renderedHomelab((h) => {
      retire(h);
      delete h.databases.mongodb;
      delete h.machines['talos-worker-02'].dataDisks;
    });
    expect(ids(gone).filter((id) => id.includes('mongodb'))).toEqual([]);
  });
});

test('a private registry becomes a pull secret of every service, which the bootstrap asks the owner for', () => {
  const withRegistry = renderedHomelab((h) => (h.registry = { server: 'ghcr.io' }));
  for (const deployment of ofKind(withRegistry, 'Deployment'))
    expect(podOf(deployment).spec.imagePullSecrets).toEqual([{ name: 'registry' }]);
});

test('a second model does not change the variables of the first', () => {
  const variables = (connects: object[]) => {
    const [assistant] = ofKind(
      renderedHomelab((h) => (h.services.assistant.connects = connects)),
      'Deployment',
    );
    return podOf(assistant)
      .spec.containers[0].env.map(({ name }: any) => name)
      .filter((name: string) => /^LLM.*MODEL$/.test(name));
  };
  expect(variables([{ model: 'chat' }])).toEqual(['LLM_MODEL']);
  expect(variables([{ model: 'chat' }, { model: 'embeddings' }])).toEqual(['LLM_MODEL', 'LLM_EMBEDDINGS_MODEL']);
});

test('an image of your own replaces the stand-in, with its port and health checks', () => {
  const [chat] = ofKind(
    renderedHomelab(
      (h) =>
        (h.services.chat = {
          ...h.services.chat,
          image: 'ghcr.io/owner/chat:1.0.0',
          port: 3000,
          probes: Probes.http({ live: '/live', ready: '/ready' }),
        }),
    ),
    'Deployment',
  ).filter(({ metadata }) => metadata.name === 'chat');
  expect(podOf(chat).spec.containers[0]).toMatchObject({
    image: 'ghcr.io/owner/chat:1.0.0',
    ports: [{ containerPort: 3000 }],
    livenessProbe: { httpGet: { path: '/live' } },
    readinessProbe: { httpGet: { path: '/ready' } },
  });
});

test('the same charts render a second environment, without a trace of the first', () => {
  const second = renderedHomelab((h) => {
    h.name = 'staging';
    h.network = { cidr: '10.20.0.0/16', gateway: '10.20.0.1', dns: ['10.20.0.1'], domain: 'staging.home.arpa' };
    h.hosts.mac.address = '10.20.0.2';
    h.hosts.proxmox.address = '10.20.0.3';
    Object.values<any>(h.machines).forEach((machine, index) => (machine.address = `10.20.1.${index + 10}`));
    h.git = { url: 'https://github.com/owner/staging.git', revision: 'release' };
    h.databases.mongodb.members = 1;
    h.machines['talos-worker-02'].dataDisks = { 'mongodb-0': Size.gibibytes(50) };
  });
  const text = JSON.stringify(second);
  expect(text).not.toMatch(/192\.168\.1\.|collab\.home\.arpa|collab-homelab\.git/);
  expect(text).toContain('app.staging.home.arpa');
  expect(changed(() => undefined).name).toBe('collab');
});

test('the inventory knows the environment variables of each kind of connection', () => {
  const assistant = { connects: [{ service: 'documents' }, { model: 'chat' }, { model: 'embeddings' }] };
  const documents = {
    connects: [
      { mongodb: 'mongodb', database: 'documents', envPrefix: 'STORE' },
      { cassandra: 'cassandra', keyspace: 'documents_history' },
    ],
  };
  const fallback = { host: 'api.example.com', addresses: ['203.0.113.7'], model: 'large-1' };
  let lab: Homelab;
  const rendering = renderedHomelab((h) => {
    Object.assign(h.services, { assistant, documents });
    Object.assign(h.llm, { gateway: {} });
    Object.assign(h.llm.models.chat, { fallback });
    lab = h;
  });
  for (const [name, service] of Object.entries({ assistant, documents })) {
    const deployment = ofKind(rendering, 'Deployment').find(({ metadata }) => metadata.name === name)!;
    const names = deployment.spec.template.spec.containers[0].env.map((each: { name: string }) => each.name);
    expect(service.connects.flatMap((each) => variablesOf(service, each, lab)).sort()).toEqual(names.sort());
  }
});

describe('a database in homelab.ts', () => {
  const grown = (nodesPerRack: number) =>
    renderedHomelab((lab) => {
      lab.databases.cassandra.nodesPerRack = nodesPerRack;
      lab.databases.cassandra.memory = Size.mebibytes(2560);
      for (const rack of ['r1', 'r2', 'r3'])
        for (let ordinal = 1; ordinal < nodesPerRack; ordinal++)
          lab.machines['talos-worker-01'].dataDisks[`cassandra-${rack}-${ordinal}`] = Size.gibibytes(100);
    });

  test('can have more nodes in each rack: each has a volume, and running nodes do not change', () => {
    const sets = (nodesPerRack: number) =>
      ofKind(grown(nodesPerRack), 'StatefulSet').filter(({ metadata }) => metadata.namespace === 'cassandra');
    expect(sets(2).map(({ spec }) => spec.replicas)).toEqual([2, 2, 2]);
    expect(sets(2).map(({ spec }) => spec.template)).toEqual(sets(1).map(({ spec }) => spec.template));
    const claims = ofKind(grown(2), 'PersistentVolume').map(({ spec }) => spec.claimRef.name);
    expect(claims).toEqual(
      expect.arrayContaining(['data-cassandra-r1-0', 'data-cassandra-r1-1', 'data-cassandra-r3-1']),
    );
  });

  test('is rejected without a disk for each node', () => {
    const lacking = () => renderedHomelab((lab) => (lab.databases.cassandra.nodesPerRack = 2));
    expect(lacking).toThrow('cassandra-r1-1');
  });

  test('gives a client the login that its connection names', () => {
    const objects = renderedHomelab((lab) => {
      lab.webApps.admin.connects.push(
        { cassandra: 'cassandra', keyspace: 'chat', role: 'admin-app' },
        { mongodb: 'mongodb', database: 'rooms', user: 'admin-app' },
      );
    });
    const data = (name: string) => ofKind(objects, 'ConfigMap').find(({ metadata }) => metadata.name === name)!.data;
    expect(JSON.parse(data('cassandra-schema')['schema.json']).roles['admin-app'].keyspaces).toEqual(['chat']);
    expect(JSON.parse(data('mongodb-users')['users.json']).users[0]).toMatchObject({ user: 'admin-app' });
  });

  test('rejects a client named like one of its own logins, with the place and the fix', () => {
    const odd = () =>
      renderedHomelab((lab) => lab.webApps.admin.connects.push({ cassandra: 'cassandra', keyspace: 'chat' }));
    expect(odd).toThrow(
      /^web\/admin: the role of a client .*; give the connection another role: \{ \.\.\., role: 'admin-app' \}$/,
    );
  });
});
