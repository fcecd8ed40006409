import { talosNodes, type TalosNode } from '../../life';
import { Failure, Unexpected, type Answer } from '../program';
import type { Session } from './session';

/** `talosctl health`. */
export async function health(session: Session): Promise<Answer> {
  const [asked] = session.nodes('healthcheck error: ') as [TalosNode];
  const until = Date.now() + Math.min(seconds(session.options['wait-timeout'] ?? '20m0s') * 2, 3_000);
  const unhealthy = () =>
    talosNodes(session.context.state).filter(
      (node) => node.config && node.config.authority === asked.config!.authority && !node.ready,
    );
  while (unhealthy().length > 0 && Date.now() < until) await new Promise((done) => setTimeout(done, 20));
  const names = unhealthy().map((node) => node.address);
  const said = 'waiting for etcd to be healthy: ...\n';
  if (names.length > 0)
    throw new Failure(`${said}healthcheck error: rpc error: code = DeadlineExceeded desc = context deadline exceeded`);
  return {
    stderr: `${said}waiting for etcd to be healthy: OK\nwaiting for all k8s nodes to report ready: OK\nwaiting for all k8s nodes to report schedulable: OK\n`,
  };
}

/** `talosctl service`. */
export function service(session: Session): string {
  const [only, action] = session.line.positional;
  if (action !== undefined && action !== 'status') throw new Unexpected(`talosctl service ${only} ${action}`);
  const names = ({ config }: TalosNode) => [
    'apid',
    'containerd',
    'cri',
    ...(config?.controlPlane ? ['etcd', 'trustd'] : []),
    'kubelet',
    'machined',
  ];
  const seen = (node: TalosNode, name: string) => {
    const waits = (name === 'etcd' && node.disk.bootstrappedAt === undefined) || (name === 'kubelet' && !node.ready);
    return waits
      ? { state: 'Preparing', health: '?', event: 'Running pre state' }
      : { state: 'Running', health: 'OK', event: 'Health check successful' };
  };
  if (only === undefined)
    return session.lines('NODE SERVICE STATE HEALTH LAST_CHANGE LAST_EVENT', (node) =>
      names(node).map((name) => {
        const { state, health, event } = seen(node, name);
        return [name, state, health, '1m0s ago', event];
      }),
    );
  const nodes = session.nodes('error listing services: ').filter((node) => names(node).includes(only));
  if (nodes.length === 0) throw new Failure(`service "${only}" is not registered on any nodes`);
  // One service is shown with its events, one below the other (pkg/machinery/formatters, RenderServicesInfo).
  const rows = nodes.flatMap((node) => {
    const { state, health, event } = seen(node, only);
    return [
      ['NODE', node.address],
      ['ID', only],
      ['STATE', state],
      ['HEALTH', health],
      ['EVENTS', `[${state}]: ${event} (1m0s ago)`],
    ];
  });
  const width = Math.max(...rows.map(([label]) => label!.length)) + 3;
  return rows.map(([label, value]) => `${label!.padEnd(width)}${value}\n`).join('');
}

function seconds(duration: string): number {
  const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };
  return [...duration.matchAll(/([\d.]+)([hms])/g)].reduce(
    (sum, [, number, unit]) => sum + Number(number) * units[unit!]!,
    0,
  );
}
