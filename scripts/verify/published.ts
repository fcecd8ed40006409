import { NAMESPACES, type Homelab, type Service } from '../../inventory';
import { labelSelector } from '../../values/labels';
import { portsOf, transportOf } from '../../values/ports';
import { bad, good, type Finding } from '../engine/findings';
import { LOCALHOST, type Commands } from '../engine/commands';
import type { Kubernetes } from '../clients/kubernetes';
import { entryAddresses, runningPods } from './cluster';

/** A proxy that does not reach the service hangs up within a second on a quiet machine. */
const SECONDS = 3;

/** A published port of a service. */
interface Published {
  readonly service: string;
  readonly namespace: string;
  readonly port: number;
  readonly transport: 'TCP' | 'UDP';
}

/** Every published port, at every worker. */
export async function publishedChecks(
  homelab: Homelab,
  commands: Commands,
  kubernetes: Kubernetes,
): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const published of publishedPorts(homelab))
    if (published.transport === 'UDP') found.push(await behind(kubernetes, published));
    else for (const address of entryAddresses(homelab)) found.push(await tcpFinding(commands, published, address));
  return found;
}

function publishedPorts({ services, webApps }: Homelab): Published[] {
  const of = (namespace: string, all: Readonly<Record<string, Service>>) =>
    Object.entries(all).flatMap(([service, each]) =>
      each.state === 'retired'
        ? []
        : (each.published ?? []).map(({ port, to }): Published => {
            const target = portsOf(each).find(({ name }) => name === to);
            return { service, namespace, port, transport: target ? transportOf(target) : 'TCP' };
          }),
    );
  return [...of(NAMESPACES.services, services), ...of(NAMESPACES.web, webApps)];
}

/** Only a connection shows that a port is open, and only one that stays shows that the service is behind it. */
export async function tcpFinding(
  commands: Commands,
  { service, namespace, port }: Published,
  address: string,
  seconds = SECONDS,
): Promise<Finding> {
  const what = `${service} at ${address}:${port}`;
  // Standard input stays open for longer than curl waits: at its end curl would hang up before the other side can.
  const ask = `sleep ${seconds + 1} | curl --silent --show-error --max-time ${seconds} --noproxy '*' --output /dev/null --write-out '%{time_connect} %{size_download}' "telnet://$1:$2"`;
  const accepts = Array.from({ length: 100 }, (_, code) => code);
  const { code, stdout, stderr } = await commands.read(LOCALHOST, ['sh', '-c', ask, 'sh', address, String(port)], {
    accepts,
  });
  const [connected = 0, bytes = 0] = stdout.trim().split(' ').map(Number);
  if (!(connected > 0)) {
    const finding = bad(what, stderr.trim() || `curl ended with ${code}`, 'kubectl -n ingress get pods -o wide');
    return { ...finding, cause: `published ${address} ${code}` };
  }
  if (bytes > 0 || code === TIMED_OUT) return good(what, 'open');
  return bad(what, 'the ingress controller hangs up: it does not reach the service', pods(namespace, service));
}

/** Of curl: its own limit of time. */
const TIMED_OUT = 28;

/** UDP has no handshake, so what can be known is whether anything runs behind the port. */
async function behind(kubernetes: Kubernetes, { service, namespace, port }: Published): Promise<Finding> {
  const what = `${service} at UDP port ${port}`;
  const running = await runningPods(kubernetes, namespace, labelSelector('microservice', service));
  if (running.length === 0) return bad(what, 'no pod of it runs', pods(namespace, service));
  return good(what, `not asked, because UDP has no handshake; behind it runs ${running.join(', ')}`);
}

function pods(namespace: string, service: string): string {
  return `kubectl -n ${namespace} get pods -l ${labelSelector('microservice', service)}`;
}
