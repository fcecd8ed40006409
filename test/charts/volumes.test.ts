import { Size } from 'cdk8s';
import { homelabApp } from '../../charts';
import { DeclaredSecret } from '../../constructs';
import { defineHomelab, llmClients, Secret, type Homelab } from '../../inventory';
import { changed, renderedHomelab } from '../homelab';

const named = (change: (h: any) => void, kind: string, name: string) =>
  renderedHomelab(change).find(({ object }) => object.kind === kind && object.metadata.name === name);

const uploads = (h: any) => {
  h.services.documents.volumes = { uploads: { path: '/uploads', disk: 'up' } };
  h.machines['talos-worker-02'].dataDisks.up = Size.gibibytes(50);
};

test('the volume of a service is that disk of that machine, in the chart that is never deleted', () => {
  const { object, folder } = named(uploads, 'PersistentVolume', 'services-documents-uploads') as any;
  expect(folder ?? 'platform').toBe('platform');
  expect(object.spec).toMatchObject({
    capacity: { storage: '50Gi' },
    local: { path: '/var/mnt/up' },
    claimRef: { namespace: 'services', name: 'documents-uploads' },
    nodeAffinity: {
      required: { nodeSelectorTerms: [{ matchExpressions: [{ operator: 'In', values: ['talos-worker-02'] }] }] },
    },
  });
});

test('each replica has the disk of its number', () => {
  const replicas = (h: any) => {
    h.services.search.replicas = 2;
    h.services.search.volumes = { index: { path: '/index', perReplica: true, disk: 'ix' } };
    h.machines['talos-worker-01'].dataDisks['ix-0'] = Size.gibibytes(5);
    h.machines['talos-worker-02'].dataDisks['ix-1'] = Size.gibibytes(5);
  };
  for (const [ordinal, machine] of ['talos-worker-01', 'talos-worker-02'].entries()) {
    const { spec } = named(replicas, 'PersistentVolume', `services-index-search-${ordinal}`)!.object;
    expect(spec.local.path).toBe(`/var/mnt/ix-${ordinal}`);
    expect(JSON.stringify(spec.nodeAffinity)).toContain(machine);
  }
});

test('a namespace with volumes is kept, and one without is not', () => {
  const annotations = (change: (h: any) => void) => named(change, 'Namespace', 'services')!.object.metadata.annotations;
  expect(annotations(uploads)).toEqual({ 'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false' });
  expect(annotations(() => undefined)).toBeUndefined();
});

test('a retired service renders what holds its data, and nothing that runs', () => {
  const retired = (h: any) => {
    uploads(h);
    h.services.documents.state = 'retired';
    for (const name of ['gateway', 'collaboration', 'assistant']) {
      const client = h.services[name];
      client.connects = client.connects.filter(({ service }: any) => service !== 'documents');
    }
  };
  const kinds = renderedHomelab(retired).flatMap(({ object: { kind, metadata } }) =>
    metadata.name.startsWith('documents') ? [kind] : [],
  );
  expect(kinds.sort()).toEqual(['NetworkPolicy', 'PersistentVolumeClaim']);
  expect(named(retired, 'PersistentVolume', 'services-documents-uploads')).toBeDefined();
});

test('a retired service keeps the secrets that its files may be encrypted with', () => {
  const secretsOf = (change: (h: any) => void) =>
    DeclaredSecret.all(homelabApp(defineHomelab(changed(change) as Homelab)))
      .filter(({ name }) => name.startsWith('documents'))
      .map(({ name, namespaces, keys }) => ({ name, namespaces: [...namespaces], keys }));
  const running = (h: any) => {
    uploads(h);
    h.services.documents.secrets = { FILE_KEY: Secret.generated(48) };
    for (const service of Object.values<any>(h.services))
      service.connects = service.connects.filter((each: any) => each.service !== 'documents');
    h.services.documents.connects = [];
  };
  const retired = (h: any) => {
    running(h);
    h.services.documents.state = 'retired';
  };
  expect(secretsOf(retired)).toEqual(secretsOf(running));
  expect(secretsOf(retired)).toHaveLength(1);
});

test('a retired service has no key of the models, and nothing probes its connections', () => {
  const homelab = defineHomelab(
    changed((h) => {
      h.llm.gateway = {};
      h.services.files = {
        connects: [{ model: 'chat' }],
        volumes: { data: { path: '/data' } },
        state: 'retired',
      };
      h.machines['talos-worker-02'].dataDisks['files-data'] = Size.gibibytes(1);
    }) as Homelab,
  );
  expect(llmClients(homelab).map(({ name }) => name)).not.toContain('files');
  expect(DeclaredSecret.all(homelabApp(homelab)).map(({ name }) => name)).not.toContain('llm-service-files');
});
