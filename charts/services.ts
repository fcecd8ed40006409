import type { Chart } from 'cdk8s';
import { Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import {
  images,
  InternetAccess,
  MicroserviceDeployment,
  OutsideAddress,
  Placement,
  RetiredMicroservice,
  ScheduledJob,
  type ServiceConnection,
  type Client,
} from '../constructs';
import {
  byTarget,
  clusterNetworks,
  envPrefixOf,
  fallbackOf,
  isOwn,
  NAMESPACES,
  type Homelab,
  type Service,
} from '../inventory';
import { folder, PRIORITY, type Context } from './context';
import { ownService } from './own-charts';
import { volumesProp } from './volumes';
import { waysIn } from './ways-in';

/** Default port of podinfo, the stand-in image. */
const STAND_IN_PORT = 9898;

/** Services and web apps by name. */
export type Services = ReadonlyMap<string, MicroserviceDeployment>;

/** The services and the web apps. `connect` comes after the charts of the owner, because services may connect to them. */
export function serviceCharts(context: Context): { readonly made: Services; readonly connect: () => void } {
  const { app, homelab } = context;
  const chart = folder(app, NAMESPACES.services, NAMESPACES.services);
  const made = active(context, chart, homelab.services).map(
    ([name, service]) => [name, service, client(context, chart, name, service, SERVICE)] as const,
  );
  const web = Object.keys(homelab.webApps).length > 0 ? folder(app, NAMESPACES.web, NAMESPACES.web) : undefined;
  const apps = active(context, web, homelab.webApps).map(
    ([name, webApp]) => [name, webApp, client(context, web!, name, webApp, WEB_APP)] as const,
  );
  const all = [...made, ...apps];
  const reachable = new Map(
    all.flatMap(([name, , each]) => (each instanceof MicroserviceDeployment ? [[name, each] as const] : [])),
  );
  for (const [, service, each] of all) mountShared(reachable, each, service);
  return {
    made: reachable,
    connect: () => {
      for (const [, service, each] of all) connect(context, reachable, each, service);
    },
  };
}

/** Services that run. Renders what the retired ones keep. */
function active<T extends Service>(
  { homelab }: Context,
  chart: Chart | undefined,
  services: Readonly<Record<string, T>>,
): [string, T][] {
  return Object.entries(services).filter(([name, service]) => {
    if (service.state !== 'retired') return true;
    new RetiredMicroservice(chart!, name, {
      replicas: service.replicas,
      secrets: service.secrets,
      volumes: volumesProp(homelab, name, service),
    });
    return false;
  });
}

interface Defaults {
  readonly memory: Size;
  readonly cpu: Cpu;
}

const SERVICE: Defaults = { memory: Size.mebibytes(256), cpu: Cpu.millis(100) };
const WEB_APP: Defaults = { memory: Size.mebibytes(128), cpu: Cpu.millis(50) };

function client(context: Context, chart: Chart, name: string, service: Service, defaults: Defaults) {
  if (service.kind === 'job') return job(context, chart, name, service);
  return deployment(context, chart, name, service, defaults);
}

/** After all services exist: the owner of a volume may stand below in homelab.ts. */
function mountShared(
  owners: Services,
  to: MicroserviceDeployment | ScheduledJob,
  { sharedVolumes = {} }: Service,
): void {
  for (const [path, { of, volume, readOnly }] of Object.entries(sharedVolumes))
    to.mountVolume(owners.get(of)!, { path, volume, readOnly });
}

function deployment(
  context: Context,
  chart: Chart,
  name: string,
  service: Service,
  defaults: Defaults,
): MicroserviceDeployment {
  const { connects: _, state: __, kind, image, ...options } = service;
  const standIn = kind === 'worker' ? {} : { port: STAND_IN_PORT, metrics: {} };
  const made = new MicroserviceDeployment(chart, name, {
    ...options,
    ...common(context, service, defaults),
    volumes: volumesProp(context.homelab, name, service),
    kind: kind === 'worker' ? kind : undefined,
    ...(image === undefined ? { image: images.standIn, ...standIn } : { image }),
    routes: waysIn(context, service),
  });
  context.pullSecret?.readBy(made, made.namespace);
  return made;
}

function job(context: Context, chart: Chart, name: string, service: Service): ScheduledJob {
  const { connects: _, volumes: __, ...options } = service;
  const made = new ScheduledJob(chart, name, {
    ...options,
    ...common(context, service, SERVICE),
    image: service.image!,
    schedule: service.schedule!,
  });
  context.pullSecret?.readBy(made, made.namespace);
  return made;
}

function common({ homelab, pullSecret }: Context, service: Service, defaults: Defaults) {
  const preferred = homelab.preferredNodes;
  return {
    resources: { memory: service.memory ?? defaults.memory, cpu: service.cpu ?? defaults.cpu },
    placement: preferred && Placement.preferNodesLabelled(preferred.key, preferred.value),
    priorityClassName: PRIORITY.service,
    pullSecrets: pullSecret && [pullSecret.name],
  };
}

function connect(
  context: Context,
  services: ReadonlyMap<string, MicroserviceDeployment>,
  client: Client,
  service: Service,
): void {
  for (const connection of service.connects) {
    const name = { as: connection.as, envPrefix: envPrefixOf(service, connection) };
    byTarget<unknown>(connection, {
      service: (to) => {
        const { service: target, namespace, port } = to;
        const found = isOwn(to) ? ownService(context, namespace!, target) : services.get(target)!;
        client.connectTo<ServiceConnection | undefined>(found, { port, ...name });
      },
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
