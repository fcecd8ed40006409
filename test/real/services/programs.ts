import type { StandIn } from '../node/stand-in';
import { nodeParts } from '../node/prober';

/** Images of the suite: programs of a few lines that nobody wrote for our defaults. */
export const HTTP_APP = 'example.org/http-app:1.0.0';
export const GRPC_APP = 'example.org/grpc-app:1.0.0';
export const WORKER = 'example.org/worker:1.0.0';

const NODE = '/usr/local/bin/node';
const PATH = '/usr/local/bin:/usr/bin:/bin';
const USERS = 'root:x:0:0:root:/root:/bin/sh\n';

/**
 * An ordinary HTTP server. /env tells its variables, /files?path= what a file holds, /write?path= whether it can write there,
 * /eat?bytes= takes memory, /get?url= what another server answers. SIGTERM ends it once its requests are answered.
 */
const HTTP_SERVER = `
const http = require('http'), fs = require('fs');
const port = Number(process.env.PORT ?? 8080);
const started = Date.now();
const after = Number(process.env.READY_AFTER ?? 0) * 1000;
const answer = (response, code, text) => { response.writeHead(code); response.end(text); };
const tried = (response, act) => { try { answer(response, 200, String(act() ?? '')); } catch (error) { answer(response, 500, error.message); } };
const server = http.createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://here');
  const path = searchParams.get('path');
  if (pathname === '/healthz' || pathname === '/readyz') return answer(response, Date.now() - started < after ? 503 : 200, 'ok');
  if (pathname === '/headers') return answer(response, request.headers['x-probe'] === 'yes' ? 200 : 403, '');
  if (pathname === '/env') return answer(response, 200, JSON.stringify(process.env));
  if (pathname === '/files') return tried(response, () => fs.readFileSync(path, 'latin1'));
  if (pathname === '/list') return tried(response, () => fs.readdirSync(path).join());
  if (pathname === '/write') return tried(response, () => fs.writeFileSync(path, 'written'));
  if (pathname === '/eat') return answer(response, 200, String((globalThis.eaten = Buffer.alloc(Number(searchParams.get('bytes')), 1)).length));
  if (pathname === '/get') return http.get(searchParams.get('url'), (other) => { let text = ''; other.on('data', (part) => (text += part)).on('end', () => answer(response, other.statusCode, text)); }).on('error', (error) => answer(response, 502, error.message));
  answer(response, 404, 'not here');
});
process.on('SIGTERM', () => { console.log('SIGTERM'); server.close(() => process.exit(0)); server.closeIdleConnections(); });
if (process.env.PID_FILE) fs.writeFileSync(process.env.PID_FILE, String(process.pid));
server.listen(port, () => console.log('listening on ' + port));
`;

/** A worker: no port; says by a file that it is at work. Each line of the log is one piece of work. */
const WORKING = `
const fs = require('fs');
const file = process.env.HEARTBEAT ?? '/tmp/heartbeat';
let done = 0;
setInterval(() => { fs.writeFileSync(file, String(Date.now())); console.log('done ' + ++done); }, 200);
process.on('SIGTERM', () => { console.log('SIGTERM'); process.exit(0); });
`;

/** What stands in for the images of the suite. */
export function programs(): Readonly<Record<string, StandIn>> {
  const node = { [NODE]: process.execPath };
  const image = (file: string, text: string): StandIn => ({
    files: { [file]: text, '/etc/passwd': USERS, '/etc/app/of-the-image.txt': 'of the image' },
    mounts: node,
    lacks: [],
    env: { PATH },
    entrypoint: [NODE, file],
  });
  return {
    [HTTP_APP]: image('/app/server.js', HTTP_SERVER),
    [WORKER]: image('/app/worker.js', WORKING),
    // For the scripts that check a mount: sh, awk and mkdir are this machine's.
    'docker.io/library/python': {
      files: { '/etc/passwd': USERS },
      mounts: {},
      lacks: ['/usr/bin/curl', '/usr/bin/jq', '/usr/bin/bash'],
      env: { PATH },
    },
    [GRPC_APP]: {
      files: { '/etc/passwd': USERS },
      mounts: { '/usr/local/bin/server': nodeParts() },
      lacks: [],
      env: { PATH },
      entrypoint: ['/usr/local/bin/server', 'health'],
    },
  };
}
