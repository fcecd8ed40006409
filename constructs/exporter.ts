import type { k8s } from 'cdk8s-plus-28';
import type { IConstruct } from 'constructs';
import { imageProblem, portProblem } from '../values/names';
import type { Connections, Peer } from './connections';
import { Environment, type EnvValue } from './env';
import { assertValid } from './validation';
import { resourceRequirements, type Resources } from './resources';
import { RESTRICTED_CONTAINER } from './security';

/** A container beside a database that exports its metrics; it reaches the database over loopback. */
export interface Exporter {
  /** Exact version: a tag other than latest, or a digest. */
  readonly image: string;
  /** Port that serves /metrics. */
  readonly port: number;
  /** Resources of its container in each pod, in addition to the database's. */
  readonly resources: Resources;
  /** Environment variables: text, or keys of secrets, such as those of `rootSecret` or of your own secret. @default none */
  readonly env?: Readonly<Record<string, EnvValue>>;
  /** @default the image's */
  readonly args?: readonly string[];
  /** Pods that may read the metrics, such as those of Prometheus. Opens the network for them. @default none */
  readonly scrapedBy?: Peer;
}

/** The container of the exporter. Registers it as a reader of its secrets, and opens the network for the scraper. */
export function exporterContainer(
  owner: IConstruct & { readonly namespace: string; readonly connections: Connections },
  exporter: Exporter | undefined,
): k8s.Container | undefined {
  if (!exporter) return undefined;
  const { image, port, args, scrapedBy } = exporter;
  assertValid(owner, imageProblem(image, 'the exporter image'), portProblem(port, 'the exporter port'));
  const environment = new Environment(owner, owner.namespace, exporter.env);
  if (scrapedBy) owner.connections.allowFrom(scrapedBy, { port });
  return {
    name: 'exporter',
    image,
    args: args && [...args],
    env: environment.render(),
    ports: [{ name: 'metrics', containerPort: port, protocol: 'TCP' }],
    resources: resourceRequirements(owner, exporter.resources),
    securityContext: RESTRICTED_CONTAINER,
  };
}

/** Annotations for a Prometheus that scrapes annotated pods; empty without metrics. */
export function scrapeAnnotations(metrics: { readonly port: number; readonly path?: string } | undefined) {
  return (
    metrics && {
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': String(metrics.port),
      'prometheus.io/path': metrics.path ?? '/metrics',
    }
  );
}
