import { ofKind, renderedHomelab } from '../homelab';

/** What a namespace of the homelab lets in. */
function quota(namespace: string, change?: (homelab: any) => void) {
  const quotas = ofKind(renderedHomelab(change), 'ResourceQuota');
  return quotas.find(({ metadata }) => metadata.namespace === namespace)!.spec.hard;
}

describe('the quota of a namespace', () => {
  test('has room for every Deployment at its surge, and for every job twice', () => {
    // Ten services of 256 MiB and 100m, each with one more pod while it rolls; the proof of the models with 64 MiB and 50m.
    expect(quota('services')).toEqual({
      'requests.memory': `${10 * 2 * 256 + 2 * 64}Mi`,
      'limits.memory': `${10 * 2 * 256 + 2 * 64}Mi`,
      'requests.cpu': `${10 * 2 * 100 + 2 * 50}m`,
      pods: 22,
    });
  });

  test('follows the replicas and the requests of what is in it', () => {
    const more = quota('services', (h) => Object.assign(h.services.chat, { replicas: 3 }));
    expect(more).toMatchObject({ 'requests.memory': `${(9 * 2 + 4) * 256 + 2 * 64}Mi`, pods: 24 });
  });

  test('has room for a DaemonSet on every worker', () => {
    expect(quota('ingress')).toMatchObject({ 'requests.memory': `${2 * 307}Mi`, 'requests.cpu': '200m', pods: 2 });
  });

  test('of a retired database stays and admits nothing: no pod, and the least that a quantity can say', () => {
    const retired = quota('cassandra', (h) => {
      h.databases.cassandra.state = 'retired';
      for (const service of Object.values<any>(h.services))
        service.connects = service.connects.filter((connection: object) => !('cassandra' in connection));
    });
    const [memory, cpu] = ['1Ki', '1m'];
    expect(retired).toEqual({ 'requests.memory': memory, 'limits.memory': memory, 'requests.cpu': cpu, pods: 0 });
  });

  test('is none where nothing runs', () => {
    const quotas = ofKind(
      renderedHomelab((h) => {
        h.webApps = {};
        delete h.ingress;
      }),
      'ResourceQuota',
    );
    expect(quotas.map(({ metadata }) => metadata.namespace)).not.toContain('web');
  });
});

test('a database is the last to go when a node runs out of room, and no class changes: its value is immutable', () => {
  const classes = ofKind(renderedHomelab(), 'PriorityClass').map(({ metadata, value }) => [metadata.name, value]);
  expect(Object.fromEntries(classes)).toEqual({ database: 1_000_000, ingress: 900_000, service: 100_000 });
});
