import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { connect, shellOf } from '../../cli/connect';
import { Usage } from '../../cli/usage';

jest.mock('../../homelab', () => jest.requireActual('../fixtures/homelab'));

const { PATH } = process.env;
let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'connect-'));
  process.env.PATH = `${folder}:${PATH}`;
});
afterEach(() => {
  process.env.PATH = PATH;
  process.exitCode = 0;
  jest.restoreAllMocks();
  fs.rmSync(folder, { recursive: true });
});

const program = (name: string, text: string) =>
  fs.writeFileSync(join(folder, name), `#!/bin/sh\n${text}`, { mode: 0o755 });
const told = (file: string) => fs.readFileSync(join(folder, file), 'utf8');

/** A kubectl that has one secret and three pods, of which the second is primary; a port-forward lasts until it is ended. */
function cluster(): void {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const data = { username: base64('identity_2'), password: base64(`p@'w "x`) };
  const pod = (name: string) => ({ metadata: { name }, status: { conditions: [{ type: 'Ready', status: 'True' }] } });
  fs.writeFileSync(join(folder, 'secret'), JSON.stringify({ data }));
  fs.writeFileSync(join(folder, 'pods'), JSON.stringify({ items: ['m-0', 'm-1'].map(pod) }));
  program(
    'kubectl',
    `echo "$*" >>'${folder}/asked'
case "$*" in
  *' get secret '*) cat '${folder}/secret' ;;
  *' get pods '*) cat '${folder}/pods' ;;
  *' exec '*) echo m-1.mongodb.mongodb.svc.cluster.local:27017 ;;
  *port-forward*) echo 'Forwarding from 127.0.0.1:41234 -> 27017'; echo $$ >'${folder}/pid'; exec sleep 60 ;;
esac
`,
  );
}

test('a shell of MongoDB gets the login in a file of its owner, and the port closes with the shell', async () => {
  cluster();
  program(
    'mongosh',
    `echo "$*" >'${folder}/args'; ls -l "$4" >'${folder}/mode'; cat "$4" >'${folder}/file' || true; exit 3\n`,
  );
  await connect(['mongodb', '--as', 'identity']);
  expect(process.exitCode).toBe(3);
  expect(told('mode')).toMatch(/^-rw------- /);
  expect(told('file')).toBe(
    `db = connect("mongodb://identity_2:p%40'w%20%22x@127.0.0.1:41234/identity?directConnection=true&authSource=admin");\n`,
  );
  expect(told('asked')).toContain('-n mongodb get secret mongodb-identity');
  expect(told('asked')).toContain('port-forward --address 127.0.0.1 pod/m-1 :27017');
  expect(told('asked') + told('args')).not.toContain('p@');
  expect(fs.existsSync(told('args').trim().split(' ').at(-1)!)).toBe(true);
  // The port-forward was stopped.
  const isThere = () => {
    try {
      return process.kill(Number(told('pid')), 0);
    } catch {
      return false;
    }
  };
  for (const until = Date.now() + 10_000; isThere() && Date.now() < until;)
    await new Promise((done) => setTimeout(done, 50));
  expect(isThere()).toBe(false);
});

test('a shell of Cassandra gets the keyspace and the login of a client', () => {
  const login = { username: 'chat', password: 'p', data: 'chat' };
  const { program: name, args, file, byHand } = shellOf({ kind: 'cassandra' }, 9, login);
  expect([name, ...args('F')].join(' ')).toBe('cqlsh -k chat 127.0.0.1 9 --credentials F');
  expect(file[1]).toBe('[PlainTextAuthProvider]\nusername = chat\npassword = p\n');
  expect(byHand).toBe('cqlsh -k chat -u chat 127.0.0.1 9');
});

test('reports when the connection ends by itself', async () => {
  cluster();
  program('kubectl', told('kubectl').replace('exec sleep 60', 'exit 0').replace('#!/bin/sh\n', ''));
  const said: string[] = [];
  jest.spyOn(console, 'log').mockImplementation((line: string) => void said.push(line));
  jest.spyOn(console, 'error').mockImplementation((line: string) => void said.push(line));
  await connect(['mongodb', '--forward']);
  expect(process.exitCode).toBe(1);
  expect(said.join('\n')).toContain('kubectl -n mongodb get secret mongodb-root -o jsonpath');
  expect(said.join('\n')).toContain('the connection to m-1 ended');
  expect(said.join('\n')).not.toContain('p@');
});

test.each([
  [['nosql'], 'connect needs the name of an active database, got "nosql" (allowed: cassandra, mongodb)'],
  [[], 'connect needs the name of an active database'],
  [['mongodb', '--as', 'chat'], '--as must be a client of that database, got "chat"'],
  [['mongodb', '--readonly'], 'the option must be one of this command'],
])('%j is refused', async (args, problem) => {
  await expect(connect(args)).rejects.toThrow(problem);
  await expect(connect(args)).rejects.toThrow(Usage);
});

test('the relay passes bytes in both directions, and ends with its input', async () => {
  const got: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on('data', (data) => {
      got.push(data);
      socket.write(Buffer.concat([Buffer.from([0, 255, 10]), data]));
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const relay = fs.readFileSync(resolve(__dirname, '../../cli/relay.py'), 'utf8');
  const child = spawn('python3', ['-c', relay, String(port)], { env: { PATH, POD_IP: '127.0.0.1' } });
  const answer = new Promise<Buffer>((done) => child.stdout.once('data', done));
  child.stdin.write(Buffer.from([1, 2, 254]));
  expect([...(await answer)]).toEqual([0, 255, 10, 1, 2, 254]);
  child.stdin.end();
  expect(await new Promise((done) => child.once('exit', done))).toBe(0);
  server.close();
});
