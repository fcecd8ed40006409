import type { Duration, Size } from 'cdk8s';
import type { Cpu } from 'cdk8s-plus-28';
import type { Secret } from '../values/secret';
import type { Backup } from './backup';
import type { Database } from './databases';
import type { LlmGateway } from './llm-gateway';
import type { KvCacheType, Model } from './models';
import type { Service, WebApp } from './services';

/** The homelab as its owner describes it. Everything else is derived from it. */
export interface Homelab {
  /** Name of the homelab: a DNS label. */
  readonly name: string;
  /** The hardware: the host of all virtual machines, and the owner's Mac. */
  readonly hosts: Readonly<Record<string, Host>>;
  /** Addresses, name servers and the domain of the home network. */
  readonly network: NetworkPlan;
  /** Versions of the platform, from Proxmox to Argo CD. */
  readonly versions: Versions;
  /** Settings of Talos that other parts depend on. */
  readonly talos: TalosSettings;
  /** Virtual machines by host name. */
  readonly machines: Readonly<Record<string, Machine>>;
  /** Pods on the nodes that our charts do not render, so that the sum of requests is complete. */
  readonly system: Readonly<Record<string, SystemWorkload>>;
  /**
   * Databases by name, which is also the name of their namespace. May never change: under another name the claims are new and
   * empty, and the old ones stay unused.
   */
  readonly databases: Readonly<Record<string, Database>>;
  /** Backups of every database without its own `backup`. @default none: synth warns */
  readonly backup?: Backup;
  /** The language models, and the machine that they run on. */
  readonly llm?: Llm;
  /** Ingress from outside the cluster: one controller on every worker. */
  readonly ingress?: Ingress;
  /** Nodes that services and web apps prefer. They run on other workers when these are full. */
  readonly preferredNodes?: NodeLabel;
  /** Microservices by name. */
  readonly services: Readonly<Record<string, Service>>;
  /** Web apps by name; each has a host name outside the cluster. */
  readonly webApps: Readonly<Record<string, WebApp>>;
  /** Secrets that several services use, each by `Secret.shared(NAME)`. @default none */
  readonly secrets?: Readonly<Record<string, Secret>>;
  /** The repository from which Argo CD reads dist/. */
  readonly git: GitRepository;
  /** SSH access to the machines beside the cluster. The bootstrap requires it when there is such a machine. */
  readonly access?: Access;
  /** A registry that requires a login. @default none: images are public */
  readonly registry?: Registry;
  /**
   * Changes that you accept although synth refuses them because they put data at risk. Each error prints its entry. Entries
   * render nothing; synth reports an entry that matches no change, so that you remove it. @default none
   */
  readonly accept?: readonly AcceptedChange[];
}

/** One change that synth would refuse and that you accept, with the reason. */
export interface AcceptedChange {
  /**
   * Object and aspect, as the error names them: `cassandra.racks`. `everything` accepts all changes of a commit, for a homelab
   * that does not run yet.
   */
  readonly what: string;
  /** Old value, as in the error. For `everything` the first 7 or more digits of `git rev-parse HEAD:dist`. */
  readonly from: string;
  /** New value, as in the error. Left out for `everything`. */
  readonly to?: string;
  /** Day of the decision, such as 2026-11-27. */
  readonly on: string;
  /** Reason why no data is lost, in at least three words. */
  readonly because: string;
}

/** A physical machine. */
export type Host = MacHost | ProxmoxHost;

/** The machine on which the owner develops and fine-tunes; nothing of the cluster runs on it. */
export interface MacHost {
  /** Discriminates the kinds of hosts. */
  readonly kind: 'mac';
  /** Product name, for people. */
  readonly model: string;
  /** Installed unified memory: a fine-tuning run must fit into it. */
  readonly memory: Size;
  /** IPv4 address, from which the AI machine takes models. */
  readonly address: string;
}

/** Resources of the host, and what it reserves from the virtual machines. */
export interface ProxmoxHost {
  /** Discriminates the kinds of hosts. */
  readonly kind: 'proxmox';
  /** Product name, for people. */
  readonly model: string;
  /** Static IPv4 address within the network. */
  readonly address: string;
  /** Installed memory. */
  readonly memory: Size;
  /** Memory that the BIOS reserves for the integrated GPU, invisible to Linux; Size.gibibytes(0) if none. */
  readonly igpuCarveOut: Size;
  /** Memory that Proxmox itself needs. */
  readonly reserve: Size;
  /** Size of the disk in binary units: 2 TB are 1862 GiB. */
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
   * Options of GPU passthrough. Change them when the GPU does not compute: boards differ in what they need.
   * docs/bootstrap.md (section 11) lists the order to try. The bootstrap tests the GPU again after each change.
   * @default the host's firmware for function .0, none for .1, not the primary graphics
   */
  readonly gpuPassthrough?: GpuPassthrough;
  /** Name of the NPU, for people. A machine with `npu: true` gets it. */
  readonly npu: string;
}

/** Proxmox settings of the two PCI functions of a GPU: .0 computes, .1 is its sound. */
export interface GpuPassthrough {
  /** Whether .0 gets the firmware from the BIOS' ACPI table VFCT. @default true */
  readonly rom?: boolean;
  /**
   * ROM file for .1 below this folder, such as `roms/AMDGopDriver.rom`: the bootstrap copies it to the host. Give another ROM
   * another name, so that the bootstrap tests the GPU again. @default none
   */
  readonly audioRom?: string;
  /** Whether .1 is passed through: one reported machine survived restarts only without it. @default true */
  readonly sound?: boolean;
  /** Whether .0 is the primary graphics of the machine (`x-vga=1`). Its serial console stays. @default false */
  readonly xVga?: boolean;
}

/** The home network, which contains the addresses of every host and machine. */
export interface NetworkPlan {
  /** The home network, such as 192.168.1.0/24. */
  readonly cidr: string;
  /** IPv4 address of the router, within `cidr`. */
  readonly gateway: string;
  /** Name servers of the machines. */
  readonly dns: readonly string[];
  /**
   * Domain of all host names of the homelab: one below home.arpa, or a domain that you own. Domains for which your name server is
   * never asked are refused: `local` (multicast), `svc` and `cluster.local` (the cluster's own).
   */
  readonly domain: string;
  /**
   * Addresses of pods, a /24 for each node. No other network that nodes or pods must reach may overlap it.
   * May never change once the cluster runs: nodes keep their assigned range. @default 10.244.0.0/16, that of Talos
   */
  readonly podCidr?: string;
  /**
   * Addresses of Services, /12 to /28. No other network that nodes or pods must reach may overlap it. May never change once
   * the cluster runs: Services keep their addresses. @default 10.96.0.0/12, that of Talos
   */
  readonly serviceCidr?: string;
  /**
   * Time servers by name or address, the preferred one first; the router can be one of them. Give several, because a node that
   * reaches none waits at each boot, see `talos.timeSyncBootTimeout`.
   * @default nodes: time.cloudflare.com, 0.pool.ntp.org, 1.pool.ntp.org; other machines: those of their system
   */
  readonly timeServers?: readonly string[];
}

/** Versions of the platform; an upgrade starts with a change here. */
export interface Versions {
  /** Major and minor version, such as 9.2. */
  readonly proxmox: string;
  /** Exact version, such as v1.13.9. */
  readonly talos: string;
  /**
   * Linux kernel of that version of Talos, such as 6.18.44: see "Linux:" in its release notes. Needed only for a Talos that is
   * newer than this repository: MongoDB 8 refuses to start on kernels 6.19 to 7.0.13. @default known for Talos 1.9 to 1.14
   */
  readonly linux?: string;
  /** Exact version, such as v1.36.3. */
  readonly kubernetes: string;
  /** Exact version, such as v3.5.1. */
  readonly argoCd: string;
}

/** Settings of Talos. The checks of synth depend on them. */
export interface TalosSettings {
  /** Whether Flannel enforces NetworkPolicy (kubeNetworkPoliciesEnabled). Without it policies have no effect. */
  readonly enforceNetworkPolicies: boolean;
  /** Whether our pods also run on control planes (allowSchedulingOnControlPlanes), as on a single machine. @default false */
  readonly scheduleOnControlPlanes?: boolean;
  /** Memory that the kubelet reserves from pods, by role, on top of the eviction threshold of 100 MiB. */
  readonly kubeletReserve: { readonly controlPlane: Size; readonly worker: Size };
  /** Time for pods to stop when the node shuts down: longer than the longest terminationGracePeriodSeconds plus the critical part. */
  readonly shutdownGracePeriod: Duration;
  /** The part of that time that is reserved for critical pods. */
  readonly shutdownGracePeriodCriticalPods: Duration;
  /**
   * How long a boot waits for a time server at most. Without a limit Talos waits until one answers, and etcd, the kubelet and all
   * databases wait too: after a power failure without internet all of them would stay down. @default 2 minutes
   */
  readonly timeSyncBootTimeout?: Duration;
  /** Official system extensions in the image, such as siderolabs/amd-ucode. @default none */
  readonly extensions?: readonly string[];
}

/** A virtual machine on the Proxmox host: a node of the cluster, or a machine beside it. */
export type Machine = TalosMachine | UbuntuMachine;

interface MachineBase {
  /** The Proxmox host that it runs on. @default the only one */
  readonly host?: string;
  /** VM ID of Proxmox, 100 to 999999999. */
  readonly vmid: number;
  /** Static address within the network. */
  readonly address: string;
  /** Fixed MAC address, by which the machine config finds its network card: unicast, in lower case; 02:... is the local range. */
  readonly mac: string;
  /** Memory of the machine, taken from the host. */
  readonly memory: Size;
  /** Virtual cores, 1 to 128. */
  readonly cores: number;
  /** Disk of the operating system; data disks are extra. */
  readonly systemDisk: Size;
  /** Position in Proxmox' start order; lower numbers start first. */
  readonly startOrder: number;
  /** How long Proxmox waits for a shutdown before it kills the machine. */
  readonly down: Duration;
}

/** A node of the Kubernetes cluster. Its name in `machines` is the node name. */
export interface TalosMachine extends MachineBase {
  /** Discriminates a node from a machine beside the cluster. */
  readonly kind: 'talos';
  /** `control-plane` for machines that run the Kubernetes API, `worker` for those that run the rest. */
  readonly role: 'control-plane' | 'worker';
  /** Node labels that the kubelet sets. @default none */
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * Disks with data by name, which is also their serial: 1 to 20 letters, digits and -. One for each pod of a database, named
   * like the pod, and one for each volume of a service, named SERVICE-VOLUME or, for each replica, SERVICE-VOLUME-0 and so on.
   * @default none
   */
  readonly dataDisks?: Readonly<Record<string, Size>>;
}

/** A machine beside the cluster, such as the one that runs the models. */
export interface UbuntuMachine extends MachineBase {
  /** Discriminates a machine beside the cluster from a node. */
  readonly kind: 'ubuntu';
  /** Release, such as 24.04. */
  readonly release: string;
  /** Whether the host's GPU is passed through. @default false */
  readonly gpu?: boolean;
  /** Whether the host's NPU is passed through. @default false */
  readonly npu?: boolean;
}

/** Pods that other tools install. Renders nothing: the resource budget counts their requests. */
export interface SystemWorkload {
  /**
   * Which nodes it runs on: `every-node`, `control-plane`, `workers`, or one machine by name. With `any-node` the scheduler
   * chooses among all nodes, including control planes, and the budget reserves resources for all of its pods on each node.
   */
  readonly on: string;
  /** Pods on each of those nodes; with `any-node` all of its pods together. @default 1 */
  readonly pods?: number;
  /** Requests by container. */
  readonly containers: Readonly<Record<string, { readonly memory: Size; readonly cpu: Cpu }>>;
}

/** A label of nodes; at least one Talos machine must carry it. */
export interface NodeLabel {
  /** Key, such as storage-type. Keys below kubernetes.io and k8s.io are refused: a node may not set them itself (NodeRestriction). */
  readonly key: string;
  /** Value, such as cassandra: at most 63 letters, digits, -, _ and . */
  readonly value: string;
}

/** Language models outside the cluster, reached by one Service name inside it. */
export interface Llm {
  /** Name that clients use. */
  readonly service: string;
  /** The machine that it runs on. */
  readonly machine: string;
  /** Port on that machine and of the Service. Ollama's default is 11434. */
  readonly port: number;
  /** How the Service reaches the machine: by an EndpointSlice, or by a proxy when Argo CD excludes EndpointSlices. @default endpoint-slice */
  readonly via?: 'endpoint-slice' | 'tcp-proxy';
  /** Version of Ollama on that machine. @default v0.32.15 */
  readonly version?: string;
  /** Requests that a model answers at the same time, each with a context of its own. Ollama has one number for all models. @default 1 */
  readonly parallel?: number;
  /** Type of the cache for keys and values. Ollama has one for all models. @default q8_0: half the memory of f16 */
  readonly kvCache?: KvCacheType;
  /** Keys and limits for the clients. @default none: every client that reaches the port can use every model, and delete it */
  readonly gateway?: LlmGateway;
  /**
   * How often a CronJob asks each model for one word: whole minutes, from 5 to 60. Its log has the time to that word; its Job
   * fails when a model does not answer. @default never
   */
  readonly availability?: Duration;
  /** Models by the name that connections of homelab.ts use. */
  readonly models: Readonly<Record<string, Model>>;
}

/** The ingress controller on every worker. */
export interface Ingress {
  /** The worker whose address the controller writes to the status of every Ingress. */
  readonly statusMachine: string;
  /** Memory of its pod on each worker, as request and limit. */
  readonly memory: Size;
  /** CPU request of its pod on each worker. */
  readonly cpu: Cpu;
}

/** The repository that holds dist/. */
export interface GitRepository {
  /**
   * URL that Argo CD clones: https://HOST[:PORT]/PATH, ssh://USER@HOST[:PORT]/PATH or USER@HOST:PATH (port 22). The NetworkPolicy
   * of Argo CD opens only this port, for servers in the LAN and on the internet.
   */
  readonly url: string;
  /**
   * CA certificate (PEM) of your own authority that signed the server's certificate. Argo CD and the bootstrap then trust only
   * this authority for that server. @default the public authorities
   */
  readonly ca?: string;
  /** @default main */
  readonly revision?: string;
}

/** A registry of private images. The bootstrap asks the owner for its login. */
export interface Registry {
  /** Registry as in image names: ghcr.io, or registry.home.arpa:5000 with a port other than 443. It must use TLS. */
  readonly server: string;
  /**
   * CA certificate (PEM) of your own authority that signed the server's certificate. Nodes then trust it besides the public
   * authorities. @default none
   */
  readonly ca?: string;
}

/** SSH access. */
export interface Access {
  /** Public keys, such as ssh-ed25519 AAAA... owner@mac. */
  readonly sshKeys: readonly string[];
  /** Source addresses that may log in. @default those of every Mac in `hosts` */
  readonly from?: readonly string[];
}
