import type { Duration } from 'cdk8s';
import { beforeRolloutProblem, type BeforeRollout } from './before-rollout';
import { argsProblem, commandProblem, userProblem } from './processes';
import { seconds, wordOf, type Fields, type Validator } from './fields';
import { containersProblem, type ExtraContainers } from './containers';
import { portProblem } from './names';
import {
  allowProblem,
  capabilitiesProblem,
  devicesProblem,
  onProblem,
  type Allow,
  type Capabilities,
  type Devices,
  type On,
} from './privileges';
import { portsProblem, type Ports } from './ports';
import { probesProblem, type Probes } from './probes';
import { autoscalingProblem, replicasProblem, type Autoscaling } from './scale';
import { SCHEDULE_FIELDS, type ScheduleOptions } from './schedule';
import { togetherProblems, type ServiceKind } from './service-kinds';
import { mountedFilesProblem, type MountedFiles } from './mounted-files';
import { secretsProblem, type Secrets } from './secret';
import { scratchProblem, volumesProblem, type Scratch, type VolumeMounts } from './volumes';

/** What homelab.ts and MicroserviceDeployment can both say of a service, with the same names and defaults. */
export interface ServiceOptions {
  /** A server answers on a port, a worker has none, a job runs by a schedule. @default server */
  readonly kind?: ServiceKind;
  /** One HTTP port named http, of the container and of its Service. @default 8080; the stand-in of homelab.ts has its own */
  readonly port?: number;
  /** Several ports by name, instead of `port`. The first is the default of connections, routes and probes. @default `port` */
  readonly ports?: Ports;
  /**
   * How the kubelet checks the container. @default by the first port: Probes.http() (/healthz, /readyz), .grpc() or .tcp(), with a
   * minute to start; none for a worker
   */
  readonly probes?: Probes;
  /** Number of pods, 1 to 50. From 2 on a PodDisruptionBudget is rendered. @default 1 */
  readonly replicas?: number;
  /** Autoscaling instead of a fixed number of pods. The manifest then has no `replicas`, which each sync would reset. @default none */
  readonly autoscaling?: Autoscaling;
  /**
   * Folders that outlive the pods, by name. The service then has one pod, which stops before its successor starts, or with
   * `perReplica` a StatefulSet whose pods each have a volume of their own. @default none: files of the service end with their pod
   */
  readonly volumes?: VolumeMounts;
  /**
   * Empty writable folders by path, with their largest size; a pod whose folder is larger is evicted. They end with the pod. In
   * memory with { memory: SIZE }, which counts as memory of the service. The sizes are limits: nothing is reserved on the
   * node's disk. @default /tmp with 64 MiB, which is always there
   */
  readonly scratch?: Scratch;
  /** Command instead of the entrypoint of the image; no shell splits it. `$(NAME)` is an environment variable. @default the image's */
  readonly command?: readonly string[];
  /** Arguments of the command, or of the image's entrypoint. @default the image's */
  readonly args?: readonly string[];
  /** Numeric user and group of the process. @default 10001: above 10000, so that no user of the node has the same number */
  readonly user?: number;
  /** Containers that run to their end, one after the other, before the service starts. @default none */
  readonly initContainers?: ExtraContainers;
  /** Containers that run beside the service, and end after it (native sidecars). @default none */
  readonly sidecars?: ExtraContainers;
  /** Lets an image of others do by name what the defaults forbid: run as root, write to its root. @default nothing */
  readonly allow?: Allow;
  /** Linux capabilities with the reason for each; needs `allow.root`. Ports below 1024 need none. @default none */
  readonly capabilities?: Capabilities;
  /** Devices of a plugin, such as GPUs, by resource name. @default none */
  readonly devices?: Devices;
  /** Nodes that it requires: a machine by name, or a label. The pods stay Pending while no such node has room. @default any node */
  readonly on?: On;
  /** A job that must succeed before new pods start, such as migrations; see BeforeRollout. @default none */
  readonly beforeRollout?: BeforeRollout;
  /**
   * Time between leaving the Service and SIGTERM, in which the server goes on to answer: kube-proxy and the ingress learn of a
   * leaving pod later than the kubelet, and would send requests to a closed port. Shorter than `terminationGracePeriod`; zero for
   * none. Needs Kubernetes 1.30; write zero for an older one. @default 5 s: the watches that carry the change take well below a
   * second each, and a busy node a few
   */
  readonly drain?: Duration;
  /** Time for a pod to end, `drain` included; then SIGKILL. 1 second to 1 day. @default 30 s */
  readonly terminationGracePeriod?: Duration;
  /**
   * Secrets by the name of the variable that holds the value. The bootstrap generates the value or asks for it; it never stands in
   * dist/. @default none
   */
  readonly secrets?: Secrets;
  /**
   * Files by absolute path, read-only: text, or a Uint8Array such as what readFileSync gives. At most 1 MiB together (the limit of a
   * ConfigMap). Other files of their folders stay. A change replaces the pods. Must contain no secret. @default none
   */
  readonly files?: MountedFiles;
}

/** What is wrong with each field, in homelab.ts and in a construct alike. `togetherProblems` validates what depends on two. */
export const SERVICE_FIELDS: Fields<ServiceOptions> = {
  kind: wordOf('server', 'worker', 'job'),
  port: portProblem,
  ports: portsProblem,
  probes: probesProblem,
  replicas: replicasProblem,
  autoscaling: autoscalingProblem,
  volumes: volumesProblem,
  scratch: scratchProblem,
  command: commandProblem,
  args: argsProblem,
  user: userProblem,
  initContainers: containersProblem,
  sidecars: containersProblem,
  allow: allowProblem,
  capabilities: capabilitiesProblem,
  devices: devicesProblem,
  on: onProblem,
  beforeRollout: beforeRolloutProblem,
  drain: seconds(0, 3600, 'Duration.seconds(10)'),
  terminationGracePeriod: seconds(1, 86_400, 'Duration.seconds(60)'),
  secrets: secretsProblem,
  files: mountedFilesProblem,
};

/** What is wrong with the options of a construct, as sentences. */
export function optionProblems(options: ServiceOptions & ScheduleOptions): string[] {
  const validators = Object.entries<Validator>({ ...SERVICE_FIELDS, ...SCHEDULE_FIELDS });
  const fields = validators.flatMap(([field, validate]) => {
    const value = options[field as keyof typeof options];
    const problem = value === undefined ? undefined : validate(value, field);
    return problem === undefined ? [] : [problem];
  });
  return fields.length > 0 ? fields : togetherProblems(options, (field) => field);
}
