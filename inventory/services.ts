import type { Size } from 'cdk8s';
import type { Cpu } from 'cdk8s-plus-28';
import type { Env, PodEnv } from '../values/env';
import type { PublishedPort } from '../values/published-ports';
import type { RouteOptions } from '../values/routes';
import type { ScheduleOptions } from '../values/schedule';
import type { ServiceOptions } from '../values/service-options';
import type { SharedVolumes } from '../values/shared-volumes';
import type { Connection } from './connections';
import type { ServiceVolume } from './volumes';

/** A microservice, worker or job. Only `connects` is required, even if the list is empty. */
export interface Service extends ServiceOptions, ScheduleOptions {
  /** Exact version. @default a public stand-in that answers health checks, so that the cluster comes up before the image exists */
  readonly image?: string;
  /** @default 256 MiB; a web app 128 MiB */
  readonly memory?: Size;
  /** @default 100m; a web app 50m */
  readonly cpu?: Cpu;
  /**
   * Folders that outlive the pods, by name. Each is a disk of a machine (see `dataDisks`), or a volume of a storage class. The
   * service then has one pod, which stops before its successor starts, or with `perReplica` one volume for each pod.
   * @default none: files of the service end with their pod
   */
  readonly volumes?: Readonly<Record<string, ServiceVolume>>;
  /**
   * Volumes of other services of the same namespace by the path at which they are mounted here too: for a backup job of a service
   * with a database file. Its pods then run on the machine of the disk, by the same user. @default none
   */
  readonly sharedVolumes?: SharedVolumes;
  /**
   * `retired` runs no pods, but keeps volumes, claims and secrets. Only for a service with volumes: another one is simply
   * removed. @default active
   */
  readonly state?: 'active' | 'retired';
  /**
   * Environment variables: text, `Env.from('mongodb', 'uri')` for what a connection gives, or `Env.pod('ip')` for what the pod
   * knows of itself. In text `$(NAME)` refers to another variable of the service, including those of its connections. All other
   * text, including empty text, is passed unchanged. Must contain no secret: dist/ is in Git. @default none
   */
  readonly env?: Readonly<Record<string, string | Env | PodEnv>>;
  /**
   * Targets that it may reach; environment variables hold their addresses. Variables of the first model start with LLM, those of
   * further models with LLM_NAME, so that a second model does not change the first. For two databases of a kind, or two
   * keyspaces, name one: `as: 'archive'`.
   */
  readonly connects: readonly Connection[];
  /**
   * Ports of the workers that lead to ports of the service by TCP or UDP, without TLS of their own: Git over SSH, MQTT. A new or
   * removed one restarts the ingress controller. @default none
   */
  readonly published?: readonly PublishedPort[];
}

/** A way in from outside, by host names and a path. */
export interface Route extends RouteOptions {
  /** Host names without the domain: `app`, nested `admin.app`, or several as a list. */
  readonly host: string | readonly string[];
  /** Domain of the host names. @default the network's domain */
  readonly domain?: string;
}

/**
 * A service that is reachable from outside, at https://HOST.DOMAIN. It runs in a namespace of its own kind: the ingress controller
 * may read every Secret of a namespace that it serves, and those of services hold the logins of databases.
 */
export interface WebApp extends Service {
  /** Short form of routes: [{ host }]. @default none; then `routes` is required */
  readonly host?: string;
  /** Several hosts, paths, certificates and limits. No two web apps may have the same host and path. @default that of `host` */
  readonly routes?: readonly Route[];
}
