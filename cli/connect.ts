import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { clientLoginOf, databasePods, targetOf, type Database, type Homelab } from '../inventory';
import { memoryFile } from '../scripts/engine/memory-files';
import { labelSelector } from '../values/labels';
import { suggested } from '../values/nearest';
import { sentence } from '../values/problem';
import { runKubectl } from './kubectl';
import { options, Usage } from './usage';

/** A forwarded port of one pod, open to this machine only. */
interface Way {
  readonly port: number;
  readonly end: () => void;
  /** Resolves when the connection ends by itself, for example because the pod ended. */
  readonly ended: Promise<void>;
}

interface Login {
  readonly secret: string;
  readonly username: string;
  readonly password: string;
  /** Database or keyspace of a client. */
  readonly data?: string;
}

const FORWARD_SECONDS = 30;
/** The limit after which a forwarded port closes by itself. */
const MOST_HOURS = 8;

/**
 * Opens a shell of a database on this machine. Forwards a port to one of its pods through the API server. Takes the login from its Secret,
 * and passes it through pipes and a file that only this user can read. Ctrl-C, or the end of the shell, closes the port.
 */
export async function connect(args: readonly string[]): Promise<void> {
  const { default: homelab } = await import('../homelab');
  const [name, ...rest] = args;
  const given = options(rest, { as: 'value', kubeconfig: 'value', forward: 'flag' });
  const kubeconfig = given.get('kubeconfig');
  const database = chosen(homelab, name);
  const kubectl = (...command: string[]) => runKubectl('connect', kubeconfig, command);
  const login = loginOf(homelab, name!, database, given.get('as'), kubectl);
  const pod = podOf(name!, database, kubectl);
  const flags = kubeconfig === undefined ? [] : ['--kubeconfig', kubeconfig];
  const way = await (database.kind === 'mongodb' ? forwarded : relayed)(name!, pod, flags);
  const shell = shellOf(database, way.port, login);
  const has = spawnSync(shell.program, ['--version'], { stdio: 'ignore', env: process.env }).error === undefined;
  const code = given.has('forward') || !has ? await waits(name!, pod, way, login, shell, has) : await runs(shell, way);
  process.exitCode = code;
}

function chosen({ databases }: Homelab, name: string | undefined): Database {
  const active = Object.keys(databases).filter((each) => databases[each]!.state !== 'retired');
  if (name !== undefined && active.includes(name)) return databases[name]!;
  throw new Usage(
    sentence({
      what: 'connect needs the name of an active database',
      got: name,
      allowed: active.join(', ') || 'there is none',
      fix: suggested(
        name ?? '',
        active,
        'npm run homelab -- connect NAME [--as CLIENT] [--forward] [--kubeconfig FILE]',
      ),
    }),
  );
}

/** The login of the database itself, or of a client with `--as`. */
function loginOf(
  homelab: Homelab,
  name: string,
  { kind }: Database,
  client: string | undefined,
  kubectl: (...command: string[]) => string,
): Login {
  const clients = clientsOf(homelab, name);
  if (client !== undefined && !clients.has(client))
    throw new Usage(
      sentence({
        what: '--as must be a client of that database',
        got: client,
        allowed: [...clients.keys()].join(', '),
        fix: suggested(client, [...clients.keys()], 'leave it out for the login of the database itself'),
      }),
    );
  const secret = `${name}-${client ?? (kind === 'mongodb' ? 'root' : 'admin')}`;
  const text = kubectl('-n', name, 'get', 'secret', secret, '--ignore-not-found', '-o', 'json');
  const data = text.trim() === '' ? {} : JSON.parse(text).data;
  const value = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString();
  if (value('password') === '')
    throw new Error(
      `secret ${name}/${secret} must exist in the cluster and hold a password; npm run bootstrap -- apply secrets`,
    );
  return { secret, username: value('username'), password: value('password'), data: clients.get(client ?? '') };
}

/** Logins of clients, and the database or keyspace of each. */
function clientsOf({ services, webApps }: Homelab, name: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [client, { connects }] of Object.entries({ ...services, ...webApps }))
    for (const connection of connects) {
      if (targetOf(connection)[1] !== name) continue;
      const login = clientLoginOf(client, connection);
      if (login) found.set(login.user, login.data);
    }
  return found;
}

/** A ready pod; for MongoDB the primary, because the others take no writes. */
function podOf(name: string, database: Database, kubectl: (...command: string[]) => string): string {
  const selector = labelSelector(database.kind, name);
  const { items } = JSON.parse(kubectl('-n', name, 'get', 'pods', '-l', selector, '-o', 'json'));
  const isReady = ({ status }: any) =>
    (status?.conditions ?? []).some((each: any) => each.type === 'Ready' && each.status === 'True');
  const ready: string[] = items.filter(isReady).map(({ metadata }: any) => metadata.name);
  if (ready.length === 0)
    throw new Error(
      `${name} must have a pod that is ready, got none of ${databasePods(name, database).join(', ')}; kubectl -n ${name} get pods`,
    );
  if (database.kind === 'cassandra') return ready[0]!;
  const ask = ['mongosh', '--norc', '--quiet', '--eval', 'print(db.hello().primary)'];
  const primary = kubectl('-n', name, 'exec', ready[0]!, '-c', 'mongod', '--', ...ask)
    .trim()
    .split('.')[0]!;
  return ready.includes(primary) ? primary : ready[0]!;
}

/** In its own process group: a Ctrl-C for the shell must not end kubectl. */
function started(args: readonly string[]): ChildProcess {
  return spawn('kubectl', args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env: process.env });
}

async function forwarded(namespace: string, pod: string, flags: readonly string[]): Promise<Way> {
  const child = started([...flags, '-n', namespace, 'port-forward', '--address', '127.0.0.1', `pod/${pod}`, ':27017']);
  let said = '';
  const port = await new Promise<number>((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill();
      reject(new Error(`kubectl port-forward to ${pod} did not start within ${FORWARD_SECONDS} s: ${said.trim()}`));
    }, FORWARD_SECONDS * 1000);
    const read = (data: Buffer) => {
      said += data.toString();
      const found = /Forwarding from 127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      if (found === undefined) return;
      clearTimeout(late);
      resolve(Number(found));
    };
    child.stdout!.on('data', read);
    child.stderr!.on('data', read);
    child.once('exit', () => {
      clearTimeout(late);
      reject(new Error(`kubectl port-forward to ${pod} ended: ${said.trim()}`));
    });
  });
  return { port, end: () => child.kill(), ended: new Promise((resolve) => child.once('exit', () => resolve())) };
}

/** Cassandra listens on the address of its pod, which port-forward does not reach: each connection is one kubectl exec. */
async function relayed(namespace: string, pod: string, flags: readonly string[]): Promise<Way> {
  const relay = fs.readFileSync(join(__dirname, 'relay.py'), 'utf8');
  const children = new Set<ChildProcess>();
  const server = createServer((socket) => {
    const child = started([
      ...flags,
      '-n',
      namespace,
      'exec',
      '-i',
      pod,
      '-c',
      'cassandra',
      '--',
      'python3',
      '-c',
      relay,
      '9042',
    ]);
    children.add(child);
    child.once('exit', () => {
      children.delete(child);
      socket.destroy();
    });
    socket.once('close', () => child.kill()).on('error', () => child.kill());
    child.stdin!.on('error', () => socket.destroy());
    socket.pipe(child.stdin!);
    child.stdout!.pipe(socket);
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const ended = new Promise<void>((resolve) => server.once('close', resolve));
  const end = () => {
    server.close();
    for (const child of children) child.kill();
  };
  return { port: (server.address() as AddressInfo).port, end, ended };
}

/** A shell, its arguments, and the command for a person who types the password. */
interface Shell {
  readonly program: string;
  /** Its arguments, the last of them a file with the login. */
  readonly args: (file: string) => readonly string[];
  /** Name and text of that file. */
  readonly file: readonly [name: string, text: string];
  readonly byHand: string;
}

/** The shell of a database; its login is on no command line. */
export function shellOf(
  { kind }: Pick<Database, 'kind'>,
  port: number,
  { username, password, data }: Omit<Login, 'secret'>,
): Shell {
  if (kind === 'mongodb') {
    const login = `${encodeURIComponent(username)}:${encodeURIComponent(password)}`;
    const place = `127.0.0.1:${port}/${data ?? 'admin'}?directConnection=true&authSource=admin`;
    return {
      program: 'mongosh',
      args: (file) => ['--nodb', '--quiet', '--shell', file],
      file: ['login.js', `db = connect(${JSON.stringify(`mongodb://${login}@${place}`)});\n`],
      byHand: `mongosh 'mongodb://${place}' --username ${username}`,
    };
  }
  return {
    program: 'cqlsh',
    args: (file) => [...(data === undefined ? [] : ['-k', data]), '127.0.0.1', String(port), '--credentials', file],
    file: ['credentials', `[PlainTextAuthProvider]\nusername = ${username}\npassword = ${password}\n`],
    byHand: `cqlsh ${data === undefined ? '' : `-k ${data} `}-u ${username} 127.0.0.1 ${port}`,
  };
}

async function runs({ program, args, file: [name, text] }: Shell, way: Way): Promise<number> {
  const file = memoryFile(name, text);
  // Ctrl-C is for the shell: it stops the running statement and continues.
  const ignore = () => undefined;
  process.on('SIGINT', ignore);
  try {
    const child = spawn(program, args(file), { stdio: 'inherit', env: process.env });
    return await new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
  } finally {
    process.off('SIGINT', ignore);
    way.end();
  }
}

async function waits(name: string, pod: string, way: Way, login: Login, shell: Shell, has: boolean): Promise<number> {
  console.log(
    [
      ...(has ? [] : [`${shell.program} is not on the PATH of this machine`]),
      `${pod} is at 127.0.0.1:${way.port} until Ctrl-C, for ${MOST_HOURS} hours at most`,
      `  ${shell.byHand}`,
      `which asks for the password of ${login.username}:`,
      `  kubectl -n ${name} get secret ${login.secret} -o jsonpath='{.data.password}' | base64 -d`,
    ].join('\n'),
  );
  const byOwner = await new Promise<boolean>((resolve) => {
    setTimeout(() => resolve(true), MOST_HOURS * 3_600_000).unref();
    process.once('SIGINT', () => resolve(true)).once('SIGTERM', () => resolve(true));
    void way.ended.then(() => resolve(false));
  });
  way.end();
  if (!byOwner) console.error(`the connection to ${pod} ended; the pod may have restarted. Run this command again`);
  return byOwner ? 0 : 1;
}
