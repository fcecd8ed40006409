'use strict';
// The kubectl of a test with a kubelet that has no port. `exec`, `logs` and `port-forward`, which kubectl passes on to a kubelet,
// are answered by the test; the pod must be known to the API server. All else is the real kubectl's.
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { get } = require('node:http');
const { createServer } = require('node:net');

const [, , real, socketPath, ...args] = process.argv;
const WITH_VALUE = [
  '-n',
  '--namespace',
  '-c',
  '--container',
  '--kubeconfig',
  '--request-timeout',
  '--context',
  '--address',
];
const NETWORK =
  "const s = require('node:net').connect(+process.argv[1], '127.0.0.1'); process.stdin.pipe(s); s.pipe(process.stdout); s.on('error', (e) => { console.error(e.message); process.exit(1) })";

function parsed() {
  const options = new Map();
  const words = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at];
    if (arg === '--') return { options, words, command: args.slice(at + 1) };
    if (!arg.startsWith('-')) words.push(arg);
    else if (WITH_VALUE.includes(arg)) options.set(arg, args[++at]);
    else options.set(arg.split('=')[0], arg.slice(arg.indexOf('=') + 1));
  }
  return { options, words, command: [] };
}

const { options, words, command } = parsed();
const [verb, target = ''] = words;
const option = (...names) => names.map((name) => options.get(name)).find((value) => value !== undefined);
const namespace = option('-n', '--namespace') ?? 'default';
const pod = target.replace(/^pods?\//, '');

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}

/** What the kubelet of the test says of a container, once the API server has said that its pod is there. */
function place(then) {
  const to = ['--kubeconfig', '--request-timeout', '--context'].filter((name) => options.has(name));
  const known = spawnSync(real, [
    ...to.map((name) => `${name}=${options.get(name)}`),
    '-n',
    namespace,
    'get',
    'pod',
    pod,
  ]);
  if (known.status !== 0) fail(known.stderr.toString().trim());
  const asked = new URLSearchParams({ namespace, pod, container: option('-c', '--container') ?? '' });
  get({ socketPath, path: `/?${asked}` }, async (response) => {
    const answer = JSON.parse((await response.toArray()).join(''));
    if (answer.problem) fail(answer.problem);
    then(answer);
  }).on('error', (error) => fail(`the kubelet of the test does not answer: ${error.message}`));
}

/** What runs in the container hears of an end by its input alone, and is not ended by one here, as behind a kubelet. */
function exec({ entry }) {
  if (entry === undefined) fail('unable to upgrade connection: container not found');
  const interactive = options.has('-i') || options.has('--stdin');
  const child = spawn('nsenter', [...entry, ...command], {
    stdio: [interactive ? 'pipe' : 'ignore', 'inherit', 'inherit'],
  });
  if (interactive) process.stdin.pipe(child.stdin.on('error', () => undefined));
  child.once('exit', (code) => {
    if (code !== 0) console.error(`command terminated with exit code ${code ?? 137}`);
    process.exit(code ?? 137);
  });
}

function forward({ network }) {
  const [, port] = /^\d*:?(\d+)$/.exec(words[2]);
  const children = new Set();
  const server = createServer((socket) => {
    const inside = ['-t', String(network), '-n', process.execPath, '-e', NETWORK, port];
    const child = spawn('nsenter', inside, { stdio: ['pipe', 'pipe', 'inherit'] });
    children.add(child);
    child.once('exit', () => (children.delete(child), socket.destroy()));
    child.stdin.on('error', () => socket.destroy());
    socket.once('close', () => child.kill()).on('error', () => child.kill());
    socket.pipe(child.stdin);
    child.stdout.pipe(socket);
  });
  server.listen(0, '127.0.0.1', () => console.log(`Forwarding from 127.0.0.1:${server.address().port} -> ${port}`));
  for (const signal of ['SIGTERM', 'SIGINT'])
    process.on(signal, () => {
      for (const child of children) child.kill();
      process.exit(0);
    });
}

if (verb === 'exec') place(exec);
else if (verb === 'logs') place(({ log }) => process.stdout.write(fs.existsSync(log) ? fs.readFileSync(log) : ''));
else if (verb === 'port-forward') place(forward);
else {
  const child = spawn(real, args, { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => child.kill(signal));
  child.once('exit', (code) => process.exit(code ?? 1));
}
