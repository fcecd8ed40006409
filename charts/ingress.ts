import type { App } from 'cdk8s';
import { TraefikIngress } from '../constructs';
import { certificateNames, NAMESPACES, type Homelab, type Ingress } from '../inventory';
import { apiServer, folder, PRIORITY } from './context';
import type { OwnChart } from './own-charts';

/** One ingress controller on every worker, with a certificate for all host names of the domain. */
export function ingressChart(app: App, homelab: Homelab, ingress: Ingress, own: readonly OwnChart[]): TraefikIngress {
  const { machines } = homelab;
  return new TraefikIngress(folder(app, NAMESPACES.ingress, NAMESPACES.ingress), 'traefik', {
    watchNamespaces: [NAMESPACES.web, ...own.filter((chart) => chart.ingress).map(({ name }) => name)],
    statusAddress: machines[ingress.statusMachine]!.address,
    dnsNames: certificateNames(homelab),
    resources: { memory: ingress.memory, cpu: ingress.cpu },
    priorityClassName: PRIORITY.ingress,
    apiServer: apiServer(homelab),
  });
}
