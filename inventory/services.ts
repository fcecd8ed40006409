import type { Size } from 'cdk8s';
import type { Cpu } from 'cdk8s-plus-28';
import type { Env } from '../values/env';
import type { ServiceOptions } from '../values/service-options';
import type { Connection } from './connections';

/** A microservice. Only `connects` is required, even if the list is empty. */
export interface Service extends ServiceOptions {
  /** Exact version. @default a public stand-in that answers health checks, so that the cluster comes up before the image exists */
  readonly image?: string;
  /** @default 256 MiB; a web app 128 MiB */
  readonly memory?: Size;
  /** @default 100m; a web app 50m */
  readonly cpu?: Cpu;
  /**
   * Environment variables: text, or `Env.from('mongodb', 'uri')` for what a connection gives. In text `$(NAME)` refers to another
   * variable of the service, including those of its connections. All other text, including empty text, is passed unchanged.
   * Must contain no secret: dist/ is in Git. @default none
   */
  readonly env?: Readonly<Record<string, string | Env>>;
  /**
   * Targets that it may reach; environment variables hold their addresses. Variables of the first model start with LLM, those of
   * further models with LLM_NAME, so that a second model does not change the first. For two databases of a kind, or two
   * keyspaces, name one: `as: 'archive'`.
   */
  readonly connects: readonly Connection[];
}

/** A service with an Ingress, at https://HOST.DOMAIN. */
export interface WebApp extends Service {
  /** First part of its host name; the rest is the network's domain. */
  readonly host: string;
}
