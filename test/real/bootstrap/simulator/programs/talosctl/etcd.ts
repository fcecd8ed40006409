import * as fs from 'node:fs';
import type { TalosNode } from '../../life';
import { Failure } from '../program';
import type { Session } from './session';

/** `talosctl etcd members`. */
export function etcdMembers(session: Session): string {
  return session.lines('NODE ID HOSTNAME PEER_URLS CLIENT_URLS LEARNER', (node) => [
    [etcd(node), node.hostname, `https://${node.address}:2380`, `https://${node.address}:2379`, 'false'],
  ]);
}

/** `talosctl etcd status`. */
export function etcdStatus(session: Session): string {
  return session.lines(
    'NODE MEMBER DB_SIZE IN_USE LEADER RAFT_INDEX RAFT_TERM RAFT_APPLIED_INDEX LEARNER PROTOCOL STORAGE ERRORS',
    (node) => [
      [etcd(node), '4.2 MB', '2.1 MB (50.00%)', etcd(node), '1000', '2', '1000', 'false', '3.6.5', '3.6.0', ''],
    ],
  );
}

/** `talosctl etcd snapshot`. */
export function snapshot(session: Session): string {
  const [node] = session.nodes() as [TalosNode];
  if (!node.config!.controlPlane || node.disk.bootstrappedAt === undefined)
    throw new Failure(
      'error reading file: rpc error: code = Unimplemented desc = etcd snapshot is only available on control plane nodes',
    );
  const [path] = session.line.positional as [string];
  const content = `etcd snapshot ${JSON.stringify(session.context.state.extra.members)}\n`;
  fs.writeFileSync(session.context.path(path), content, { mode: 0o600 });
  return `etcd snapshot saved to "${path}" (${content.length} bytes)\nsnapshot info: hash 6c1b6d4c, revision 1000, total keys 500, total size ${content.length}\n`;
}

function etcd(node: TalosNode): string {
  if (node.config?.controlPlane && node.ready) return '2e1d0c3b4a596877';
  throw new Failure('rpc error: code = Unavailable desc = etcd is not running');
}
