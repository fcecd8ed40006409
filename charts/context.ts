import { Chart, type App } from 'cdk8s';
import type {
  ApiServerAddress,
  CassandraStatefulSet,
  DeclaredSecret,
  ExternalLlmService,
  MongoReplicaSet,
  TraefikIngress,
} from '../constructs';
import { API_SERVER_PORT, apiServerAddresses, type Homelab } from '../inventory';

/** What charts know of each other, filled from left to right: databases, llm and ingress, then those who connect to them. */
export interface Context {
  readonly app: App;
  readonly homelab: Homelab;
  readonly cassandra: ReadonlyMap<string, CassandraStatefulSet>;
  readonly mongodb: ReadonlyMap<string, MongoReplicaSet>;
  /** Missing where the homelab has none. */
  readonly llm?: ExternalLlmService;
  /** Missing where the homelab has none. */
  readonly ingress?: TraefikIngress;
  /** The login of the private registry, if there is one. */
  readonly pullSecret?: DeclaredSecret;
}

/** Priority classes: who stays when a node runs out of room. */
export const PRIORITY = { database: 'database', ingress: 'ingress', service: 'service' } as const;

/** A folder of dist/, and an Argo CD application. */
export function folder(app: App, id: string, namespace?: string): Chart {
  return new Chart(app, id, { namespace, disableResourceNameHashes: true });
}

/** The API server as pods reach it, whose packets are translated before a policy sees them. */
export function apiServer(homelab: Homelab): ApiServerAddress {
  const cidrs = apiServerAddresses(homelab).map((address) => `${address}/32`);
  return { cidrs: cidrs as [string, ...string[]], port: API_SERVER_PORT };
}
