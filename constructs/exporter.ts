import { k8s } from 'cdk8s-plus-28';
import type { IConstruct } from 'constructs';
import { imageProblem, portProblem } from '../values/names';
import { insist } from './refuse';
import { resourceRequirements, type Resources } from './resources';
import { RESTRICTED_CONTAINER } from './security';

/** A container beside a database that reports its metrics; it reaches the database by loopback. */
export interface Exporter {
  /** Exact version: a tag other than latest, or a digest. */
  readonly image: string;
  /** Port on which Prometheus finds /metrics. */
  readonly port: number;
  /** Of its container, on top of the database's own in each pod. */
  readonly resources: Resources;
  /** @default none */
  readonly env?: Readonly<Record<string, string>>;
  /** @default the image's */
  readonly args?: readonly string[];
}

export function exporterContainer(scope: IConstruct, exporter: Exporter): k8s.Container {
  insist(scope, imageProblem(exporter.image, 'the exporter image'), portProblem(exporter.port, 'the exporter port'));
  return {
    name: 'exporter',
    image: exporter.image,
    args: exporter.args && [...exporter.args],
    env: exporter.env && Object.entries(exporter.env).map(([name, value]) => ({ name, value })),
    ports: [{ name: 'metrics', containerPort: exporter.port, protocol: 'TCP' }],
    resources: resourceRequirements(scope, exporter.resources),
    securityContext: RESTRICTED_CONTAINER,
  };
}
