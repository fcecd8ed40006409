import { ApiObject, Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import {
  Connections,
  groupOf,
  isClusterScoped,
  IsolatedNamespace,
  KEEP,
  type Kind,
  late,
  RENDERED_KINDS,
  syncWave,
} from '../constructs';
import type { ApplicationSpec } from '../imports/application-argoproj.io';
import type { AppProjectSpec } from '../imports/appproject-argoproj.io';
import { FOLDERS, NAMESPACES, revisionOf, type Homelab } from '../inventory';
import { gitAddress } from '../values/git-address';
import { ipv4 } from '../values/names';
import { apiServer, folder, type Context } from './context';
import { ownWave } from './own-charts';

/** Waves of the root application: each starts when the one before is healthy. */
const WAVES: Readonly<Record<string, number>> = {
  [FOLDERS.platform]: 0,
  [NAMESPACES.ingress]: 1,
  [FOLDERS.llm]: 1,
  [NAMESPACES.services]: 2,
  [NAMESPACES.web]: 3,
  [FOLDERS.llmProof]: 4,
};
const DATABASE_WAVE = 1;

/** Makes Argo CD sync dist/: a project limited to the rendered kinds, one Application per folder, and a root Application. */
export function argoCdChart(context: Context): void {
  const { app, homelab } = context;
  const folders = app.node.children.filter(Chart.isChart);
  const chart = folder(app, NAMESPACES.argoCd, NAMESPACES.argoCd);
  namespace(chart, context);
  settings(chart, homelab);
  for (const { node, namespace: home } of folders)
    application(chart, homelab, {
      id: node.id,
      home,
      wave: WAVES[node.id] ?? ownWave(context, node.id) ?? DATABASE_WAVE,
      keep: isKept(context, node.id),
    });
  application(chart, homelab, { id: NAMESPACES.argoCd, name: homelab.name, wave: 0, keep: true });
  project(chart, context);
}

/** Whether an Application is never deleted: those of the platform and of databases. Deleting one by hand keeps its objects. */
function isKept({ homelab, own }: Context, id: string): boolean {
  return id === FOLDERS.platform || id in homelab.databases || own.some(({ name, keep }) => name === id && keep);
}

/** Argo CD's namespace. Its pods come from the upstream manifest, which sets no limits and needs repositories outside. */
function namespace(chart: Chart, { homelab }: Context): void {
  new IsolatedNamespace(chart, 'namespace', { name: NAMESPACES.argoCd, keep: true, containerDefault: false });
  const connections = new Connections(chart, 'connections', {
    name: 'argocd',
    namespace: NAMESPACES.argoCd,
    selector: {},
    labels: {},
    keep: true,
  });
  for (const port of [5556, 5557, 6379, 7000, 8080, 8081, 8082, 8083, 8084, 9001]) {
    connections.allowFrom(connections.peer, { port });
    connections.allowTo(connections.peer, { port });
  }
  const { cidrs, port: apiPort } = apiServer(homelab);
  for (const cidr of cidrs) connections.allowTo({ cidr }, { port: apiPort });
  // Only the Git repository, at the port of its address. Argo CD fetches nothing else: no Helm repositories, no single sign-on,
  // no notifications. The API server is allowed above.
  const repository = gitAddress(homelab.git.url);
  if (repository.protocol === 'file') return;
  const { host, port } = repository;
  connections.allowTo(ipv4(host) === undefined ? 'anywhere' : { cidr: `${host}/32` }, { port });
}

function settings(chart: Chart, homelab: Homelab): void {
  new k8s.KubeConfigMap(chart, 'argocd-cm', {
    metadata: {
      name: 'argocd-cm',
      namespace: NAMESPACES.argoCd,
      labels: { 'app.kubernetes.io/name': 'argocd-cm', 'app.kubernetes.io/part-of': 'argocd' },
      annotations: { ...KEEP },
    },
    data: {
      'application.resourceTrackingMethod': 'annotation',
      'resource.exclusions': EXCLUSIONS,
      'resource.customizations.health.argoproj.io_Application': applicationHealth(homelab.name),
    },
  });
}

/**
 * Objects that Argo CD ignores, because controllers create many of them. Argo CD's default also excludes EndpointSlice. It drops
 * an excluded object without an error, so llm-service would have no endpoint and still look synced.
 */
const EXCLUSIONS = `- apiGroups: [""]
  kinds: [Endpoints]
- apiGroups: [coordination.k8s.io]
  kinds: [Lease]
- apiGroups: [authentication.k8s.io, authorization.k8s.io]
  kinds: ["*"]
- apiGroups: [certificates.k8s.io]
  kinds: [CertificateSigningRequest]
`;

/**
 * Health of an Application. Without this check Argo CD (since 1.8) counts each as healthy at once, and the sync waves of the root
 * Application do not wait. The root is always healthy here: it is in its own first wave, and its real health includes all
 * others, so a broken Application would stop the root from syncing the later waves that repair it.
 */
function applicationHealth(root: string): string {
  return `if obj.metadata.name == "${root}" then
  return { status = "Healthy" }
end
local health = obj.status and obj.status.health
if health and health.status then
  return { status = health.status, message = health.message or "" }
end
return { status = "Progressing", message = "not judged yet" }
`;
}

/**
 * What Argo CD may create and delete: every kind that this library renders and those that your own charts add, in every
 * namespace of the homelab. Produced at rendering, so that objects added later are included.
 */
function project(chart: Chart, { app, homelab, own }: Context): void {
  const clusterKinds = new Set(own.flatMap(({ clusterScoped = [] }) => clusterScoped));
  const spec = late((): AppProjectSpec => {
    const objects = app.node.findAll().filter(ApiObject.isApiObject);
    const kinds = [
      ...RENDERED_KINDS,
      ...objects.map(({ apiVersion, kind }): Kind => ({ group: groupOf(apiVersion), kind })),
    ];
    const permitted = (clusterWide: boolean) =>
      unique(
        kinds
          .filter(({ kind }) => (isClusterScoped(kind) || clusterKinds.has(kind)) === clusterWide)
          .map(({ group, kind }) => `${group}/${kind}`),
      ).map((name) => ({ group: name.split('/')[0]!, kind: name.split('/')[1]! }));
    const rendered = objects.filter(({ kind }) => kind === 'Namespace').map(({ metadata }) => metadata.name!);
    return {
      description: 'What dist/ holds, and nothing else',
      sourceRepos: [homelab.git.url],
      destinations: unique([...Object.values(NAMESPACES), ...rendered]).map((namespace) => ({
        server: IN_CLUSTER,
        namespace,
      })),
      clusterResourceWhitelist: permitted(true),
      namespaceResourceWhitelist: permitted(false),
    };
  });
  argoObject(chart, 'project', 'AppProject', homelab.name, { annotations: { ...KEEP, ...syncWave(-1) } }, spec);
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}

/**
 * Uses only the types of `imports/`: their classes have 6,000 lines, which every synth would load for ten objects.
 * @param spec as JSON; the types spell `repoURL` differently
 */
function argoObject(chart: Chart, id: string, kind: string, name: string, metadata: object, spec: object): ApiObject {
  return new ApiObject(chart, id, {
    apiVersion: 'argoproj.io/v1alpha1',
    kind,
    metadata: { name, namespace: NAMESPACES.argoCd, ...metadata },
    spec,
  });
}

const IN_CLUSTER = 'https://kubernetes.default.svc';

interface ApplicationOfFolder {
  /** The folder below dist/. */
  readonly id: string;
  /** @default the folder's */
  readonly name?: string;
  /** Namespace of its objects, if they share one. The project permits only namespaces that it names, not even "". */
  readonly home?: string;
  readonly wave: number;
  readonly keep: boolean;
}

function application(chart: Chart, homelab: Homelab, { id, name = id, home, wave, keep }: ApplicationOfFolder): void {
  const source = { targetRevision: revisionOf(homelab), path: `dist/${id}` };
  const spec: Omit<ApplicationSpec, 'source'> = {
    project: homelab.name,
    destination: { server: IN_CLUSTER, namespace: home ?? NAMESPACES.argoCd },
    syncPolicy: {
      automated: { prune: true, selfHeal: true },
      syncOptions: ['ServerSideApply=true'],
      // Without refresh every try takes the commit that failed, and the one that mends it waits for half an hour.
      retry: { limit: 10, refresh: true, backoff: { duration: '10s', factor: 2, maxDuration: '5m' } },
    },
  };
  const metadata = {
    annotations: { ...syncWave(wave), ...(keep && KEEP) },
    // Deletes the objects of the folder with its Application. The API server warns about a finalizer without a path.
    finalizers: keep ? undefined : ['resources-finalizer.argocd.argoproj.io/foreground'],
  };
  argoObject(chart, `application-${id}`, 'Application', name, metadata, {
    ...spec,
    source: { ...source, repoURL: homelab.git.url },
  });
}
