import type { Chart } from 'cdk8s';
import { Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { images, InternetAccess, MicroserviceDeployment, OutsideAddress, OutsideRoute, Placement } from '../constructs';
import {
  byTarget,
  clusterNetworks,
  envPrefixOf,
  fallbackOf,
  NAMESPACES,
  routesOf,
  type Homelab,
  type Service,
} from '../inventory';
import { folder, PRIORITY, type Context } from './context';

/** Default port of podinfo, the stand-in image. */
const STAND_IN_PORT = 9898;

/** The services and the web apps, and the connections of each. */
export function serviceCharts(context: Context): void {
  const { app, homelab } = context;
  const services = folder(app, NAMESPACES.services, NAMESPACES.services);
  const made = new Map<string, MicroserviceDeployment>();
  for (const [name, service] of Object.entries(homelab.services))
    made.set(name, deployment(context, services, name, service, SERVICE));
  const web = Object.keys(homelab.webApps).length > 0 ? folder(app, NAMESPACES.web, NAMESPACES.web) : undefined;
  const apps = Object.entries(homelab.webApps).map(([name, webApp]) => {
    const routes = routesOf(homelab, webApp).map(({ hosts, ...options }) =>
      OutsideRoute.ingress({ ...options, host: hosts, controller: context.ingress! }),
    );
    return [webApp, deployment(context, web!, name, webApp, { ...WEB_APP, routes })] as const;
  });
  for (const [name, service] of Object.entries(homelab.services)) connect(context, made, made.get(name)!, service);
  for (const [webApp, client] of apps) connect(context, made, client, webApp);
}

interface Defaults {
  readonly memory: Size;
  readonly cpu: Cpu;
  readonly routes?: readonly OutsideRoute[];
}

const SERVICE: Defaults = { memory: Size.mebibytes(256), cpu: Cpu.millis(100) };
const WEB_APP: Defaults = { memory: Size.mebibytes(128), cpu: Cpu.millis(50) };

function deployment(
  context: Context,
  chart: Chart,
  name: string,
  service: Service,
  defaults: Defaults,
): MicroserviceDeployment {
  const preferred = context.homelab.preferredNodes;
  const made = new MicroserviceDeployment(chart, name, {
    ...(service.image === undefined
      ? { image: images.standIn, port: STAND_IN_PORT, metrics: {} }
      : { image: service.image, port: service.port, probes: service.probes }),
    resources: { memory: service.memory ?? defaults.memory, cpu: service.cpu ?? defaults.cpu },
    replicas: service.replicas,
    terminationGracePeriod: service.terminationGracePeriod,
    env: service.env,
    placement: preferred && Placement.preferNodesLabelled(preferred.key, preferred.value),
    priorityClassName: PRIORITY.service,
    pullSecrets: context.pullSecret && [context.pullSecret.name],
    routes: defaults.routes,
  });
  context.pullSecret?.readBy(made, made.namespace);
  return made;
}

function connect(
  context: Context,
  services: ReadonlyMap<string, MicroserviceDeployment>,
  client: MicroserviceDeployment,
  service: Service,
): void {
  for (const connection of service.connects) {
    const name = { as: connection.as, envPrefix: envPrefixOf(service, connection) };
    byTarget<unknown>(connection, {
      service: (to) => client.connectTo(services.get(to.service)!, name),
      mongodb: ({ mongodb, database, user, access }) =>
        client.connectTo(context.mongodb.get(mongodb)!, { database, user, access, ...name }),
      cassandra: ({ cassandra, keyspace, role, access }) =>
        client.connectTo(context.cassandra.get(cassandra)!, { keyspace, role, access, ...name }),
      model: ({ model }) => {
        client.connectTo(context.llm!, { model, ...name });
        const fallback = context.llmFallbacks.get(model);
        const other = fallbackOf(name.as ?? model, name.envPrefix);
        if (fallback) client.connectTo(fallback, { model, as: other.name, envPrefix: other.prefix });
      },
      internet: ({ internet, because }) =>
        client.connectTo(new InternetAccess({ ports: internet, because, except: networksOf(context.homelab) }), name),
      address: ({ address, port, because, as }) =>
        client.connectTo(new OutsideAddress({ address, port, because }), { ...name, as }),
    });
  }
}

/** Networks of this homelab, which are not the internet even where they are no private ones. */
function networksOf(homelab: Homelab): string[] {
  const { podCidr, serviceCidr } = clusterNetworks(homelab);
  return [podCidr, serviceCidr, homelab.network.cidr];
}
