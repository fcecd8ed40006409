import type { Size } from 'cdk8s';
import type { Cpu } from 'cdk8s-plus-28';
import type { MongoRole } from '../values/mongo-roles';
import type { ServiceOptions } from '../values/service-options';

/** A target that a client may reach; NetworkPolicies block everything else. */
export type Connection = (
  | { readonly service: string }
  /**
   * `user` is its login. @default its own name, which no other client of that database may have. With `access: 'read'` it can
   * only read. @default readWrite
   */
  | {
      readonly mongodb: string;
      readonly database: string;
      readonly user?: string;
      readonly access?: MongoRole | readonly MongoRole[];
    }
  /** `role` is its login. @default its own name, which no other client of that ring may have */
  | {
      readonly cassandra: string;
      readonly keyspace: string;
      readonly role?: string;
      /** `read` permits only SELECT. @default readWrite */
      readonly access?: 'read' | 'readWrite';
    }
  | { readonly model: string }
) & {
  /** Prefix of its environment variables. @default the name of the service, MONGODB, CASSANDRA, LLM or LLM_NAME */
  readonly envPrefix?: string;
};

/** A microservice. Only `connects` is required, even if the list is empty. */
export interface Service extends ServiceOptions {
  /** Exact version. @default a public stand-in that answers health checks, so that the cluster comes up before the image exists */
  readonly image?: string;
  /** @default 256 MiB; a web app 128 MiB */
  readonly memory?: Size;
  /** @default 100m; a web app 50m */
  readonly cpu?: Cpu;
  /**
   * Environment variables. `$(NAME)` refers to another variable of the service, including those of its connections. All other
   * text, including empty text, is passed unchanged. Must contain no secret: dist/ is in Git. @default none
   */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Targets that it may reach, each once; environment variables hold their addresses. Variables of the first model start with
   * LLM, those of further models with LLM_NAME, so that a second model does not change the first.
   */
  readonly connects: readonly Connection[];
}

/** A service with an Ingress, at https://HOST.DOMAIN. */
export interface WebApp extends Service {
  /** First part of its host name; the rest is the network's domain. */
  readonly host: string;
}
