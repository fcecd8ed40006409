import { until } from '../cluster/processes';
import type { Container } from '../node/container';
import type { TestNode } from '../node/node';
import type { Pod } from '../node/pod';

/** Commands that a test runs in pods. */

interface Answer {
  readonly code: number;
  readonly output: string;
}

/** cqlsh as a client would log in, by its own environment, or as another user. */
export function cql(client: Pod, statements: string, env: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const line =
    'exec cqlsh -u "$CASSANDRA_USERNAME" -p "$CASSANDRA_PASSWORD" -k "$1" --request-timeout=30 "$CASSANDRA_CONTACT_POINTS" "$CASSANDRA_PORT" -e "$2"';
  const own = client.container('client').environment().CASSANDRA_KEYSPACE!;
  const keyspace = env.CASSANDRA_USERNAME === undefined ? own : 'system';
  return client.container('client').exec(['sh', '-c', line, 'sh', keyspace, statements], 60, env);
}

/** Runs CQL as admin in the pod of a node. */
export function admin(node: TestNode, pod: Pod, statements: string): Promise<Answer> {
  const { password } = node.cluster.secrets.get('cassandra/cassandra-admin')!;
  return pod.container('cassandra').exec(['cqlsh', '-u', 'admin', '-p', password!, pod.address, '-e', statements]);
}

/** mongosh by the connection string of the client. */
export function mongo(client: Pod, script: string): Promise<Answer> {
  const line = 'exec mongosh "$MONGODB_URI&serverSelectionTimeoutMS=10000" --norc --quiet --eval "$1"';
  return client.container('client').exec(['sh', '-c', line, 'sh', script]);
}

export function asRoot(node: TestNode, pods: readonly Pod[], script: string): Promise<Answer> {
  const { password } = node.cluster.secrets.get('mongodb/mongodb-root')!;
  const hosts = pods.map(({ name }) => `${name}.mongodb.mongodb.svc.cluster.local:27017`).join(',');
  const uri = `mongodb://root:${encodeURIComponent(password!)}@${hosts}/admin?replicaSet=rs0`;
  return pods[0]!.container('mongod').exec(['mongosh', '--norc', '--quiet', uri, '--eval', script]);
}

/** Members that the first pod knows, without a login. */
export async function members([pod]: readonly Pod[]): Promise<number> {
  const script = 'const hello = db.hello(); print((hello.hosts || []).length)';
  const uri = 'mongodb://127.0.0.1:27017/?directConnection=true';
  const { output } = await pod!.container('mongod').exec(['mongosh', '--norc', '--quiet', uri, '--eval', script]);
  return Number(output.trim().split('\n').at(-1));
}

/** Result of a connection from a container to a port. `silent` means that there is no answer at all. */
export async function reached(
  container: Container,
  address: string,
  port: number,
): Promise<'open' | 'refused' | 'silent'> {
  const { code } = await container.exec(['python3', '-c', CONNECT, address, String(port)]);
  return code === 0 ? 'open' : code === 2 ? 'refused' : 'silent';
}

const CONNECT = `
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)
except ConnectionRefusedError:
    sys.exit(2)
`;

export async function ready(...pods: readonly Pod[]): Promise<void> {
  await until('clients run', 30, async () => pods.every((pod) => pod.ready));
}

/** Last log lines of each container of some pods. */
export function logs(pods: readonly Pod[]): string {
  return pods
    .flatMap((pod) => pod.containers.map(({ name }) => `-- ${pod.name} ${name}\n${pod.log(name).slice(-1500)}`))
    .join('\n');
}
