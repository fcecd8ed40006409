import { App } from 'cdk8s';
import { DeclaredSecret } from '../constructs';
import { NAMESPACES, type Homelab } from '../inventory';
import { argoCdChart } from './argo-cd';
import type { Context } from './context';
import { cassandraCharts, mongodbCharts } from './databases';
import { ingressChart } from './ingress';
import { llmAvailability, llmChart, llmFallbacks, llmProofChart } from './llm';
import { ownCharts, type OwnChart } from './own-charts';
import { platformChart } from './platform';
import { serviceCharts } from './services';

export type { HomelabParts, OwnChart } from './own-charts';

/** What is deployed besides homelab.ts. */
export interface HomelabAppOptions {
  /** Charts of your own. @default none */
  readonly charts?: readonly OwnChart[];
}

/** All charts of a homelab. One chart is one folder of dist/ and one Argo CD Application. */
export function homelabApp(homelab: Homelab, { charts = [] }: HomelabAppOptions = {}): App {
  const app = new App({ recordConstructMetadata: false });
  const llm = homelab.llm && llmChart(app, homelab, homelab.llm);
  const context: Context = {
    app,
    homelab,
    cassandra: cassandraCharts(app, homelab),
    mongodb: mongodbCharts(app, homelab),
    llm,
    llmFallbacks: llm ? llmFallbacks(llm, homelab.llm!) : new Map(),
    ingress: homelab.ingress && ingressChart(app, homelab, homelab.ingress, charts),
    pullSecret: homelab.registry && registryLogin(app, homelab.registry.server, charts),
    own: charts,
  };
  for (const [name, value] of Object.entries(homelab.secrets ?? {})) DeclaredSecret.declareShared(app, name, value);
  const services = serviceCharts(context);
  ownCharts(context, services.made);
  services.connect();
  if (context.llm) {
    llmProofChart(app, homelab, context.llm);
    llmAvailability(context.llm, homelab.llm!);
  }
  platformChart(context);
  argoCdChart(context);
  return app;
}

function registryLogin(app: App, server: string, charts: readonly OwnChart[]): DeclaredSecret {
  return new DeclaredSecret(app, 'registry', {
    name: 'registry',
    namespaces: [NAMESPACES.services, NAMESPACES.web, ...charts.map(({ name }) => name)],
    type: 'kubernetes.io/dockerconfigjson',
    keys: {
      '.dockerconfigjson': {
        ask: `a login for ${server} that may only read, as docker login writes it to ~/.docker/config.json`,
      },
    },
  });
}
