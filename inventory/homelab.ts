import type { Duration, Size } from 'cdk8s';
import type { Cpu } from 'cdk8s-plus-28';

/** The homelab as its owner states it. Everything else is derived from it. */
export interface Homelab {
  /** Name of the whole: a DNS label. */
  readonly name: string;
  readonly hosts: Hosts;
  readonly network: NetworkPlan;
  readonly versions: Versions;
  readonly talos: TalosSettings;
  /** Virtual machines by host name. */
  readonly machines: Readonly<Record<string, Machine>>;
  /** What runs on the nodes besides our own charts, so that the sum of requests is the whole sum. */
  readonly system: Readonly<Record<string, SystemWorkload>>;
  /** Databases by name, which is also the name of their namespace. */
  readonly databases: Readonly<Record<string, Database>>;
  readonly llm: Llm;
  readonly ingress: Ingress;
  /** Nodes on which services and web apps run as long as there is room; any other worker after that. */
  readonly preferredNodes: NodeLabel;
  /** Microservices by name. */
  readonly services: Readonly<Record<string, Service>>;
  /** Web apps by name; each is reached from outside. */
  readonly webApps: Readonly<Record<string, WebApp>>;
  readonly git: GitRepository;
  /** A registry that wants a login. @default none: images are public */
  readonly registry?: Registry;
}

export interface Hosts {
  /** Where the owner develops and fine-tunes; nothing of the cluster runs on it. */
  readonly mac: { readonly model: string; readonly memory: Size; readonly address: string };
  readonly proxmox: ProxmoxHost;
}

export interface ProxmoxHost {
  readonly model: string;
  readonly address: string;
  /** Memory that is built in. */
  readonly memory: Size;
  /** What the BIOS takes for the integrated GPU before Linux sees it. */
  readonly igpuCarveOut: Size;
  /** What Proxmox itself needs. */
  readonly reserve: Size;
  readonly disk: Size;
  /** Name of the storage that holds the machines' disks. @default local-lvm */
  readonly storage?: string;
  readonly gpu: string;
  readonly npu: string;
}

export interface NetworkPlan {
  /** The home network, as 192.168.1.0/24. */
  readonly cidr: string;
  readonly gateway: string;
  /** Name servers of the machines. */
  readonly dns: readonly string[];
  /** Every host name of the homelab ends in it. */
  readonly domain: string;
  /** @default ['time.cloudflare.com'], Talos' own default */
  readonly timeServers?: readonly string[];
}

export interface Versions {
  /** Major and minor, as 9.1. */
  readonly proxmox: string;
  /** As v1.13.9. */
  readonly talos: string;
  /** As v1.36.3. */
  readonly kubernetes: string;
  /** As v3.5.1. */
  readonly argoCd: string;
}

/** What Talos is told, and proofs depend on. */
export interface TalosSettings {
  /** Whether Flannel enforces NetworkPolicy (kubeNetworkPoliciesEnabled). Without it every policy is decoration. */
  readonly enforceNetworkPolicies: boolean;
  /** What the kubelet keeps from pods, by role, on top of the 100 MiB at which it starts to evict. */
  readonly kubeletReserve: { readonly controlPlane: Size; readonly worker: Size };
  /** Time the kubelet gives pods when the node shuts down; longer than the longest grace of a pod plus the critical part. */
  readonly shutdownGracePeriod: Duration;
  /** The part of it that is kept for critical pods. */
  readonly shutdownGracePeriodCriticalPods: Duration;
}

export type Machine = TalosMachine | UbuntuMachine;

interface MachineBase {
  /** Proxmox' number, 100 to 999999999. */
  readonly vmid: number;
  /** Static address within the network. */
  readonly address: string;
  /** Fixed, so that the machine config finds its network card: unicast, in lower case; 02:... is nobody else's. */
  readonly mac: string;
  readonly memory: Size;
  readonly cores: number;
  readonly systemDisk: Size;
  /** Place in Proxmox' start order; the lower starts first. */
  readonly startOrder: number;
  /** How long Proxmox waits for a shutdown before it pulls the plug. */
  readonly down: Duration;
}

export interface TalosMachine extends MachineBase {
  readonly kind: 'talos';
  readonly role: 'control-plane' | 'worker';
  /** Node labels that the kubelet sets. @default none */
  readonly labels?: Readonly<Record<string, string>>;
  /** One disk per database replica, by the name of its pod, which is also its serial: 1 to 20 letters, digits and -. @default none */
  readonly dataDisks?: Readonly<Record<string, Size>>;
}

export interface UbuntuMachine extends MachineBase {
  readonly kind: 'ubuntu';
  /** As 24.04. */
  readonly release: string;
  /** Whether the host's GPU is passed through. @default false */
  readonly gpu?: boolean;
}

export interface SystemWorkload {
  /** Which nodes it runs on: `every-node`, `control-plane`, `workers`, or one machine by name. */
  readonly on: string;
  /** Pods on each of those nodes. @default 1 */
  readonly pods?: number;
  /** Requests by container. */
  readonly containers: Readonly<Record<string, { readonly memory: Size; readonly cpu: Cpu }>>;
}

export interface NodeLabel {
  readonly key: string;
  readonly value: string;
}

export type Database = Cassandra | MongoDb;

interface DatabaseBase {
  /** Of each node or member, request and limit in one. */
  readonly memory: Size;
  readonly cpu: Cpu;
  /** The nodes it may run on, by label. */
  readonly nodeLabel: NodeLabel;
  /** `retired` runs no pods but keeps namespace, policies, claims and volumes. @default active */
  readonly state?: 'active' | 'retired';
}

export interface Cassandra extends DatabaseBase {
  readonly kind: 'cassandra';
  /** Can never change. */
  readonly clusterName: string;
  /** Can never change. */
  readonly datacenter: string;
  /** One node each; can never change, a rack becomes a host when the homelab grows. */
  readonly racks: readonly string[];
}

export interface MongoDb extends DatabaseBase {
  readonly kind: 'mongodb';
  /** Can never change. */
  readonly replicaSet: string;
  /** Wanted members of the replica set: 1, 3, 5, 7 or more. */
  readonly members: number;
  /** Running pods; lowered one commit after `members`. @default members */
  readonly pods?: number;
}

export interface Llm {
  /** Name that clients use. */
  readonly service: string;
  /** The machine that it runs on. */
  readonly machine: string;
  readonly port: number;
  /** How the name reaches the machine: by an EndpointSlice, or through a proxy where Argo CD leaves EndpointSlices out. @default endpoint-slice */
  readonly via?: 'endpoint-slice' | 'tcp-proxy';
  /** Models by the name that clients ask for. */
  readonly models: Readonly<Record<string, Model>>;
}

export interface Model {
  /** As Ollama knows it: qwen2.5:14b-instruct-q4_K_M. Exact, never latest. */
  readonly tag: string;
  /** Tokens that a conversation may hold. */
  readonly context: number;
  /** Whether it stays loaded. @default false */
  readonly resident?: boolean;
}

export interface Ingress {
  /** The worker whose address stands in the status of every Ingress. */
  readonly statusMachine: string;
  readonly memory: Size;
  readonly cpu: Cpu;
}

/** What something may talk to; everything else is refused by the network. */
export type Connection =
  | { readonly service: string }
  | { readonly mongodb: string; readonly database: string }
  | { readonly cassandra: string; readonly keyspace: string }
  | { readonly model: string };

export interface Service {
  /** Exact version. @default a public stand-in that answers health checks, so that the cluster comes up before the image exists */
  readonly image?: string;
  /** Port the image listens on. @default 8080; the stand-in has its own */
  readonly port?: number;
  /** Paths of the health checks. @default /healthz and /readyz */
  readonly health?: { readonly live: string; readonly ready: string };
  /** @default 256 MiB; a web app 128 MiB */
  readonly memory?: Size;
  /** @default 100m; a web app 50m */
  readonly cpu?: Cpu;
  /** @default 1 */
  readonly replicas?: number;
  /** Plain environment variables. @default none */
  readonly env?: Readonly<Record<string, string>>;
  readonly connects: readonly Connection[];
}

export interface WebApp extends Service {
  /** First part of its host name; the rest is the network's domain. */
  readonly host: string;
}

export interface GitRepository {
  /** As Argo CD clones it: https://, ssh:// or git@. */
  readonly url: string;
  /** @default main */
  readonly revision?: string;
}

export interface Registry {
  /** As ghcr.io. */
  readonly server: string;
}
