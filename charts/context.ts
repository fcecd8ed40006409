import { Chart, type App } from 'cdk8s';
import type {
  ApiServerAddress,
  CassandraStatefulSet,
  DeclaredSecret,
  ExternalLlmService,
  MongoReplicaSet,
  TraefikIngress,
} from '../constructs';
import type { OwnChart } from './own-charts';
import { API_SERVER_PORT, apiServerAddresses, type Homelab } from '../inventory';

/** What charts pass to later charts: first databases, then llm and ingress, then the services that connect to them. */
export interface Context {
  readonly app: App;
  readonly homelab: Homelab;
  readonly cassandra: ReadonlyMap<string, CassandraStatefulSet>;
  readonly mongodb: ReadonlyMap<string, MongoReplicaSet>;
  /** Undefined when the homelab has none. */
  readonly llm?: ExternalLlmService;
  /** Other endpoints, by the name of the model. */
  readonly llmFallbacks: ReadonlyMap<string, ExternalLlmService>;
  /** Undefined when the homelab has none. */
  readonly ingress?: TraefikIngress;
  /** The login of the private registry, if the homelab has one. */
  readonly pullSecret?: DeclaredSecret;
  /** Charts of the owner. */
  readonly own: readonly OwnChart[];
}

/** Priority classes: which pods stay when a node runs out of resources. */
export const PRIORITY = { database: 'database', ingress: 'ingress', service: 'service' } as const;

/** A chart: one folder of dist/ and one Argo CD Application. */
export function folder(app: App, id: string, namespace?: string): Chart {
  return new Chart(app, id, { namespace, disableResourceNameHashes: true });
}

/** The API server's addresses for a NetworkPolicy, which sees packets after the Service address is translated. */
export function apiServer(homelab: Homelab): ApiServerAddress {
  const cidrs = apiServerAddresses(homelab).map((address) => `${address}/32`);
  return { cidrs: cidrs as [string, ...string[]], port: API_SERVER_PORT };
}
