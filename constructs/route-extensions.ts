import type { Construct } from 'constructs';
import type { PublishedProtocol } from '../values/published-ports';
import type { RouteOptions } from '../values/routes';

/** A route by host and path, with options that an Ingress has no fields for. */
export interface ExtendedRoute extends Pick<
  RouteOptions,
  'stripPrefix' | 'responseTimeout' | 'idleTimeout' | 'maxBody'
> {
  /** Whole host names, with their domain. */
  readonly hosts: readonly string[];
  /** Start of the paths that the route matches. */
  readonly path: string;
  /** The Service behind it. */
  readonly service: { readonly name: string; readonly namespace: string };
  /** Whether the pods speak gRPC: HTTP/2 without TLS. */
  readonly grpc: boolean;
}

/** Annotations by which an Ingress and its Service refer to the controller's own configuration. */
export interface RouteAnnotations {
  /** Annotations of the Ingress. */
  readonly ingress: Readonly<Record<string, string>>;
  /** Annotations of the Service behind it. */
  readonly service: Readonly<Record<string, string>>;
}

/** A TCP or UDP port of the nodes, and where it leads. */
export interface OpenPort {
  /** Port of the nodes that clients use. */
  readonly port: number;
  /** TCP or UDP. */
  readonly protocol: PublishedProtocol;
  /** HOST:PORT of a Service. */
  readonly address: string;
}

/** What an ingress controller of ours does beyond the fields of an Ingress. */
export interface RouteExtensions {
  /** Why its certificate cannot serve a host, as a sentence, or undefined. */
  hostProblem(host: string): string | undefined;
  /** Configures the controller for the options of a route. */
  extend(route: ExtendedRoute): RouteAnnotations;
  /** Opens a port of the nodes. @throws when another service has it */
  publish(scope: Construct, port: OpenPort): void;
}
