import { Size } from 'cdk8s';
import { printYaml } from '../../synth';
import { leftovers, removalCommands } from '../../synth/leftovers';
import type { Rendering } from '../../checks';
import { renderedHomelab } from '../homelab';

const filesOf = (rendering: Rendering) => new Map(rendering.map(({ file, object }) => [file, printYaml(object)]));
const before = filesOf(renderedHomelab());
const withoutMongodb = (h: any) => {
  delete h.databases.mongodb;
  delete h.machines['talos-worker-02'].dataDisks;
  for (const service of Object.values<any>(h.services))
    service.connects = service.connects.filter((each: any) => !each.mongodb);
};

test('a removed database: application first, namespace last, and no command waits for claims that pods still use', async () => {
  expect(await leftovers(before, filesOf(renderedHomelab(withoutMongodb)))).toEqual([
    'kubectl delete application.argoproj.io mongodb -n argocd',
    ...[0, 1, 2].flatMap((n) => [
      `kubectl delete persistentvolumeclaim data-mongodb-${n} -n mongodb --wait=false`,
      `kubectl delete persistentvolume mongodb-data-mongodb-${n} --wait=false`,
    ]),
    'kubectl delete namespace mongodb',
  ]);
});

test('objects that are not kept, or that another chart renders now, are not left over', async () => {
  const without = filesOf(
    renderedHomelab((h) => {
      h.webApps = {};
      delete h.ingress;
      h.llm.via = 'tcp-proxy';
    }),
  );
  expect(await leftovers(before, without)).toEqual([]);
  const moved = new Map([...before].map(([path, text]) => [path.replace(/^platform\//, 'ground/'), text]));
  expect(await leftovers(before, moved)).toEqual([]);
  expect(await leftovers(before, before)).toEqual([]);
});

test('objects that Argo CD may no longer delete are left over: their kind or namespace is no longer permitted', async () => {
  const own = (apiVersion: string, kind: string, namespace: string) =>
    printYaml({ apiVersion, kind, metadata: { name: 'own', namespace } });
  const had = new Map([
    ...before,
    ['services/replicaset.own.yaml', own('apps/v1', 'ReplicaSet', 'services')],
    ['services/job.own.yaml', own('batch/v1', 'Job', 'elsewhere')],
    ['services/job.gone.yaml', own('batch/v1', 'Job', 'services')],
  ]);
  expect(await leftovers(had, before)).toEqual([
    'kubectl delete replicaset own -n services',
    'kubectl delete job own -n elsewhere',
  ]);
});

test('removes objects by name in a namespace that stays', () => {
  const policy = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'a', namespace: 'n' } };
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n' } };
  expect(removalCommands([policy])).toEqual(['kubectl delete networkpolicy a -n n']);
  expect(removalCommands([namespace, policy])).toEqual(['kubectl delete namespace n']);
});

test('removes secrets of the bootstrap that are no longer declared, unless their namespace is removed too', async () => {
  const list = (...secrets: object[]) => new Map([...before, ['secrets.yaml', printYaml({ secrets })]]);
  const kept = { name: 'cassandra-chat', namespaces: ['cassandra', 'services'] };
  const had = list(kept, { name: 'mongodb-chat', namespaces: ['mongodb', 'services'] });
  expect(await leftovers(had, list(kept))).toEqual([
    'kubectl delete secret mongodb-chat -n mongodb',
    'kubectl delete secret mongodb-chat -n services',
  ]);
  const without = new Map([
    ...filesOf(renderedHomelab(withoutMongodb)),
    ['secrets.yaml', printYaml({ secrets: [kept] })],
  ]);
  const commands = await leftovers(had, without);
  expect(commands.filter((command) => command.includes('secret'))).toEqual([
    'kubectl delete secret mongodb-chat -n services',
  ]);
  expect(commands.at(-1)).toBe('kubectl delete namespace mongodb');
});

test('a removed service with volumes: its policy, claims and volumes, each once', async () => {
  const kept = (h: any) => {
    h.services.files = { connects: [], volumes: { data: { path: '/data' } } };
    h.services.media = { connects: [], replicas: 2, volumes: { data: { path: '/data', perReplica: true } } };
    for (const disk of ['files-data', 'media-data-0', 'media-data-1'])
      h.machines['talos-worker-02'].dataDisks[disk] = Size.gibibytes(1);
  };
  const claims = ['files-data', 'data-media-0', 'data-media-1'];
  const commands = await leftovers(filesOf(renderedHomelab(kept)), before);
  expect([...commands].sort()).toEqual(
    [
      ...['files', 'media'].map((name) => `kubectl delete networkpolicy ${name} -n services`),
      ...claims.flatMap((claim) => [
        `kubectl delete persistentvolumeclaim ${claim} -n services --wait=false`,
        `kubectl delete persistentvolume services-${claim} --wait=false`,
      ]),
    ].sort(),
  );
});
