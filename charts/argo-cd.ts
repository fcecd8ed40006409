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

/** Makes Argo CD keep dist/: a project limited to what is rendered, one application per folder, one that holds them all. */
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
      wave: WAVES[node.id] ?? DATABASE_WAVE,
      keep: keeps(context, node.id),
    });
  application(chart, homelab, { id: NAMESPACES.argoCd, name: homelab.name, wave: 0, keep: true });
  project(chart, context);
}

/** Databases and what they stand on: their applications are never deleted, and deleting one by hand deletes nothing else. */
function keeps({ homelab }: Context, id: string): boolean {
  return id === FOLDERS.platform || id in homelab.databases;
}

/** Argo CD's own namespace. Its pods come from the upstream manifest, which sets no limits and reaches repositories outside. */
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
  // The Git repository alone, at the port of its address. Nothing else is fetched: there are no Helm repositories, no single
  // sign-on and no notifications; the API server is reached above.
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
 * What Argo CD leaves alone: objects that controllers make in masses. Its own default also names EndpointSlice, and an
 * excluded object is dropped without an error: llm-service would have no endpoint and still look synced.
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
 * Without it an Application counts as healthy at once (since Argo CD 1.8), and the waves of the root application wait for
 * nothing. The root is in its own first wave: judged by its own health, which is that of all the others, it would never get
 * to the waves that mend what is wrong.
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
 * What Argo CD may make and delete: every kind that this library knows and what own charts add to them, in every namespace of
 * the homelab. Rendered late, so that a chart which is changed afterwards counts.
 */
function project(chart: Chart, { app, homelab }: Context): void {
  const spec = late((): AppProjectSpec => {
    const objects = app.node.findAll().filter(ApiObject.isApiObject);
    const kinds = [
      ...RENDERED_KINDS,
      ...objects.map(({ apiVersion, kind }): Kind => ({ group: groupOf(apiVersion), kind })),
    ];
    const permitted = (clusterWide: boolean) =>
      unique(
        kinds.filter(({ kind }) => isClusterScoped(kind) === clusterWide).map(({ group, kind }) => `${group}/${kind}`),
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
 * By the types of `imports/` only: their classes come with 6,000 lines, which every synth would load for ten objects.
 * @param spec as JSON; the types differ from it in how they write `repoURL`
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
  /** Namespace of its objects, where they share one. The project permits none but those that it names, not even "". */
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
      retry: { limit: 10, backoff: { duration: '10s', factor: 2, maxDuration: '5m' } },
    },
  };
  const metadata = {
    annotations: { ...syncWave(wave), ...(keep && KEEP) },
    // With it, whatever the folder brought goes when its application goes. Without a path the API server warns.
    finalizers: keep ? undefined : ['resources-finalizer.argocd.argoproj.io/foreground'],
  };
  argoObject(chart, `application-${id}`, 'Application', name, metadata, {
    ...spec,
    source: { ...source, repoURL: homelab.git.url },
  });
}
