import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { StandIn } from './stand-in';
import { ClusterIps } from './cluster-ips';
import { NameServer } from './name-server';
import { Pod } from './pod';
import { Prober } from './prober';
import { quoted, runQuietly } from './processes';
import { Claims, type Files } from './volumes';

type Json = any;

/** The node's address on the bridge of its pods; their name server answers there. */
export const GATEWAY = '10.99.0.1';

/** ConfigMaps, Secrets and names that pods find in the cluster. */
export interface Cluster {
  /** Data by NAMESPACE/NAME. */
  readonly configMaps: Map<string, Files>;
  readonly secrets: Map<string, Readonly<Record<string, string>>>;
  readonly images: Readonly<Record<string, StandIn>>;
}

/**
 * A node with a kubelet of our own: it runs pods as processes, each pod with a network namespace and an address, each container
 * with its own mounts and processes, the pod's user without capabilities, a read-only root, volumes with the modes that the
 * kubelet gives them, a memory limit and probes.
 */
export class TestNode {
  readonly names: NameServer;
  /** Options of resolv.conf in pods that start from now on. By default the kubelet's: a name is asked for twice, for 5 s each. */
  resolver = 'ndots:5';
  readonly claims: Claims;
  readonly prober = new Prober();
  /** Without Services in it, names lead to pods themselves. */
  readonly clusterIps = new ClusterIps();
  readonly pods = new Map<string, Pod>();
  private addresses = 0;

  constructor(
    readonly folder: string,
    readonly cluster: Cluster,
  ) {
    this.claims = new Claims(folder);
    // Shared: what the node unmounts is unmounted for every container too. Else a disk would stay mounted as long as any of them.
    execFileSync('sh', [
      '-ec',
      `ip link add pods type bridge; ip addr add ${GATEWAY}/16 dev pods; ip link set pods up
mount --bind ${quoted(folder)} ${quoted(folder)}; mount --make-shared ${quoted(folder)}
mkdir ${quoted(this.images)}; mount -t tmpfs images ${quoted(this.images)}`,
    ]);
    this.names = new NameServer((name) => this.resolve(name));
  }

  /** Files of images: on a file system of their own, because overlayfs takes no folder that lies in another of its layers. */
  get images(): string {
    return join(this.folder, 'images');
  }

  async start(): Promise<void> {
    await this.names.listen(GATEWAY);
  }

  /**
   * Runs a pod.
   * @param services those that select it
   * @param headless the one that governs its host name
   * @param address of a pod that is gone; a new one by default
   */
  run(manifest: Json, services: readonly string[] = [], headless?: string, address?: string): Pod {
    const pod = new Pod(this, manifest, address ?? this.newAddress(), services, headless);
    this.pods.set(pod.fullName, pod);
    void pod.run();
    return pod;
  }

  private newAddress(): string {
    const number = this.addresses++;
    return `10.99.${1 + Math.floor(number / 250)}.${1 + (number % 250)}`;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.pods.values()].map((pod) => pod.stop(0)));
    this.names.close();
    this.prober.close();
    runQuietly('umount', '--recursive', this.folder);
    runQuietly('ip', 'link', 'delete', 'pods');
  }

  /** POD.SERVICE.NAMESPACE and SERVICE.NAMESPACE; a Service by its name gives the addresses of all its pods. */
  private resolve(name: string): readonly string[] | undefined {
    const match = /^(?:([a-z0-9-]+)\.)?([a-z0-9-]+)\.([a-z0-9-]+)\.svc\.cluster\.local$/.exec(name);
    if (!match) return undefined;
    const [, host, service, namespace] = match;
    const own = host === undefined ? this.clusterIps.of(service!, namespace!) : undefined;
    if (own !== undefined) {
      this.clusterIps.write([...this.pods.values()]);
      return [own];
    }
    const found = [...this.pods.values()].filter(
      (pod) =>
        pod.namespace === namespace &&
        pod.services.includes(service!) &&
        !pod.stopped &&
        (host === undefined || pod.name === host) &&
        // Headless Services publish addresses before pods are ready; the others do not.
        (pod.headless === service || pod.ready),
    );
    return found.length > 0 ? found.map(({ address }) => address) : undefined;
  }
}
