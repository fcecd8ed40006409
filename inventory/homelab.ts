import type { Duration, Size } from 'cdk8s';
import type { Cpu } from 'cdk8s-plus-28';
import type { Backup } from './backup';
import type { Settings } from '../values/database-settings';
import type { MemberOptions } from '../values/members';
import type { MongoRole } from '../values/mongo-roles';

/** The homelab as its owner states it. Everything else is derived from it. */
export interface Homelab {
  /** Name of the whole: a DNS label. */
  readonly name: string;
  /** The hardware: the host of all virtual machines, and the owner's Mac. */
  readonly hosts: Readonly<Record<string, Host>>;
  /** Addresses, name servers and the domain of the home network. */
  readonly network: NetworkPlan;
  /** Of what everything else stands on, from Proxmox to Argo CD. */
  readonly versions: Versions;
  /** Settings of Talos that the rest reckons with. */
  readonly talos: TalosSettings;
  /** Virtual machines by host name. */
  readonly machines: Readonly<Record<string, Machine>>;
  /** What runs on the nodes besides our own charts, so that the sum of requests is the whole sum. */
  readonly system: Readonly<Record<string, SystemWorkload>>;
  /**
   * Databases by name, which is also the name of their namespace. May never change: the claims of another name are new and empty,
   * and the old ones stay behind.
   */
  readonly databases: Readonly<Record<string, Database>>;
  /** Backups of every database that has none of its own. @default none: synth warns */
  readonly backup?: Backup;
  /** The language models, and the machine that they run on. */
  readonly llm?: Llm;
  /** The way in from outside: one controller on every worker. */
  readonly ingress?: Ingress;
  /** Nodes on which services and web apps run as long as there is room; any other worker after that. */
  readonly preferredNodes?: NodeLabel;
  /** Microservices by name. */
  readonly services: Readonly<Record<string, Service>>;
  /** Web apps by name; each is reached from outside. */
  readonly webApps: Readonly<Record<string, WebApp>>;
  /** Where Argo CD reads dist/ from. */
  readonly git: GitRepository;
  /** Who may log in to the machines beside the cluster. The bootstrap needs it where there is one. */
  readonly access?: Access;
  /** A registry that wants a login. @default none: images are public */
  readonly registry?: Registry;
  /**
   * Changes that synth refuses because they put data at risk, and that you let through. Each refusal prints its entry. They
   * render nothing; one that matches no change any more is reported, so that it is removed. @default none
   */
  readonly accept?: readonly AcceptedChange[];
}

/** One change that synth would refuse, let through once, with the reason. */
export interface AcceptedChange {
  /**
   * Thing and aspect, as the refusal names them: `cassandra.racks`. `everything` lets a whole step through, where nothing
   * of what is committed runs yet.
   */
  readonly what: string;
  /** What it was, as the refusal says it. For `everything` the first 7 or more digits of `git rev-parse HEAD:dist`. */
  readonly from: string;
  /** What it becomes, as the refusal says it. Left out for `everything`. */
  readonly to?: string;
  /** The day on which you decided it, as 2026-11-27. */
  readonly on: string;
  /** Why nothing is lost by it, in at least three words. */
  readonly because: string;
}

/** A machine of metal. */
export type Host = MacHost | ProxmoxHost;

/** Where the owner develops and fine-tunes; nothing of the cluster runs on it. */
export interface MacHost {
  /** Tells the kinds of hosts apart. */
  readonly kind: 'mac';
  /** As people call it. */
  readonly model: string;
  /** Unified memory that is built in: what a fine-tuning must fit into. */
  readonly memory: Size;
  /** IPv4 address, from which the AI machine takes models. */
  readonly address: string;
}

/** What the host has, and what it keeps from the virtual machines. */
export interface ProxmoxHost {
  /** Tells the kinds of hosts apart. */
  readonly kind: 'proxmox';
  /** As it was bought: text for people. */
  readonly model: string;
  /** Static IPv4 address within the network. */
  readonly address: string;
  /** Memory that is built in. */
  readonly memory: Size;
  /** What the BIOS takes for the integrated GPU before Linux sees it; Size.gibibytes(0) where it takes nothing. */
  readonly igpuCarveOut: Size;
  /** What Proxmox itself needs. */
  readonly reserve: Size;
  /** What its disk holds in binary units: 2 TB are 1862 GiB. */
  readonly disk: Size;
  /** Name of the storage that holds the machines' disks. @default local-lvm */
  readonly storage?: string;
  /** Name of the storage that holds images and cloud-init files: a folder. @default local */
  readonly files?: string;
  /** Bridge to the home network. @default vmbr0 */
  readonly bridge?: string;
  /** Name of the integrated GPU, for people. A machine with `gpu: true` gets it. */
  readonly gpu: string;
  /**
   * How the GPU is handed over, to be changed where it does not compute: reports differ on what a board needs.
   * docs/bootstrap.md (section 11) has the order to try. Each change is proved again.
   * @default its own firmware for function .0, none for .1, no primary graphics
   */
  readonly gpuPassthrough?: GpuPassthrough;
  /** Name of the NPU, for people. A machine with `npu: true` gets it. */
  readonly npu: string;
}

/** What Proxmox is told about the two functions of a GPU: .0 computes, .1 is its sound. */
export interface GpuPassthrough {
  /** Whether .0 gets the firmware that the BIOS hands over in the ACPI table VFCT. @default true */
  readonly rom?: boolean;
  /**
   * File with a ROM for .1, as `roms/AMDGopDriver.rom` below this folder: the bootstrap copies it to the host. Another ROM needs
   * another name, or it is not proved again. @default none
   */
  readonly audioRom?: string;
  /** Whether .1 is handed over at all: one machine came back from restarts only without it. @default true */
  readonly sound?: boolean;
  /** Whether .0 is the primary graphics of the machine (`x-vga=1`). Its serial console stays. @default false */
  readonly xVga?: boolean;
}

/** The home network, in which every host and machine has its address. */
export interface NetworkPlan {
  /** The home network, as 192.168.1.0/24. */
  readonly cidr: string;
  /** IPv4 address of the router, within `cidr`. */
  readonly gateway: string;
  /** Name servers of the machines. */
  readonly dns: readonly string[];
  /**
   * Every host name of the homelab ends in it: below home.arpa, or a domain that you own. Refused are names that your name
   * server is never asked for: `local` (multicast), `svc` and `cluster.local` (the cluster's own).
   */
  readonly domain: string;
  /**
   * Addresses of pods, a /24 for each node. No other network that nodes or pods must reach may overlap it.
   * May never change once the cluster runs: nodes keep the range that they were given. @default 10.244.0.0/16, Talos' own
   */
  readonly podCidr?: string;
  /**
   * Addresses of Services, /12 to /28. No other network that nodes or pods must reach may overlap it. May never change once
   * the cluster runs: Services keep their addresses. @default 10.96.0.0/12, Talos' own
   */
  readonly serviceCidr?: string;
  /**
   * Names or addresses, the preferred one first; the router may be one of them. Several, because a node that finds none waits at
   * each boot, see `talos.timeSyncBootTimeout`.
   * @default nodes: time.cloudflare.com, 0.pool.ntp.org, 1.pool.ntp.org; other machines: those of their system
   */
  readonly timeServers?: readonly string[];
}

/** Versions of what everything else stands on; an upgrade starts with a change here. */
export interface Versions {
  /** Major and minor, as 9.2. */
  readonly proxmox: string;
  /** As v1.13.9. */
  readonly talos: string;
  /**
   * Linux kernel of that version of Talos, as 6.18.44: "Linux:" in its release notes. Needed only for a Talos that is newer than
   * this repository knows: MongoDB 8 stops on the kernels 6.19 to 7.0.13. @default known for Talos 1.9 to 1.14
   */
  readonly linux?: string;
  /** As v1.36.3. */
  readonly kubernetes: string;
  /** As v3.5.1. */
  readonly argoCd: string;
}

/** What Talos is told, and proofs depend on. */
export interface TalosSettings {
  /** Whether Flannel enforces NetworkPolicy (kubeNetworkPoliciesEnabled). Without it every policy is decoration. */
  readonly enforceNetworkPolicies: boolean;
  /** Whether pods of ours run on control planes too (allowSchedulingOnControlPlanes), as on a single machine. @default false */
  readonly scheduleOnControlPlanes?: boolean;
  /** What the kubelet keeps from pods, by role, on top of the 100 MiB at which it starts to evict. */
  readonly kubeletReserve: { readonly controlPlane: Size; readonly worker: Size };
  /** Time the kubelet gives pods when the node shuts down; longer than the longest grace of a pod plus the critical part. */
  readonly shutdownGracePeriod: Duration;
  /** The part of it that is kept for critical pods. */
  readonly shutdownGracePeriodCriticalPods: Duration;
  /**
   * Longest that a boot waits for a time server. Without a limit Talos waits until one answers, and etcd, the kubelet and with
   * it every database wait too: a power cut that takes the internet along would keep all of them down. @default 2 minutes
   */
  readonly timeSyncBootTimeout?: Duration;
  /** Official system extensions in the image, as siderolabs/amd-ucode. @default none */
  readonly extensions?: readonly string[];
}

/** A virtual machine on the Proxmox host: a node of the cluster, or a machine beside it. */
export type Machine = TalosMachine | UbuntuMachine;

interface MachineBase {
  /** The Proxmox host that it runs on. @default the only one */
  readonly host?: string;
  /** Proxmox' number, 100 to 999999999. */
  readonly vmid: number;
  /** Static address within the network. */
  readonly address: string;
  /** Fixed, so that the machine config finds its network card: unicast, in lower case; 02:... is nobody else's. */
  readonly mac: string;
  /** What it is given of the host's memory. */
  readonly memory: Size;
  /** Virtual cores, 1 to 128. */
  readonly cores: number;
  /** Disk of the operating system; data disks come on top. */
  readonly systemDisk: Size;
  /** Place in Proxmox' start order; the lower starts first. */
  readonly startOrder: number;
  /** How long Proxmox waits for a shutdown before it pulls the plug. */
  readonly down: Duration;
}

/** A node of the Kubernetes cluster. Its name in `machines` is the node's. */
export interface TalosMachine extends MachineBase {
  /** Tells a node from a machine beside the cluster. */
  readonly kind: 'talos';
  /** `control-plane` for the one machine that runs the Kubernetes API, `worker` for those that run the rest. */
  readonly role: 'control-plane' | 'worker';
  /** Node labels that the kubelet sets. @default none */
  readonly labels?: Readonly<Record<string, string>>;
  /** One disk per database replica, by the name of its pod, which is also its serial: 1 to 20 letters, digits and -. @default none */
  readonly dataDisks?: Readonly<Record<string, Size>>;
}

/** A machine beside the cluster, such as the one that runs the models. */
export interface UbuntuMachine extends MachineBase {
  /** Tells a machine beside the cluster from a node. */
  readonly kind: 'ubuntu';
  /** As 24.04. */
  readonly release: string;
  /** Whether the host's GPU is passed through. @default false */
  readonly gpu?: boolean;
  /** Whether the host's NPU is passed through. @default false */
  readonly npu?: boolean;
}

/** Pods that others install. It renders nothing: the budget counts what they request. */
export interface SystemWorkload {
  /**
   * Which nodes it runs on: `every-node`, `control-plane`, `workers`, or one machine by name; `any-node` where the scheduler
   * chooses among all nodes, control planes included: the budget then keeps room for all of its pods on each of them.
   */
  readonly on: string;
  /** Pods on each of those nodes; with `any-node` all of its pods together. @default 1 */
  readonly pods?: number;
  /** Requests by container. */
  readonly containers: Readonly<Record<string, { readonly memory: Size; readonly cpu: Cpu }>>;
}

/** A label of nodes; at least one Talos machine must carry it. */
export interface NodeLabel {
  /** As storage-type. Refused below kubernetes.io and k8s.io, where a node may not label itself (NodeRestriction). */
  readonly key: string;
  /** As cassandra: at most 63 letters, digits, -, _ and . */
  readonly value: string;
}

/** A database. Each has a namespace, a folder of dist/ and an Argo CD application of its own. */
export type Database = Cassandra | MongoDb;

interface DatabaseBase {
  /** Of each node or member, request and limit in one. */
  readonly memory: Size;
  /** Cores that each node or member is promised. */
  readonly cpu: Cpu;
  /** The nodes it may run on, by label. */
  readonly nodeLabel: NodeLabel;
  /**
   * Exact version of the official image, as 5.0.8 or 8.0.26. One major version at a time, never back: `npm run homelab -- plan`
   * says the way. @default that of constructs/images.ts
   */
  readonly version?: string;
  /** A container in each pod that reports metrics. @default none */
  readonly exporter?: DatabaseExporter;
  /** Its own backups, or false for none: where what it holds can be made again. @default `backup` of the homelab */
  readonly backup?: Backup | false;
  /** `retired` runs no pods but keeps namespace, policies, claims and volumes. @default active */
  readonly state?: 'active' | 'retired';
}

/** Metrics of a database, by a program of your choice that runs beside it and reaches it by loopback. */
export interface DatabaseExporter {
  /** Exact version: a tag other than latest, or a digest. */
  readonly image: string;
  /** Port on which /metrics is read. */
  readonly port: number;
  /** Of its container in each pod, on top of the database's own; request and limit in one. */
  readonly memory: Size;
  /** Cores that its container is promised. */
  readonly cpu: Cpu;
  /** @default the image's */
  readonly args?: readonly string[];
  /** Environment variables. Nothing secret: dist/ is in Git. @default none */
  readonly env?: Readonly<Record<string, string>>;
  /** The pods that may read the metrics, by their namespace and labels, such as Prometheus'. @default none: nobody outside of the pod */
  readonly scrapedBy?: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
}

/** A Cassandra ring. It needs a data disk for each node: NAME-RACK-0 for each rack, then NAME-RACK-1 and so on. */
export interface Cassandra extends DatabaseBase {
  /** Tells a ring from a MongoDB replica set. */
  readonly kind: 'cassandra';
  /** May never change: nodes keep it on their disks, and refuse to start under another one. */
  readonly clusterName: string;
  /** May never change: nodes refuse to start in another one, and copies of keyspaces are counted by it. */
  readonly datacenter: string;
  /**
   * May never change, neither names nor number: a node keeps its rack, and copies are placed by it. A rack becomes a host when
   * the homelab grows; for more nodes raise `nodesPerRack`.
   */
  readonly racks: readonly string[];
  /**
   * Running pods of each rack. May be raised later: the ring grows node by node, and keyspaces get the copies that then have a
   * node. May never be lowered while the pods that leave are members: lower `membersPerRack` one commit before. @default 1
   */
  readonly nodesPerRack?: number;
  /**
   * Wanted nodes of each rack. Where it is less than `nodesPerRack`, the last pods of each rack leave the ring one at a time, and
   * their rows go to the nodes that stay. @default nodesPerRack
   */
  readonly membersPerRack?: number;
  /**
   * How old the last repair of a keyspace may become before a node repairs its part again: 1 hour to 5 days. A table with
   * gc_grace_seconds below 10 days needs half of those. @default 5 days
   */
  readonly repairEvery?: Duration;
  /** Java heap of each node. @default min(memory / 2, (memory - 1 GiB) / 1.25) */
  readonly heap?: Size;
  /**
   * Further settings of cassandra.yaml, as { compaction_throughput: '32MiB/s' }. Those that hold a promise are refused, with what
   * to set instead; a node refuses to start with one that Cassandra does not know. @default none
   */
  readonly config?: Settings;
  /**
   * Keyspaces that no service connects to, or that shall have another number of copies than min(3, nodes). A keyspace is never
   * dropped. @default none
   */
  readonly keyspaces?: Readonly<Record<string, { readonly copies?: number }>>;
}

/** A MongoDB replica set. It needs a data disk for each pod: NAME-0, NAME-1 and so on. */
export interface MongoDb extends DatabaseBase {
  /** Tells a replica set from a Cassandra ring. */
  readonly kind: 'mongodb';
  /** May never change: members keep it on their disks, and belong to no set under another one. */
  readonly replicaSet: string;
  /** Wanted members of the replica set: 1, 3, 5, 7 or more; delayed ones do not vote and come on top. */
  readonly members: number;
  /** Running pods; lowered one commit after `members`. @default members */
  readonly pods?: number;
  /**
   * Members that clients do not see (`hidden`), or that follow later (`delay`), by their ordinal, as { 3: { delay:
   * Duration.hours(1) } } with 4 members. Never ordinal 0. A change restarts no member. @default all are plain
   */
  readonly memberOptions?: Readonly<Record<number, MemberOptions>>;
  /**
   * Major and minor version, as 8.0, whose form of data the set may write: that of `version`, or of the major version before.
   * Raised once every member runs it, and never lowered: in a commit of its own, some days after `version`, with an accepted
   * change. @default as the set has it; a new set has that of its version
   */
  readonly featureCompatibilityVersion?: string;
  /**
   * Further settings as mongod.conf has them, as { operationProfiling: { slowOpThresholdMs: 200 } }. Those that hold a promise
   * are refused, with what to set instead; a member refuses to start with one that mongod does not know. @default none
   */
  readonly config?: Settings;
}

/** Language models outside the cluster, under one name inside it. */
export interface Llm {
  /** Name that clients use. */
  readonly service: string;
  /** The machine that it runs on. */
  readonly machine: string;
  /** Port on that machine, and the one that clients use. Ollama's own is 11434. */
  readonly port: number;
  /** How the name reaches the machine: by an EndpointSlice, or through a proxy where Argo CD leaves EndpointSlices out. @default endpoint-slice */
  readonly via?: 'endpoint-slice' | 'tcp-proxy';
  /** Version of Ollama on that machine. @default v0.32.15 */
  readonly version?: string;
  /** Models by the name that clients ask for. */
  readonly models: Readonly<Record<string, Model>>;
}

/** A model that services and web apps may connect to. */
export interface Model {
  /** As Ollama knows it: qwen2.5:14b-instruct-q4_K_M. Exact, never latest. */
  readonly tag: string;
  /**
   * Digest of its manifest: `sha256:` and its 64 digits, which `curl http://MACHINE:11434/api/tags` shows (`ollama list` shows
   * 12 of them). @default that of the first pull, kept in scripts/digests.json
   */
  readonly digest?: string;
  /** Tokens that a conversation may hold. */
  readonly context: number;
  /** Whether it stays loaded. @default false */
  readonly resident?: boolean;
}

/** The ingress controller on every worker. */
export interface Ingress {
  /** The worker whose address stands in the status of every Ingress. */
  readonly statusMachine: string;
  /** Of its pod on each worker, request and limit in one. */
  readonly memory: Size;
  /** Cores that its pod on each worker is promised. */
  readonly cpu: Cpu;
}

/** What something may talk to; everything else is refused by the network. */
export type Connection = (
  | { readonly service: string }
  /**
   * `user` is who it logs in as. @default its own name, which no other client of that database may have. With `access: 'read'` it
   * may only read. @default readWrite
   */
  | {
      readonly mongodb: string;
      readonly database: string;
      readonly user?: string;
      readonly access?: MongoRole | readonly MongoRole[];
    }
  /** `role` is who it logs in as. @default its own name, which no other client of that ring may have */
  | {
      readonly cassandra: string;
      readonly keyspace: string;
      readonly role?: string;
      /** `read` may only SELECT. @default readWrite */
      readonly access?: 'read' | 'readWrite';
    }
  | { readonly model: string }
) & {
  /** What its environment variables start with. @default the name of the service, MONGODB, CASSANDRA, LLM or LLM_NAME */
  readonly envPrefix?: string;
};

/** A microservice. Only what it connects to must be said, even if that is nothing. */
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
  /** Pods, 1 to 50. @default 1 */
  readonly replicas?: number;
  /**
   * Environment variables. `$(NAME)` stands for another one of the service, those of its connections included; all other
   * text, empty text too, arrives as it is written. Nothing secret: dist/ is in Git. @default none
   */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * What it may reach, each target once; its environment says where that is. Variables of the first model start with LLM,
   * those of a further one with LLM_NAME, so that a second changes nothing for the first.
   */
  readonly connects: readonly Connection[];
}

/** A service with a way in from outside, at https://HOST.DOMAIN. */
export interface WebApp extends Service {
  /** First part of its host name; the rest is the network's domain. */
  readonly host: string;
}

/** The repository that holds dist/. */
export interface GitRepository {
  /**
   * As Argo CD clones it: https://HOST[:PORT]/PATH, ssh://USER@HOST[:PORT]/PATH or USER@HOST:PATH (port 22). The policy of Argo
   * CD opens this port and no other, so a server in the LAN works as one on the internet does.
   */
  readonly url: string;
  /**
   * Certificate of an authority of your own (PEM), by which the server's certificate is signed: Argo CD and the bootstrap then
   * believe this authority alone for that server. @default those that everybody believes
   */
  readonly ca?: string;
  /** @default main */
  readonly revision?: string;
}

/** A registry of private images. Its login is a secret that the owner is asked for. */
export interface Registry {
  /** As images name it: ghcr.io, or registry.home.arpa:5000 where it listens elsewhere than on 443. It must speak TLS. */
  readonly server: string;
  /**
   * Certificate of an authority of your own (PEM), by which the server's certificate is signed: nodes then believe it besides
   * those that everybody believes. @default none
   */
  readonly ca?: string;
}

/** Logging in over SSH. */
export interface Access {
  /** Public keys, as ssh-ed25519 AAAA... owner@mac. */
  readonly sshKeys: readonly string[];
  /** Addresses from which a login is let through. @default those of every Mac in `hosts` */
  readonly from?: readonly string[];
}
