import { Chart, type App } from 'cdk8s';
import type {
  CassandraStatefulSet,
  DeclaredSecret,
  ExternalLlmService,
  MongoReplicaSet,
  TraefikIngress,
} from '../constructs';
import type { Homelab } from '../inventory';

/** What charts know of each other, filled from left to right: databases, llm and ingress, then those who connect to them. */
export interface Context {
  readonly app: App;
  readonly homelab: Homelab;
  readonly cassandra: ReadonlyMap<string, CassandraStatefulSet>;
  readonly mongodb: ReadonlyMap<string, MongoReplicaSet>;
  readonly llm: ExternalLlmService;
  readonly ingress: TraefikIngress;
  /** The login of the private registry, if there is one. */
  readonly pullSecret?: DeclaredSecret;
}

/** Namespaces that are not a database's. */
export const NAMESPACES = { services: 'services', web: 'web', ingress: 'ingress', argoCd: 'argocd' } as const;

/** Priority classes: who stays when a node runs out of room. */
export const PRIORITY = { database: 'database', ingress: 'ingress', service: 'service' } as const;

/** A folder of dist/, and an Argo CD application. */
export function folder(app: App, id: string, namespace?: string): Chart {
  return new Chart(app, id, { namespace, disableResourceNameHashes: true });
}
