import { sentence } from './problem';

/** A port at the address of every worker that leads to a port of a service, for what is not HTTP. */
export interface PublishedPort {
  /** Port that clients use: 1 to 29999 or 32768 to 49151, without those that a node uses itself. */
  readonly port: number;
  /** Name of the service's port, of protocol tcp or udp. */
  readonly to: string;
}

/** Protocol of a published port, as Kubernetes writes it. */
export type PublishedProtocol = 'TCP' | 'UDP';

/**
 * Ports of a node that a published port would take away from it: the network plugin sends a port of the host to the pod before
 * the node's own process sees it.
 */
const OF_THE_NODE: readonly (readonly [port: number, protocol: PublishedProtocol | undefined, who: string])[] = [
  [80, undefined, 'the ingress controller serves HTTP there'],
  [443, undefined, 'the ingress controller serves HTTPS there'],
  [8472, 'UDP', 'flannel carries the traffic between nodes there'],
  [2379, 'TCP', 'etcd listens there on control planes'],
  [2380, 'TCP', 'etcd listens there on control planes'],
  [6443, 'TCP', 'the API server listens there on control planes'],
  [7445, 'TCP', "the kubelet reaches the API server there, by Talos' KubePrism"],
  [10248, 'TCP', 'the kubelet answers health checks there'],
  [10249, 'TCP', 'kube-proxy serves its metrics there'],
  [10250, 'TCP', 'the API server reaches the kubelet there'],
  [10256, 'TCP', 'kube-proxy answers health checks there'],
];

/** Ports for Services of type NodePort, and those from which a node opens its own connections. Talos' API has 50000 and 50001. */
const RANGES: readonly (readonly [first: number, last: number, who: string])[] = [
  [30_000, 32_767, 'Kubernetes gives such ports to Services of type NodePort'],
  [49_152, 65_535, 'nodes open their own connections from such ports, and Talos listens on 50000'],
];

/** What is wrong with the number of a published port, as a sentence, or undefined. */
export function publishedPortProblem(value: unknown, what: string, protocol?: PublishedProtocol): string | undefined {
  const form = { what: `${what} must be a free port of the workers`, got: value };
  const allowed = '1 to 29999 and 32768 to 49151, without those of the node itself';
  const port = value as number;
  if (!Number.isInteger(value) || port < 1 || port > 65_535)
    return sentence({ ...form, allowed, fix: 'give the port as a whole number' });
  const owner =
    OF_THE_NODE.find(
      ([each, only]) => each === port && (only === undefined || protocol === undefined || only === protocol),
    ) ?? RANGES.find(([first, last]) => port >= first && port <= last);
  if (owner === undefined) return undefined;
  return sentence({ ...form, allowed, fix: `choose another: ${owner[2]}` });
}

/** What is wrong with a published port, as a sentence, or undefined. */
export function publishedProblem(value: PublishedPort, what: string): string | undefined {
  const problem = publishedPortProblem(value.port, `${what}.port`);
  if (problem !== undefined) return problem;
  if (typeof value.to === 'string' && value.to !== '') return undefined;
  return sentence({
    what: `${what}.to must be the name of a port of the service`,
    got: value.to,
    fix: "write to: 'ssh'",
  });
}
