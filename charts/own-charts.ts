import { ApiObject, Chart } from 'cdk8s';
import {
  clusterScoped,
  isClusterScoped,
  MicroserviceDeployment,
  POD_KINDS,
  RENDERED_KINDS,
  RenderedService,
  type CassandraStatefulSet,
  type ExternalLlmService,
  type MongoReplicaSet,
  type PodSecurityLevel,
  type TraefikIngress,
} from '../constructs';
import { reservedNames, type Homelab } from '../inventory';
import { suggested } from '../values/nearest';
import { dnsLabelProblem } from '../values/names';
import { sentence, type Problem } from '../values/problem';
import { folder, PRIORITY, type Context } from './context';
import type { Services } from './services';

/**
 * A chart of your own. Gets a namespace with policies, limits and a quota, a folder of dist/ and an Argo CD Application, all of
 * its name. The Application is synced after those of the databases. All checks hold for its objects.
 */
export interface OwnChart {
  /** Name of its namespace, folder and Application: a DNS label that no other part of the homelab has. */
  readonly name: string;
  /** Makes its objects. An object without a namespace gets that of the chart. */
  readonly make: (chart: Chart, parts: HomelabParts) => void;
  /** What the API server enforces for its pods. @default restricted */
  readonly podSecurity?: PodSecurityLevel;
  /** Reason for another level than restricted, written as an annotation of the namespace. */
  readonly podSecurityReason?: string;
  /**
   * Cluster-scoped kinds that it renders, such as `ClusterRole`. They act on the whole cluster, so each must be named.
   * @default none
   */
  readonly clusterScoped?: readonly string[];
  /** Whether the ingress controller serves its Ingresses; it may then read the Secrets of the namespace. @default false */
  readonly ingress?: boolean;
  /** Whether it holds data: Argo CD then never deletes its Application, its namespace and the quota. @default false */
  readonly keep?: boolean;
}

/** The parts of a homelab that a chart of your own can connect to. */
export interface HomelabParts {
  /** The data of homelab.ts. */
  readonly homelab: Homelab;
  /** A service or web app. @throws when there is none of that name */
  service(name: string): MicroserviceDeployment;
  /** An active MongoDB. @throws when there is none of that name */
  mongodb(name: string): MongoReplicaSet;
  /** An active Cassandra. @throws when there is none of that name */
  cassandra(name: string): CassandraStatefulSet;
  /** The service of the models. @throws when the homelab has none */
  llm(): ExternalLlmService;
  /** The ingress controller, for the routes of a chart with `ingress: true`. @throws when the homelab has none */
  ingress(): TraefikIngress;
  /** Priority class of services: they give way to databases. */
  readonly priorityClassName: string;
  /** Names of the pull secrets of the private registry; empty when the homelab has none. */
  readonly pullSecrets: readonly string[];
}

/** Makes the charts of the owner. @throws when a chart cannot be deployed as it is written */
export function ownCharts(context: Context, services: Services): void {
  const taken = new Map(reservedNames(context.homelab).map((name) => [name, 'the homelab']));
  context.own.forEach((own, index) => {
    const place = `charts[${index}]`;
    const problem = dnsLabelProblem(own.name, `${place}.name`);
    if (problem !== undefined) throw new Error(problem);
    const other = taken.get(own.name);
    if (other !== undefined)
      fail({
        what: `${place}.name must be the name of no other folder, namespace or application`,
        got: `${own.name}, which ${other} uses`,
        fix: 'give the chart another name',
      });
    taken.set(own.name, place);
    const chart = folder(context.app, own.name, own.name);
    own.make(chart, partsOf(context, services));
    validate(chart, own);
  });
}

function partsOf(context: Context, services: Services): HomelabParts {
  const { homelab, cassandra, mongodb, llm, ingress, pullSecret } = context;
  return {
    homelab,
    service: (name) => found('service or web app', name, services),
    mongodb: (name) => found('MongoDB', name, mongodb),
    cassandra: (name) => found('Cassandra', name, cassandra),
    llm: () => llm ?? absent('llm'),
    ingress: () => ingress ?? absent('ingress'),
    priorityClassName: PRIORITY.service,
    pullSecrets: pullSecret === undefined ? [] : [pullSecret.name],
  };
}

/** A Service of a chart of the owner, as the target of `{ service, namespace }`. @throws when there is none */
export function ownService({ app, own }: Context, namespace: string, name: string) {
  const names = own.map((each) => each.name);
  if (!names.includes(namespace))
    fail({
      what: 'the namespace of a connection to a service must be that of a chart of your own',
      got: namespace,
      allowed: names.join(', ') || 'none exists',
      fix: 'add the chart to own-charts/index.ts, or leave `namespace` out for a service of homelab.ts',
    });
  const chart = app.node.findChild(namespace) as Chart;
  const made = chart.node
    .findAll()
    .find((each): each is MicroserviceDeployment => each instanceof MicroserviceDeployment && each.name === name);
  return made ?? RenderedService.of(chart, name);
}

function found<T>(what: string, name: string, all: ReadonlyMap<string, T>): T {
  const part = all.get(name);
  if (part !== undefined) return part;
  const names = [...all.keys()];
  return fail({
    what: `a chart of your own must name a ${what} of homelab.ts`,
    got: name,
    allowed: names.join(', ') || 'none exists',
    fix: suggested(name, names, 'add it to homelab.ts'),
  });
}

function absent(field: string): never {
  return fail({ what: `a chart of your own needs ${field} of homelab.ts`, got: undefined, fix: `add ${field}` });
}

/** Refuses what Argo CD would not deploy, or would deploy with power over the whole cluster without a word about it. */
function validate(chart: Chart, { name, clusterScoped: named = [] }: OwnChart): void {
  const objects = chart.node.findAll().filter(ApiObject.isApiObject);
  if (objects.length === 0)
    fail({
      what: `the chart ${name} must render an object`,
      got: 'no object',
      fix: 'make its objects in `make`, with the chart as their scope, or remove the chart: Argo CD fails on a folder that does not exist',
    });
  const namespaced = named.find((kind) => NAMESPACED.has(kind));
  if (namespaced !== undefined)
    fail({
      what: `clusterScoped of the chart ${name} must name kinds without a namespace`,
      got: namespaced,
      fix: 'remove it: each chart may render namespaced kinds',
    });
  const unused = named.find((kind) => !objects.some((object) => object.kind === kind));
  if (unused !== undefined)
    fail({
      what: `clusterScoped of the chart ${name} must name kinds that it renders`,
      got: unused,
      allowed: [...new Set(objects.map(({ kind }) => kind))].sort().join(', '),
      fix: 'remove it',
    });
  for (const object of objects) {
    if (named.includes(object.kind)) clusterScoped(object);
    else if (isClusterScoped(object.kind))
      fail({
        what: `${object.node.path}: the chart ${name} must name the cluster-scoped kinds that it renders`,
        got: `${object.kind} ${object.name}`,
        allowed: named.join(', ') || 'none',
        fix: `add clusterScoped: ['${object.kind}'] to the chart if it may act on the whole cluster, or leave the object out`,
      });
  }
}

const NAMESPACED: ReadonlySet<string> = new Set([
  ...POD_KINDS,
  ...RENDERED_KINDS.map(({ kind }) => kind).filter((kind) => !isClusterScoped(kind)),
]);

/** Wave of a chart of the owner: with the services, or one earlier if it defines kinds that other charts may use. */
export function ownWave({ app, own }: Context, name: string): number | undefined {
  if (!own.some((each) => each.name === name)) return undefined;
  const objects = app.node.findChild(name).node.findAll().filter(ApiObject.isApiObject);
  return objects.some(({ kind }) => kind === 'CustomResourceDefinition') ? DEFINITIONS_WAVE : OWN_WAVE;
}

const OWN_WAVE = 2;
const DEFINITIONS_WAVE = 1;

function fail(problem: Problem): never {
  throw new Error(sentence(problem));
}
