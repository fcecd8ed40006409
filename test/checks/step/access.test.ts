import { accessRisks } from '../../../checks/step/access';
import type { Manifest } from '../../../checks/step/objects';
import { pairs, type Step } from '../../../checks/step/step';
import { edited, plain, stateOf, type Change } from './states';

const base = stateOf();

/** As "services/chat.egress: TCP 443 ...". */
function told(step: Step, verdict = 'access'): string[] {
  return accessRisks(step, pairs(step))
    .filter((risk) => risk.verdict === verdict)
    .map(({ what, to }) => `${what}: ${to}`);
}

const ofHomelab = (change: Change) => told({ before: base, after: stateOf(change) });
const is = (object: any, kind: string, name: string, namespace?: string) =>
  object.kind === kind &&
  object.metadata.name === name &&
  (namespace === undefined || object.metadata.namespace === namespace);
/** Edits one object. */
const after = (kind: string, name: string, edit: (object: any) => unknown, namespace?: string) =>
  edited(base, (object) => (is(object, kind, name, namespace) ? edit(object) : undefined));
const pod = (edit: (spec: any, container: any) => void) =>
  told(
    after('Deployment', 'chat', ({ spec }) => {
      edit(spec.template.spec, spec.template.spec.containers[0]);
    }),
  );
const more = (...objects: readonly Manifest[]) => told(edited(base, () => undefined, objects));

describe('NetworkPolicies', () => {
  const egress = (...rules: readonly Manifest[]) =>
    told(after('NetworkPolicy', 'chat', ({ spec }) => void spec.egress.push(...rules)));

  test.each<[string, readonly string[], readonly Manifest[]]>([
    [
      'a way out to any address',
      ['services/chat.egress: 0.0.0.0/0 (any address) at TCP 443'],
      [{ to: [{ ipBlock: { cidr: '0.0.0.0/0' } }], ports: [{ port: 443 }] }],
    ],
    [
      'a block with an exception',
      ['services/chat.egress: 10.0.0.0/8 except 10.1.0.0/16 at every port'],
      [{ to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }] }],
    ],
    ['an empty rule', ['services/chat.egress: anywhere at every port'], [{}]],
    ['no peers', ['services/chat.egress: anywhere at TCP 443'], [{ to: [], ports: [{ port: 443 }] }]],
    [
      'pods that nobody renders here',
      ['services/chat.egress: pods with app=argocd-server of namespace argocd at TCP 8080'],
      [
        {
          to: [
            {
              namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'argocd' } },
              podSelector: { matchLabels: { app: 'argocd-server' } },
            },
          ],
          ports: [{ port: 8080 }],
        },
      ],
    ],
    [
      'the namespace of a database, which lets nobody in',
      ['services/chat.egress: any pod of namespace mongodb at every port'],
      [{ to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'mongodb' } } }] }],
    ],
    [
      'pods that do not let it in',
      [],
      [
        {
          to: [
            {
              namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'mongodb' } },
              podSelector: { matchLabels: { 'app.kubernetes.io/instance': 'mongodb' } },
            },
          ],
        },
      ],
    ],
  ])('report what %s opens', (_, expected, rules) => expect(egress(...rules)).toEqual(expected));

  test('report a connection of two services in one line, with both policies', () => {
    const step = { before: base, after: stateOf((h) => h.services.chat.connects.push({ service: 'identity' })) };
    expect(accessRisks(step, pairs(step))).toEqual([
      expect.objectContaining({
        what: 'services/chat.egress',
        to: 'services/identity at TCP 9898',
        objects: ['networking.k8s.io/NetworkPolicy services/chat', 'networking.k8s.io/NetworkPolicy services/identity'],
      }),
    ]);
  });

  test('permit everyone when `from` is empty', () => {
    const step = after('NetworkPolicy', 'mongodb', ({ spec }) => void (spec.ingress[0].from = []));
    expect(told(step)).toEqual(['mongodb/mongodb.ingress: anywhere at TCP 27017']);
  });

  test('open every port when ports are dropped', () => {
    const step = after('NetworkPolicy', 'chat', ({ spec }) => void delete spec.egress[0].ports);
    // Cassandra admits chat only on 9042, whatever the egress of chat permits.
    expect(told(step)).toEqual([]);
    const both = edited(base, (object) => {
      if (is(object, 'NetworkPolicy', 'chat')) delete object.spec.egress[0].ports;
      if (is(object, 'NetworkPolicy', 'cassandra')) object.spec.ingress.forEach((rule: any) => delete rule.ports);
    });
    expect(told(both)).toContainEqual(
      expect.stringMatching(/^services\/chat.egress: cassandra\/cassandra-r1 at TCP 0-9041/),
    );
  });

  test('report what a removed policy denied before', () => {
    expect(told(after('NetworkPolicy', 'default-deny', () => false, 'services'))).toEqual([
      'other pods of services.egress: anywhere at every port',
      'other pods of services.ingress: anywhere at every port',
    ]);
    expect(told(after('NetworkPolicy', 'chat', () => false))).toEqual([]);
    const all = edited(base, ({ kind, metadata }) => kind !== 'NetworkPolicy' || metadata.namespace !== 'services');
    expect(told(all)).toEqual(['services.egress: anywhere at every port', 'services.ingress: anywhere at every port']);
  });

  test('report a direction without policies, and pods that are no longer selected', () => {
    const types = edited(base, ({ kind, metadata, spec }) => {
      if (kind !== 'NetworkPolicy' || metadata.namespace !== 'services') return;
      if (!['default-deny', 'chat'].includes(metadata.name)) return;
      spec.policyTypes = ['Ingress'];
    });
    expect(told(types)).toContain('services.egress: anywhere at every port');
    const selector = edited(base, (object) => {
      if (is(object, 'NetworkPolicy', 'default-deny', 'cassandra')) return false;
      if (is(object, 'NetworkPolicy', 'cassandra', 'cassandra'))
        object.spec.podSelector = { matchLabels: { app: 'x' } };
      return undefined;
    });
    expect(told(selector)).toContainEqual(expect.stringContaining('ingress: anywhere at every port'));
  });

  test('report a larger block, a smaller exception and a larger range of ports', () => {
    const rule = (cidr: string, except: readonly string[], port: number, endPort: number) => ({
      to: [{ ipBlock: { cidr, except } }],
      ports: [{ port, endPort }],
    });
    const step = (one: Manifest, other: Manifest) => {
      const [object] = policies([one]);
      return told(plain([object!, worker()], [policies([other])[0]!, worker()]));
    };
    const was = rule('10.0.0.0/9', ['10.1.0.0/16'], 8000, 8010);
    expect(step(was, rule('10.0.0.0/8', ['10.1.0.0/16'], 8000, 8010))).toHaveLength(1);
    expect(step(was, rule('10.0.0.0/9', ['10.1.0.0/17'], 8000, 8010))).toHaveLength(1);
    expect(step(was, rule('10.0.0.0/9', ['10.1.0.0/16'], 8000, 8011))).toEqual([
      'apps/worker.egress: 10.0.0.0/9 except 10.1.0.0/16 at TCP 8011',
    ]);
    expect(step(was, rule('10.0.0.0/10', ['10.1.0.0/16', '10.2.0.0/16'], 8001, 8010))).toEqual([]);
  });
});

const LABELS = { app: 'worker' };
function worker(spec: Manifest = {}): Manifest {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'worker', namespace: 'apps' },
    spec: {
      template: {
        metadata: { labels: LABELS },
        spec: { containers: [{ name: 'worker', ports: [{ name: 'http', containerPort: 8080 }] }], ...spec },
      },
    },
  };
}
/** One policy for each list of rules. */
function policies(...lists: readonly (readonly Manifest[])[]): Manifest[] {
  return lists.map((egress, index) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: `policy-${index}-of-${lists.length}`, namespace: 'apps' },
    spec: { podSelector: { matchLabels: LABELS }, policyTypes: ['Egress'], egress },
  }));
}

describe('policies that permit the same', () => {
  const block = (cidr: string, ...ports: readonly Manifest[]) => ({ to: [{ ipBlock: { cidr } }], ports });
  const pods = (podSelector: Manifest) => ({ to: [{ podSelector }] });
  const tcp = (port: number, endPort?: number) => ({ protocol: 'TCP', port, ...(endPort && { endPort }) });

  /** A pseudo-random number, the same in each run. */
  function dice(seed: number): (sides: number) => number {
    let state = seed;
    return (sides) => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return Math.floor((state / 2147483648) * sides);
    };
  }

  function rule(roll: (sides: number) => number): Manifest {
    const ports = Array.from({ length: 1 + roll(3) }, () => {
      const port = 1000 + roll(60);
      return tcp(port, port + roll(20));
    });
    if (roll(3) === 0) return { ...pods({ matchLabels: { app: `app-${roll(4)}` } }), ports };
    return block(`10.${roll(4)}.0.0/${14 + roll(4)}`, ...ports);
  }

  /** The same permissions in another notation: splits rules, lists of ports and blocks, and changes their order and objects. */
  function reworded(rules: readonly Manifest[], roll: (sides: number) => number): Manifest[][] {
    const pieces = rules.flatMap(({ to, ports }) =>
      halves(to[0]).flatMap((peer) =>
        ports.flatMap(splitPort).map((port: Manifest) => ({ to: [peer], ports: [port] })),
      ),
    );
    const shuffled = pieces.map((piece) => ({ piece, at: roll(1e6) })).sort((a, b) => a.at - b.at);
    const lists: Manifest[][] = [[], [], []];
    for (const { piece, at } of shuffled) lists[at % 3]!.push(piece);
    return lists;
  }

  function halves(peer: Manifest): Manifest[] {
    if (!peer.ipBlock) {
      const [[key, value]] = Object.entries(peer.podSelector.matchLabels) as [[string, string]];
      return [{ podSelector: { matchExpressions: [{ key, operator: 'In', values: [value] }] } }];
    }
    const [address, length] = peer.ipBlock.cidr.split('/');
    const first = address.split('.').reduce((sum: number, part: string) => sum * 256 + Number(part), 0);
    const size = 2 ** (32 - Number(length));
    const base = Math.floor(first / size) * size;
    return [base, base + size / 2].map((start) => ({
      ipBlock: {
        cidr: `${[24, 16, 8, 0].map((bits) => Math.floor(start / 2 ** bits) % 256).join('.')}/${Number(length) + 1}`,
      },
    }));
  }

  function splitPort({ port, endPort = port }: Manifest): Manifest[] {
    if (endPort === port) return [tcp(port)];
    const middle = Math.floor((port + endPort) / 2);
    return [tcp(port, middle), tcp(middle + 1, endPort)];
  }

  test.each(Array.from({ length: 60 }, (_, seed) => seed))(
    'give nothing, and one more port gives a line (seed %d)',
    (seed) => {
      const roll = dice(seed + 1);
      const rules = Array.from({ length: 1 + roll(4) }, () => rule(roll));
      const was = [...policies(rules), worker()];
      const is = [...policies(...reworded(rules, roll)), worker()];
      expect(told(plain(was, is))).toEqual([]);
      expect(told(plain(is, was))).toEqual([]);
      const wider = [...rules, block('10.0.0.0/8', tcp(2000))];
      expect(told(plain(is, [...policies(wider), worker()]))).toEqual(['apps/worker.egress: 10.0.0.0/8 at TCP 2000']);
      // Stricter: one rule less.
      expect(told(plain(was, [...policies(rules.slice(1)), worker()]))).toEqual([]);
    },
  );

  test('treat a named port like its number, and both notations of "all" alike', () => {
    const way = (port: unknown) => ({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'in', namespace: 'apps' },
      spec: { podSelector: { matchLabels: LABELS }, ingress: [{ from: [{ podSelector: {} }], ports: [{ port }] }] },
    });
    expect(told(plain([way('http'), worker()], [way(8080), worker()]))).toEqual([]);
    expect(told(plain([way('http'), worker()], [way(8081), worker()]))).toHaveLength(1);
    const open = policies([{}]);
    expect(told(plain([worker()], [...open, worker()]))).toEqual([]);
    expect(told(plain([...open, worker()], [worker()]))).toEqual([]);
  });

  test('follow pods whose labels change together with the policies', () => {
    const client = (name: string) => policies([{ to: [{ podSelector: { matchLabels: { app: name } } }] }])[0]!;
    const server = (name: string) => ({
      ...worker(),
      metadata: { name: 'server', namespace: 'apps' },
      spec: { template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'server' }] } } },
    });
    expect(told(plain([client('old'), server('old'), worker()], [client('new'), server('new'), worker()]))).toEqual([]);
    expect(told(plain([client('old'), server('other'), worker()], [client('old'), server('old'), worker()]))).toEqual([
      'apps/worker.egress: apps/server at every port',
    ]);
  });
});

describe('a new service', () => {
  test('is one line: what it reaches, what reaches it, what it reads, and what it waits for', () => {
    const change: Change = (h) => {
      h.services.billing = { connects: [{ mongodb: 'mongodb', database: 'billing' }, { service: 'identity' }] };
      h.services.gateway.connects.push({ service: 'billing' });
    };
    const step = { before: base, after: stateOf(change) };
    const risks = accessRisks(step, pairs(step));
    expect(risks.map(({ what, to }) => `${what}: ${to}`)).toEqual([
      'services/billing: new: may reach mongodb/mongodb at TCP 27017, services/identity at TCP 9898; is reached from services/gateway at TCP 9898; reads the secrets mongodb-billing',
    ]);
    expect(risks[0]!.problem).toContain('run npm run bootstrap -- apply secrets before pushing');
  });

  test('without connections and secrets is no risk', () =>
    expect(ofHomelab((h) => void (h.services.billing = { connects: [] }))).toEqual([]));

  test('with egress from the cluster reports that separately', () => {
    const objects = policies([{ to: [{ ipBlock: { cidr: '192.168.1.30/32' } }] }]);
    expect(told(plain([], [...objects, worker()]))).toEqual([
      'apps/worker.egress: 192.168.1.30/32 at every port',
      'apps/worker: new: is reached from anywhere at every port',
    ]);
  });
});

describe('rights', () => {
  const rule = (edit: (rules: any[]) => void) => told(after('Role', 'traefik', ({ rules }) => edit(rules)));
  const traefik = 'ServiceAccount ingress/traefik.rights';

  test('a new verb, resource or wildcard, and removed resource names', () => {
    expect(rule((rules) => rules[0].verbs.push('delete'))).toEqual([
      `${traefik}: delete services in web, delete secrets in web`,
    ]);
    expect(rule((rules) => rules[1].resources.push('*'))).toEqual([`${traefik}: list, watch everything in web`]);
    const named = edited(
      base,
      (object) => void (is(object, 'Role', 'traefik') && (object.rules[0].resourceNames = ['tls'])),
    );
    expect(told(named)).toEqual([]);
    expect(told({ before: named.after, after: base })).toEqual([
      `${traefik}: list, watch services in web, list, watch secrets in web`,
    ]);
  });

  test('non-resource paths, which are cluster-wide', () => {
    const step = after(
      'ClusterRole',
      'traefik',
      ({ rules }) => void rules.push({ nonResourceURLs: ['/metrics'], verbs: ['get'] }),
    );
    expect(told(step)).toEqual([`${traefik}: get /metrics in the whole cluster`]);
  });

  test('another subject, a cluster role that is not rendered, and a role for all users', () => {
    const binding = (subjects: readonly Manifest[], name: string) => ({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'more' },
      roleRef: { kind: 'ClusterRole', name },
      subjects,
    });
    expect(more(binding([{ kind: 'ServiceAccount', name: 'chat', namespace: 'services' }], 'cluster-admin'))).toEqual([
      'ServiceAccount services/chat.rights: do everything with everything in the whole cluster',
    ]);
    expect(more(binding([{ kind: 'Group', name: 'system:authenticated' }], 'traefik'))).toEqual([
      'Group system:authenticated.rights: list, watch ingressclasses.networking.k8s.io in the whole cluster, list, watch nodes in the whole cluster',
    ]);
    expect(more(binding([{ kind: 'User', name: 'ada' }], 'view'))).toEqual([
      'User ada.rights: do everything with all that the role view permits in the whole cluster',
    ]);
    // It could do that before.
    expect(more(binding([{ kind: 'ServiceAccount', name: 'traefik', namespace: 'ingress' }], 'traefik'))).toEqual([]);
  });

  test('a role that cluster roles aggregate, and one without a binding', () => {
    const role = (labels: Manifest) => ({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'crds', labels },
      rules: [{ apiGroups: ['x.io'], resources: ['things'], verbs: ['get'] }],
    });
    expect(more(role({ 'rbac.authorization.k8s.io/aggregate-to-view': 'true' }))).toEqual([
      'everyone who has the ClusterRole view.rights: get things.x.io in the whole cluster',
    ]);
    expect(more(role({}))).toEqual([]);
    const wider = { ...role({}), rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }] };
    expect(told(plain([role({})], [wider]))).toEqual([
      'everyone who has the ClusterRole crds.rights: do everything with everything in the whole cluster',
    ]);
  });

  test('the same permissions in another notation are no risk', () => {
    const split = edited(base, (object) => {
      if (!is(object, 'Role', 'traefik')) return;
      object.rules = object.rules
        .flatMap((each: any) => each.verbs.map((verb: string) => ({ ...each, verbs: [verb] })))
        .reverse();
    });
    expect(told(split)).toEqual([]);
    const renamed = edited(base, (object) => {
      if (is(object, 'Role', 'traefik')) object.metadata.name = 'routes';
      if (is(object, 'RoleBinding', 'traefik')) {
        object.metadata.name = 'routes';
        object.roleRef.name = 'routes';
      }
    });
    expect(told(renamed)).toEqual([]);
    const account = edited(base, (object) => {
      if (is(object, 'ServiceAccount', 'traefik')) object.metadata.name = 'proxy';
      if (object.subjects?.[0].name === 'traefik') object.subjects[0].name = 'proxy';
      if (is(object, 'DaemonSet', 'traefik')) object.spec.template.spec.serviceAccountName = 'proxy';
    });
    expect(told(account)).toEqual([]);
  });

  test('tokens, and pods that run as an account with more rights', () => {
    expect(pod((spec) => void delete spec.automountServiceAccountToken)).toEqual([]);
    expect(pod((spec) => void (spec.automountServiceAccountToken = true))).toEqual([
      'services/chat.serviceAccount: chat',
    ]);
    const proof = pod((spec) =>
      Object.assign(spec, { automountServiceAccountToken: true, serviceAccountName: 'llm-service-proof' }),
    );
    expect(proof).toEqual(['services/chat.serviceAccount: llm-service-proof']);
    const projected = { name: 'token', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } };
    expect(pod((spec) => void spec.volumes.push(projected))).toHaveLength(1);
  });
});

describe('pods', () => {
  test.each<[string, (spec: any, container: any) => void]>([
    ['privileged', (_, c) => void (c.securityContext.privileged = true)],
    ['capability SYS_ADMIN', (_, c) => void (c.securityContext.capabilities.add = ['CAP_SYS_ADMIN'])],
    ['capability CHOWN', (_, c) => void (c.securityContext.capabilities.add = ['CHOWN'])],
    [
      'may run as root',
      (s, c) =>
        void (
          delete c.securityContext.runAsNonRoot,
          delete s.securityContext.runAsNonRoot,
          delete s.securityContext.runAsUser
        ),
    ],
    ['user 0', (_, c) => void (c.securityContext.runAsUser = 0)],
    ['no check that it is not root (runAsNonRoot)', (_, c) => void (c.securityContext.runAsNonRoot = false)],
    ['a root file system that can be written to', (_, c) => void (c.securityContext.readOnlyRootFilesystem = false)],
    [
      'more rights than its parent (allowPrivilegeEscalation)',
      (_, c) => void delete c.securityContext.allowPrivilegeEscalation,
    ],
    ['seccomp Unconfined', (_, c) => void (c.securityContext.seccompProfile = { type: 'Unconfined' })],
    ["no seccomp profile but the kubelet's own", (s) => void delete s.securityContext.seccompProfile],
    ['AppArmor Unconfined', (s) => void (s.securityContext.appArmorProfile = { type: 'Unconfined' })],
    ['unmasked /proc', (_, c) => void (c.securityContext.procMount = 'Unmasked')],
    ['the network of the node (hostNetwork)', (s) => void (s.hostNetwork = true)],
    ['the processes of the node (hostPID)', (s) => void (s.hostPID = true)],
    ['the shared memory of the node (hostIPC)', (s) => void (s.hostIPC = true)],
    ["the node's path /var/run", (s) => void s.volumes.push({ name: 'run', hostPath: { path: '/var/run' } })],
    ['port TCP 80 of the node', (_, c) => void (c.ports[0].hostPort = 80)],
    [
      'the kernel setting net.core.somaxconn',
      (s) => void (s.securityContext.sysctls = [{ name: 'net.core.somaxconn', value: '1' }]),
    ],
  ])('%s', (text, edit) => {
    const [line, ...others] = pod(edit);
    expect(others).toEqual([]);
    expect(line).toMatch(/^services\/chat.securityContext: /);
    expect(line).toContain(text);
    const [reversed] = [
      told({
        before: edited(
          base,
          (o) => void (is(o, 'Deployment', 'chat') && edit(o.spec.template.spec, o.spec.template.spec.containers[0])),
        ).after,
        after: base,
      }),
    ];
    expect(reversed).toEqual([]);
  });

  test('capabilities that are no longer dropped are reported by name', () =>
    expect(pod((_, c) => void delete c.securityContext.capabilities)[0]).toContain('capability NET_RAW'));

  test('a renamed container, or settings that move from container to pod, are no risk', () => {
    expect(pod((_, c) => void (c.name = 'main'))).toEqual([]);
    expect(
      pod((s, c) => void ((s.securityContext.runAsNonRoot = true), delete c.securityContext.runAsNonRoot)),
    ).toEqual([]);
  });

  test('of a new workload, only privileges beyond the default', () => {
    expect(told(plain([], [worker()]))).toEqual([]);
    expect(told(plain([], [worker({ hostPID: true })]))).toEqual([
      'apps/worker.securityContext: the processes of the node (hostPID)',
    ]);
  });
});

describe('namespaces', () => {
  const enforce = 'pod-security.kubernetes.io/enforce';
  const labels = (edit: (labels: any) => void) =>
    told(after('Namespace', 'services', ({ metadata }) => edit(metadata.labels)));
  test('a lower level, a removed label, an older version', () => {
    expect(labels((all) => void (all[enforce] = 'baseline'))).toEqual(['services.podSecurity: baseline']);
    expect(labels((all) => void Reflect.deleteProperty(all, enforce))).toEqual([
      "services.podSecurity: the cluster's default",
    ]);
    expect(labels((all) => void (all[`${enforce}-version`] = 'v1.25'))).toEqual([
      'services.podSecurity: restricted of v1.25',
    ]);
    expect(labels((all) => void delete all['pod-security.kubernetes.io/warn'])).toEqual([]);
    expect(
      told(after('Namespace', 'ingress', ({ metadata }) => void (metadata.labels[enforce] = 'restricted'))),
    ).toEqual([]);
  });
  test('a new privileged namespace', () => {
    const namespace = (level: string) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'x', labels: { [enforce]: level } },
    });
    expect(more(namespace('privileged'))).toEqual(['x.podSecurity: privileged']);
    expect(more(namespace('restricted'))).toEqual([]);
  });
});

describe('entry points', () => {
  const service = (edit: (spec: any) => void) => told(after('Service', 'chat', ({ spec }) => edit(spec)));
  test('Services', () => {
    expect(service((spec) => void (spec.type = 'NodePort'))[0]).toMatch(
      /^services\/chat.service: TCP 9898 .* on every node's address$/,
    );
    expect(service((spec) => void (spec.type = 'LoadBalancer'))[0]).toContain('by the load balancer from anywhere');
    expect(service((spec) => void (spec.externalIPs = ['192.168.1.99']))[0]).toContain('at 192.168.1.99');
    expect(service((spec) => void spec.ports.push({ name: 'more', port: 1 }))).toEqual([]);
  });
  test('Ingresses', () => {
    const ingress = (edit: (object: any) => void) => told(after('Ingress', 'admin', edit));
    expect(ingress(({ spec }) => void (spec.rules[0].host = 'new.example.org'))).toEqual([
      'web/admin.hosts: new.example.org/',
    ]);
    expect(ingress(({ spec }) => void delete spec.tls)).toEqual(['web/admin.tls: no TLS']);
    expect(ingress(({ spec }) => void (spec.tls[0].hosts = ['*.collab.home.arpa']))).toEqual([]);
    expect(ingress(({ metadata }) => void (metadata.name = 'renamed'))).toEqual([]);
    const key = 'traefik.ingress.kubernetes.io/router.middlewares';
    const guarded = edited(
      base,
      (o) => void (is(o, 'Ingress', 'admin') && (o.metadata.annotations = { [key]: 'web-login@kubernetescrd' })),
    );
    expect(told({ before: guarded.after, after: base })).toEqual([`web/admin.${key}: nothing`]);
    expect(told(guarded)).toEqual([]);
    const stripped = edited(
      base,
      (o) => void (is(o, 'Ingress', 'admin') && (o.metadata.annotations = { [key]: 'strip:/api@file' })),
    );
    expect(told({ before: stripped.after, after: base })).toEqual([]);
  });
  test('HTTPRoutes', () => {
    const route = (hostnames: readonly string[], sectionName = 'https') => ({
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: 'r', namespace: 'apps' },
      spec: { hostnames, parentRefs: [{ name: 'gate', namespace: 'gates', sectionName }], rules: [{}] },
    });
    expect(told(plain([route(['a'])], [route(['a', 'b'])]))).toEqual(['apps/r.hosts: b/ by gates/gate/https']);
    expect(told(plain([route(['a'])], [route(['a'], 'http')]))).toEqual(['apps/r.hosts: a/ by gates/gate/http']);
  });
});

describe('AppProjects', () => {
  const project = (edit: (spec: any) => void) => told(after('AppProject', 'collab', ({ spec }) => edit(spec)));
  test('permit more', () => {
    expect(project((spec) => void spec.sourceRepos.push('*'))).toEqual(['collab.project: the source *']);
    expect(
      project(
        (spec) => void spec.destinations.push({ server: 'https://kubernetes.default.svc', namespace: 'kube-system' }),
      ),
    ).toEqual(['collab.project: the destination https://kubernetes.default.svc/kube-system']);
    expect(project((spec) => void spec.clusterResourceWhitelist.push({ group: 'x.io', kind: 'Thing' }))).toEqual([
      'collab.project: the cluster-wide kind x.io/Thing',
    ]);
    expect(project((spec) => void delete spec.namespaceResourceWhitelist)).toEqual(['collab.project: the kind */*']);
    expect(project((spec) => void (spec.destinations = spec.destinations.slice(1).reverse()))).toEqual([]);
  });
});

describe('secrets', () => {
  const from = (name: string) => ({ name: 'TOKEN', valueFrom: { secretKeyRef: { name, key: 'password' } } });
  test('that pods newly read, as volume or variable', () => {
    expect(pod((_, c) => void c.env.push(from('cassandra-documents')))).toEqual([
      'services/chat.secrets: cassandra-documents',
    ]);
    expect(pod((_, c) => void (c.envFrom = [{ secretRef: { name: 'mongodb-search' } }]))).toEqual([
      'services/chat.secrets: mongodb-search',
    ]);
    expect(pod((s) => void s.volumes.push({ name: 's', secret: { secretName: 'mongodb-search' } }))).toHaveLength(1);
    expect(
      pod((s) => void s.volumes.push({ name: 's', projected: { sources: [{ secret: { name: 'mongodb-search' } }] } })),
    ).toHaveLength(1);
    expect(pod((_, c) => void c.env.push(from('cassandra-chat')))).toEqual([]);
    expect(
      pod(
        (_, c) => void c.env.push({ name: 'K', valueFrom: { secretKeyRef: { name: 'cassandra-chat', key: 'other' } } }),
      ),
    ).toEqual(['services/chat.secrets: cassandra-chat (other)']);
  });
  test('whose value is in Git', () =>
    expect(
      pod((_, c) => {
        const variable = c.env.find(({ name }: any) => name === 'CASSANDRA_PASSWORD');
        delete variable.valueFrom;
        variable.value = 'x';
      }),
    ).toEqual(['services/chat.env: in plain text']));
  test('in an additional namespace', () => {
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'cassandra-admin', namespace: 'web' } };
    expect(told({ before: base, after: { ...base, secrets: [...base.secrets, secret] } })).toEqual([
      'cassandra-admin.namespaces: web',
    ]);
  });
});

describe('what pods wait for', () => {
  const waits = (edit: (spec: any, container: any) => void) =>
    told(
      after('Deployment', 'chat', ({ spec }) => void edit(spec.template.spec, spec.template.spec.containers[0])),
      'not-deployed',
    );
  const line = (what: string) => [`services/chat.waits: ${what}, not created here`];
  test('is missing', () => {
    expect(waits((_, c) => void (c.envFrom = [{ secretRef: { name: 'x' } }]))).toEqual(line('Secret x'));
    expect(waits((s) => void s.volumes.push({ name: 'c', configMap: { name: 'x' } }))).toEqual(line('ConfigMap x'));
    expect(waits((s) => void s.volumes.push({ name: 'c', persistentVolumeClaim: { claimName: 'x' } }))).toEqual(
      line('PersistentVolumeClaim x'),
    );
    expect(waits((s) => void (s.serviceAccountName = 'x'))).toEqual(line('ServiceAccount x'));
    expect(waits((s) => void (s.priorityClassName = 'x'))).toEqual(line('PriorityClass x'));
  });
  test('is no risk if it is optional, part of the cluster, in secrets.yaml or created by an operator', () => {
    expect(waits((_, c) => void (c.envFrom = [{ secretRef: { name: 'x', optional: true } }]))).toEqual([]);
    expect(waits((s) => void (s.priorityClassName = 'system-node-critical'))).toEqual([]);
    expect(waits((s) => void (s.serviceAccountName = 'default'))).toEqual([]);
    expect(waits((_, c) => void (c.envFrom = [{ secretRef: { name: 'mongodb-search' } }]))).toEqual([]);
    const sealed = {
      kind: 'SealedSecret',
      apiVersion: 'bitnami.com/v1alpha1',
      metadata: { name: 'x', namespace: 'apps' },
      spec: {},
    };
    const needs = worker({ volumes: [{ name: 'x', secret: { secretName: 'x' } }] });
    expect(told(plain([], [needs, sealed]), 'not-deployed')).toEqual([]);
    expect(told(plain([], [needs]), 'not-deployed')).toHaveLength(1);
    // The pods needed it before, so somebody created it.
    expect(told(plain([needs], [needs]), 'not-deployed')).toEqual([]);
  });
  test('leaves Git while it is needed', () => {
    const step = after('PriorityClass', 'service', () => false);
    expect(told(step, 'not-deployed')).toContain('services/chat.waits: PriorityClass service, not created here');
  });
});

describe('harmless changes', () => {
  const shuffled = (value: any): any =>
    Array.isArray(value)
      ? value.map(shuffled)
      : value && typeof value === 'object'
        ? Object.fromEntries(
            Object.entries(value)
              .reverse()
              .map(([key, each]) => [key, shuffled(each)]),
          )
        : value;
  const every = (edit: (object: any) => unknown): Step => edited(base, edit);
  test.each<[string, Step]>([
    ['nothing at all', { before: base, after: stateOf() }],
    [
      'the order of keys',
      {
        before: base,
        after: { ...base, objects: base.objects.map((each) => ({ ...each, object: shuffled(each.object) })) },
      },
    ],
    ['the order of objects', { before: base, after: { ...base, objects: [...base.objects].reverse() } }],
    ['a label on each ConfigMap', every((o) => void (o.kind === 'ConfigMap' && (o.metadata.labels = { a: 'b' })))],
    [
      'a comment as an annotation on everything',
      every((o) => void (o.metadata.annotations = { ...o.metadata.annotations, note: 'x' })),
    ],
    [
      'policies with other names',
      every((o) => void (o.kind === 'NetworkPolicy' && (o.metadata.name = `${o.metadata.name}-2`))),
    ],
    [
      'rules in another order',
      every(
        (o) =>
          void (o.kind === 'NetworkPolicy' && [o.spec.ingress, o.spec.egress].forEach((rules) => rules?.reverse())),
      ),
    ],
    ['more replicas', { before: base, after: stateOf((h) => void (h.services.chat.replicas = 2)) }],
    ['a service that goes', every((o) => !(o.metadata.name === 'chat' && o.metadata.namespace === 'services'))],
    [
      'more memory',
      { before: base, after: stateOf((h) => void (h.databases.mongodb.cpu = h.databases.cassandra.cpu)) },
    ],
    ['a tighter quota', every((o) => void (o.kind === 'ResourceQuota' && (o.spec.hard.pods = 1)))],
    ['an image', every((o) => void (o.kind === 'Deployment' && (o.spec.template.spec.containers[0].image = 'x:2')))],
  ])('%s', (_, step) => expect(accessRisks(step, pairs(step))).toEqual([]));
});

test('ten thousand objects take seconds', () => {
  const many = (port: number) =>
    Array.from({ length: 3400 }, (_, index) => {
      const labels = { app: `app-${index}` };
      const one = { ...worker(), metadata: { name: `app-${index}`, namespace: `ns-${index % 7}` } };
      const policy: Manifest = {
        ...policies([
          { to: [{ podSelector: { matchLabels: { app: `app-${(index + 7) % 3400}` } } }], ports: [{ port }] },
        ])[0]!,
        metadata: one.metadata,
      };
      return [
        { ...one, spec: { template: { metadata: { labels }, spec: { containers: [{ name: 'c' }] } } } },
        { ...policy, spec: { ...policy.spec, podSelector: { matchLabels: labels } } },
        { apiVersion: 'v1', kind: 'ConfigMap', metadata: one.metadata },
      ];
    }).flat();
  const step = plain(many(1), many(2));
  // CPU time, so that other programs do not count.
  const start = process.cpuUsage();
  expect(accessRisks(step, pairs(step))).toHaveLength(3400);
  expect(process.cpuUsage(start).user / 1e6).toBeLessThan(5);
});
