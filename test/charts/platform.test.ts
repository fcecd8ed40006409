import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { homelabApp } from '../../charts';
import { render } from '../../synth';
import { changed, ofKind, renderedHomelab } from '../homelab';

/** The quota of a namespace of the homelab. */
function quota(namespace: string, change?: (homelab: any) => void) {
  const quotas = ofKind(renderedHomelab(change), 'ResourceQuota');
  return quotas.find(({ metadata }) => metadata.namespace === namespace)!.spec.hard;
}

describe('the quota of a namespace', () => {
  test('has room for every Deployment at its surge, and for every job twice', () => {
    // Ten services of 256 MiB and 100m, each with one more pod during a rolling update; the check of the models with 64 MiB and 50m.
    expect(quota('services')).toEqual({
      'requests.memory': `${10 * 2 * 256 + 2 * 64}Mi`,
      'limits.memory': `${10 * 2 * 256 + 2 * 64}Mi`,
      'requests.cpu': `${10 * 2 * 100 + 2 * 50}m`,
      pods: 22,
    });
  });

  test('follows the replicas and requests of the workloads in it', () => {
    const more = quota('services', (h) => Object.assign(h.services.chat, { replicas: 3 }));
    expect(more).toMatchObject({ 'requests.memory': `${(9 * 2 + 4) * 256 + 2 * 64}Mi`, pods: 24 });
  });

  test('has room for a DaemonSet on every worker', () => {
    expect(quota('ingress')).toMatchObject({ 'requests.memory': `${2 * 307}Mi`, 'requests.cpu': '200m', pods: 2 });
  });

  test('of a retired database stays and admits nothing: no pod, and the smallest quantities', () => {
    const retired = quota('cassandra', (h) => {
      h.databases.cassandra.state = 'retired';
      for (const service of Object.values<any>(h.services))
        service.connects = service.connects.filter((connection: object) => !('cassandra' in connection));
    });
    const [memory, cpu] = ['1Ki', '1m'];
    expect(retired).toEqual({ 'requests.memory': memory, 'limits.memory': memory, 'requests.cpu': cpu, pods: 0 });
  });

  test('does not exist when nothing runs', () => {
    const quotas = ofKind(
      renderedHomelab((h) => {
        h.webApps = {};
        delete h.ingress;
      }),
      'ResourceQuota',
    );
    expect(quotas.map(({ metadata }) => metadata.namespace)).toEqual(['cassandra', 'mongodb', 'services']);
    const nothing = renderedHomelab((h) => {
      h.webApps = h.services = {};
      delete h.llm;
    });
    expect(ofKind(nothing, 'ResourceQuota').map(({ metadata }) => metadata.namespace)).not.toContain('services');
  });

  test('has room for all pods of a job, twice', () => {
    const app = homelabApp(changed(() => undefined));
    const container = { name: 'c', resources: { requests: { memory: k8s.Quantity.fromString('1Gi') } } };
    new k8s.KubeJob(app.node.findChild('services') as Chart, 'own', {
      metadata: { name: 'own' },
      spec: { parallelism: 3, template: { spec: { restartPolicy: 'Never', containers: [container] } } },
    });
    const [services] = ofKind(render(app), 'ResourceQuota').filter(({ metadata }) => metadata.namespace === 'services');
    expect(services!.spec.hard).toMatchObject({ 'requests.memory': `${5248 + 2 * 3 * 1024}Mi`, pods: 22 + 2 * 3 });
  });
});

test('a database is evicted last when a node runs out of resources, and the immutable values of the classes stay the same', () => {
  const classes = ofKind(renderedHomelab(), 'PriorityClass').map(({ metadata, value }) => [metadata.name, value]);
  expect(Object.fromEntries(classes)).toEqual({ database: 1_000_000, ingress: 900_000, service: 100_000 });
});

describe('namespaces', () => {
  const namespaces = (change?: (homelab: any) => void) => ofKind(renderedHomelab(change), 'Namespace');
  const names = (change?: (homelab: any) => void) => namespaces(change).map(({ metadata }) => metadata.name);

  test('exist for the workloads that run', () => {
    expect(names()).toEqual(['argocd', 'cassandra', 'ingress', 'mongodb', 'services', 'web']);
    expect(names((h) => (h.webApps = {}))).toEqual(['argocd', 'cassandra', 'ingress', 'mongodb', 'services', 'web']);
    const closed = (h: any) => {
      h.webApps = {};
      delete h.ingress;
    };
    expect(names(closed)).toEqual(['argocd', 'cassandra', 'mongodb', 'services']);
  });

  test('of databases survive a mistake in Git, others are deleted with their content', () => {
    const kept = namespaces()
      .filter(
        ({ metadata }) => metadata.annotations?.['argocd.argoproj.io/sync-options'] === 'Prune=false,Delete=false',
      )
      .map(({ metadata }) => metadata.name);
    expect(kept).toEqual(['argocd', 'cassandra', 'mongodb']);
  });

  test('are restricted, except that of the ingress controller, which uses host ports and gives the reason', () => {
    const level = ({ metadata }: any) => metadata.labels['pod-security.kubernetes.io/enforce'];
    const open = namespaces().filter((namespace) => level(namespace) !== 'restricted');
    expect(open.map(({ metadata }) => metadata.name)).toEqual(['ingress']);
    expect(open[0]!.metadata.annotations['collab-homelab/pod-security-reason']).toContain('hostPort 80 and 443');
  });
});
