import { App } from 'cdk8s';
import { DeclaredSecret } from '../constructs';
import { NAMESPACES, type Homelab } from '../inventory';
import { argoCdChart } from './argo-cd';
import type { Context } from './context';
import { cassandraCharts, mongodbCharts } from './databases';
import { ingressChart } from './ingress';
import { llmAvailability, llmChart, llmFallbacks, llmProofChart } from './llm';
import { platformChart } from './platform';
import { serviceCharts } from './services';

/** All charts of a homelab. One chart is one folder of dist/ and one Argo CD Application. */
export function homelabApp(homelab: Homelab): App {
  const app = new App({ recordConstructMetadata: false });
  const llm = homelab.llm && llmChart(app, homelab, homelab.llm);
  const context: Context = {
    app,
    homelab,
    cassandra: cassandraCharts(app, homelab),
    mongodb: mongodbCharts(app, homelab),
    llm,
    llmFallbacks: llm ? llmFallbacks(llm, homelab.llm!) : new Map(),
    ingress: homelab.ingress && ingressChart(app, homelab, homelab.ingress),
    pullSecret: homelab.registry && registryLogin(app, homelab.registry.server),
  };
  serviceCharts(context);
  if (context.llm) {
    llmProofChart(app, homelab, context.llm);
    llmAvailability(context.llm, homelab.llm!);
  }
  platformChart(context);
  argoCdChart(context);
  return app;
}

function registryLogin(app: App, server: string): DeclaredSecret {
  return new DeclaredSecret(app, 'registry', {
    name: 'registry',
    namespaces: [NAMESPACES.services, NAMESPACES.web],
    type: 'kubernetes.io/dockerconfigjson',
    keys: {
      '.dockerconfigjson': {
        ask: `a login for ${server} that may only read, as docker login writes it to ~/.docker/config.json`,
      },
    },
  });
}
