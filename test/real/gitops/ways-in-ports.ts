import * as dgram from 'node:dgram';
import * as http2 from 'node:http2';
import * as net from 'node:net';
import * as tls from 'node:tls';
import type { Tally } from '../tally';
import type { Entrance } from './routes';

/** Traefik listens there for a published port; the network plugin, which is not here, sends the port of the node to it. */
const INSIDE = 10_000;
const BANNER = 'SSH-2.0-forge\r\n';
/** The message {} of gRPC: not compressed, no bytes. */
const EMPTY = Buffer.alloc(5);
/** HealthCheckResponse with status SERVING. */
const SERVING = Buffer.from([0, 0, 0, 0, 2, 8, 1]);

/** Ports that are not HTTP/1.1, through the controller after its restart. */
export async function otherPorts(
  ingress: Entrance,
  ports: { readonly tcp: number; readonly udp: number },
  host: string,
  tally: Tally,
): Promise<void> {
  const said = await talk(INSIDE + ports.tcp, 4);
  tally.check(
    'a published TCP port brings the banner of the service, and a word after 4 s of silence',
    said === `${BANNER}echo hello`,
    said,
  );
  const answer = await datagram(INSIDE + ports.udp);
  tally.check('a published UDP port brings the answer of the service', answer === 'echo hello', answer);
  const health = await checkHealth(ingress, host);
  tally.check(
    'gRPC passes with its trailers: the health service says SERVING',
    health === `${SERVING.toString('hex')} 0`,
    health,
  );
}

/** A server that speaks first, as SSH does, and then echoes. */
export function bannerServer(port: number, address: string): Promise<net.Server> {
  const server = net.createServer((socket) => {
    socket.write(BANNER);
    socket.on('data', (data) => socket.write(`echo ${data.toString()}`));
    socket.on('error', () => socket.destroy());
  });
  return new Promise((resolve) => server.listen(port, address, () => resolve(server)));
}

export function datagramServer(port: number, address: string): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4');
  socket.on('message', (data, from) => socket.send(`echo ${data.toString()}`, from.port, from.address));
  return new Promise((resolve) => socket.bind(port, address, () => resolve(socket)));
}

/** A server of the health service of gRPC: HTTP/2 without TLS, as gRPC servers in pods are. */
export function healthServer(port: number, address: string): Promise<http2.Http2Server> {
  const server = http2.createServer();
  server.on('stream', (stream, headers) => {
    const isCheck = headers[':path'] === '/grpc.health.v1.Health/Check';
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': isCheck ? '0' : '12' }));
    stream.on('error', () => stream.destroy());
    stream.end(isCheck ? SERVING : undefined);
  });
  return new Promise((resolve) => server.listen(port, address, () => resolve(server)));
}

function talk(port: number, silence: number): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    const socket = net.connect(port, '127.0.0.1');
    socket.setTimeout((silence + 10) * 1000, () => socket.destroy(new Error('nothing came in time')));
    socket.once('data', () => setTimeout(() => socket.write('hello'), silence * 1000));
    socket.on('data', (data) => {
      said += data.toString();
      if (said.includes('hello')) socket.end();
    });
    socket.on('error', (error) => resolve(error.message));
    socket.on('close', () => resolve(said));
  });
}

function datagram(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket('udp4');
    const done = (text: string) => {
      clearTimeout(late);
      socket.close();
      resolve(text);
    };
    const late = setTimeout(() => done('nothing came in 5 s'), 5_000);
    socket.on('message', (data) => done(data.toString()));
    socket.on('error', (error) => done(error.message));
    socket.send('hello', port, '127.0.0.1');
  });
}

/** Asks the health service over TLS. @returns the message in hexadecimal digits, and the status of the trailers */
function checkHealth(ingress: Entrance, host: string): Promise<string> {
  return new Promise((resolve) => {
    const session = http2.connect(`https://${host}`, {
      createConnection: () =>
        tls.connect({
          host: '127.0.0.1',
          port: ingress.https,
          servername: host,
          ca: ingress.authority,
          ALPNProtocols: ['h2'],
        }),
    });
    const done = (text: string) => {
      clearTimeout(late);
      session.destroy();
      resolve(text);
    };
    const late = setTimeout(() => done('no answer in 10 s'), 10_000);
    session.on('error', (error) => done(error.message));
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const parts: Buffer[] = [];
    let status = 'none';
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('trailers', (trailers) => (status = String(trailers['grpc-status'])));
    stream.on('error', (error) => done(error.message));
    stream.on('end', () => done(`${Buffer.concat(parts).toString('hex')} ${status}`));
    stream.end(EMPTY);
  });
}
