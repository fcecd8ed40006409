import { execFileSync } from 'node:child_process';
import type { Pod } from './pod';

type Json = any;

/** What kube-proxy does for Services with an address of their own: their ports lead to those of ready pods. */
export class ClusterIps {
  private readonly addresses = new Map<string, string>();
  private readonly services: Json[] = [];
  private written = '';

  /** Gives each Service that is not headless an address. */
  add(services: readonly Json[]): void {
    for (const service of services) {
      if (service.spec.clusterIP === 'None') continue;
      const { name, namespace } = service.metadata;
      this.addresses.set(`${name}.${namespace}`, `10.98.0.${this.addresses.size + 1}`);
      this.services.push(service);
    }
  }

  /** The address of SERVICE.NAMESPACE, if it has one of its own. */
  of(service: string, namespace: string): string | undefined {
    return this.addresses.get(`${service}.${namespace}`);
  }

  /** Writes the rules anew where the ready pods are others than before. One pod of each Service gets all connections. */
  write(pods: readonly Pod[]): void {
    const rules = this.services.flatMap(({ metadata, spec }) => {
      const address = this.of(metadata.name, metadata.namespace)!;
      const pod = pods.find(
        (each) => each.namespace === metadata.namespace && each.services.includes(metadata.name) && each.ready,
      );
      return spec.ports.flatMap(({ port, targetPort, protocol = 'TCP' }: Json) => {
        const target = pod && portOf(pod, targetPort ?? port);
        const to = `ip daddr ${address} ${protocol.toLowerCase()} dport ${port}`;
        return target === undefined ? [] : [`${to} dnat to ${pod!.address}:${target}`];
      });
    });
    const text = `table ip services
delete table ip services
table ip services {
  chain to { type nat hook prerouting priority dstnat; ${rules.map((rule) => `${rule};`).join(' ')} }
  chain back { type nat hook postrouting priority srcnat; ct status dnat masquerade; }
}`;
    if (text === this.written) return;
    if (this.written === '') execFileSync('sh', ['-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
    execFileSync('nft', ['-f', '-'], { input: text });
    this.written = text;
  }
}

/** The number of a port that a Service names; undefined where no container of the pod has it, so that nothing answers. */
function portOf(pod: Pod, wanted: number | string): number | undefined {
  if (typeof wanted === 'number') return wanted;
  const ports = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].flatMap(({ ports = [] }: Json) => ports);
  return ports.find(({ name }: Json) => name === wanted)?.containerPort;
}
