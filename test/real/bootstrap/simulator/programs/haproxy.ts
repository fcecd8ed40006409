import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import type { Simulation } from '../simulation';
import { askOllama, ollamaOf } from './ollama';
import { Failure, program, Unexpected } from './program';
import { isActive, ubuntuOf } from './ubuntu';

/**
 * HAProxy on a simulated machine: what the bootstrap asks of it. Answers are those of haproxy 2.6.12 and socat 1.7.4, which were asked the
 * same. Limits, queues and models are not here: the suite `models` has them, with the real one.
 */
export interface Haproxy {
  /** Text of the configuration that runs. */
  config: string;
  /** Maps of the process by path: entries by version. */
  maps: Record<string, Patterns>;
}

/** A map as src/pattern.c keeps it: a version is made beside the current one, and takes its place by a commit. */
interface Patterns {
  current: number;
  next: number;
  versions: Record<number, string[]>;
}

interface Question {
  readonly url: URL;
  readonly method: string;
  readonly headers: readonly string[];
}

const CONFIG = '/etc/haproxy/haproxy.cfg';
const UNIT = 'haproxy.service';
/** What Ubuntu's package brings, as far as it is read here: debian/haproxy.cfg and debian/haproxy.service. */
const PACKAGE: Readonly<Record<string, string>> = {
  [CONFIG]: 'global\n\tstats socket /run/haproxy/admin.sock mode 660 level admin\n\tdaemon\n\ndefaults\n\tmode\thttp\n',
  [`/usr/lib/systemd/system/${UNIT}`]:
    '[Service]\nExecStart=/usr/sbin/haproxy -Ws -f $CONFIG -p $PIDFILE $EXTRAOPTS\nType=notify\n\n[Install]\nWantedBy=multi-user.target\n',
};
const SECTIONS = /^(global|defaults|(frontend|backend) [\w-]+)$/;

export function haproxyOf({ state }: Simulation, machine: string): Haproxy {
  const all: Record<string, Haproxy> = (state.extra.haproxy ??= {});
  return (all[machine] ??= { config: '', maps: {} });
}

/** Files of the package: a configuration that is there already stays. The caller enables and starts the unit, as debhelper's script does. */
export function unpackHaproxy(simulation: Simulation, machine: string): void {
  for (const [path, text] of Object.entries(PACKAGE)) {
    const file = join(simulation.files(machine), path);
    if (fs.existsSync(file)) continue;
    fs.mkdirSync(dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  }
}

/** Takes the configuration and the maps from the files; a process that runs is replaced. @throws Failure where it cannot */
export function startHaproxy(simulation: Simulation, machine: string): void {
  const failed = `Job for ${UNIT} failed because the control process exited with error code.`;
  if (wrongIn(simulation, machine, CONFIG) !== undefined) throw new Failure(failed);
  const config = read(simulation, machine, CONFIG)!;
  const ollama = ollamaOf(simulation, machine);
  const taken = isActive(simulation, machine, 'ollama.service') && ollama.env.OLLAMA_HOST?.startsWith('0.0.0.0:');
  // "cannot bind socket (Address already in use)", and it ends. `haproxy -c` does not see it.
  if (taken && bindsOf(config).some((bind) => bind.endsWith(`:${ollama.port}`))) throw new Failure(failed);
  const maps = mapsOf(config).map((path): [string, Patterns] => [
    path,
    { current: 0, next: 0, versions: { 0: linesOf(read(simulation, machine, path)!) } },
  ]);
  Object.assign(haproxyOf(simulation, machine), { config, maps: Object.fromEntries(maps) });
}

/** Whether it listens on a port, on whatever address. */
export function haproxyTakes(simulation: Simulation, machine: string, port: number): boolean {
  const { config } = haproxyOf(simulation, machine);
  return isActive(simulation, machine, UNIT) && bindsOf(config).some((bind) => bind.endsWith(`:${port}`));
}

export const haproxy = [
  program(['ubuntu'], ['haproxy'], ({ simulation, call }) => {
    assertInstalled(simulation, call.machine, 'haproxy');
    const [check, option, path] = call.argv;
    if (check !== '-c' || option !== '-f' || path === undefined) throw new Unexpected('only -c -f FILE is known');
    const wrong = wrongIn(simulation, call.machine, path);
    if (wrong !== undefined) throw new Failure(`[ALERT]    (1) : config : ${wrong}`);
    return 'Configuration file is valid\n';
  }),
  program(['ubuntu'], ['socat'], async ({ simulation, call, stdin }) => {
    assertInstalled(simulation, call.machine, 'socat');
    const socket = /^-t \d+ - UNIX-CONNECT:(\S+)$/.exec(call.argv.join(' '))?.[1];
    if (socket === undefined) throw new Unexpected('only -t SECONDS - UNIX-CONNECT:PATH is known');
    const it = haproxyOf(simulation, call.machine);
    if (!isActive(simulation, call.machine, UNIT) || !it.config.includes(`stats socket ${socket} `))
      throw new Failure(`socat[1] E connect(, AF=1 "${socket}", ${socket.length + 3}): No such file or directory`);
    return answerTo(it, (await stdin()).toString());
  }),
];

/** A command on the admin socket. An empty line ends each answer. */
function answerTo(it: Haproxy, input: string): string {
  const [command, ...payload] = input.split('\n');
  if (command === 'show info') {
    const description = /^\s+description (.+)$/m.exec(it.config)?.[1];
    return `Name: HAProxy\nVersion: 2.8.16-0ubuntu0.24.04.1\n${description === undefined ? '' : `description: ${description}\n`}\n`;
  }
  const [, verb, version, path] = /^(show|prepare|add|commit) map (?:@(\d+) )?(\S+)/.exec(command!) ?? [];
  if (verb === undefined) throw new Unexpected(`command of the admin socket: ${command}`);
  const map = it.maps[path!];
  if (map === undefined) return 'Unknown map identifier. Please use #<id> or <file>.\n\n';
  const number = Number(version);
  switch (verb) {
    case 'show':
      return `${map.versions[map.current]!.map((line, index) => `0x56328c0a${(0x5190 + 80 * index).toString(16)} ${line}\n`).join('')}\n`;
    case 'prepare':
      map.versions[++map.next] = [];
      return `New version created: ${map.next}\n\n`;
    case 'add':
      if (!command!.endsWith(' <<')) throw new Unexpected(`command of the admin socket: ${command}`);
      if (number > map.next) return "Version number in the future, please use 'prepare map' before.\n\n";
      (map.versions[number] ??= []).push(...payload.slice(0, payload.indexOf('')));
      return '\n';
    default:
      if (number > map.next || number < map.current) return 'Version number out of range.\n\n';
      map.current = number;
      map.versions = Object.fromEntries(Object.entries(map.versions).filter(([each]) => Number(each) >= number));
      return '\n';
  }
}

/** What it answers to a client on its machine, or undefined where it does not listen. */
export function askHaproxy(
  simulation: Simulation,
  machine: string,
  { url, method, headers }: Question,
): { readonly code: number; readonly body: string } | undefined {
  const { config, maps } = haproxyOf(simulation, machine);
  const frontend = sectionsOf(config).find((text) => bindsOf(text).includes(url.host));
  if (!isActive(simulation, machine, UNIT) || frontend === undefined) return undefined;
  const refused = (code: number) => ({ code, body: '' });
  if (frontend.includes('use-service prometheus-exporter')) {
    if (url.pathname !== '/metrics') return refused(404);
    const backends = [...config.matchAll(/^backend (\S+)$/gm)].map(([, name]) => name);
    const lines = backends.map((name) => `haproxy_backend_current_queue{proxy="${name}"} 0\n`);
    return { code: 200, body: `# TYPE haproxy_backend_current_queue gauge\n${lines.join('')}` };
  }
  const key = headers.map((line) => /^Authorization: Bearer (.+)$/.exec(line)?.[1]).find((each) => each !== undefined);
  const digest = createHash('sha256')
    .update(key ?? '')
    .digest('hex');
  const { current, versions } = maps[mapsOf(frontend)[0]!]!;
  if (!versions[current]!.some((line) => line.startsWith(`${digest} `))) return refused(401);
  const paths = (acl: string) => new RegExp(`^\\s+acl ${acl} path (.+)$`, 'm').exec(frontend)?.[1]?.split(' ') ?? [];
  if (![...paths('asks'), ...paths('lists')].includes(url.pathname)) return refused(403);
  if (method !== 'GET') throw new Unexpected(`${method} ${url.pathname} through the proxy`);
  const { port } = /server ollama (?:127\.0\.0\.1):(?<port>\d+)/.exec(config)!.groups!;
  return askOllama(simulation, machine, new URL(`http://127.0.0.1:${port}${url.pathname}`), undefined) ?? refused(503);
}

/** Why a configuration is refused. What the words of a line mean is not checked here. */
function wrongIn(simulation: Simulation, machine: string, path: string): string | undefined {
  const config = read(simulation, machine, path);
  if (config === undefined) return `Cannot open configuration file/directory ${path} : No such file or directory`;
  const unknown = config.split('\n').find((line) => /^[^\s#]/.test(line) && !SECTIONS.test(line));
  if (unknown !== undefined) return `parsing [${path}:1]: unknown keyword '${unknown}' out of section.`;
  const missing = mapsOf(config).find((map) => read(simulation, machine, map) === undefined);
  return missing && `parsing [${path}:1] : failed to open pattern file <${missing}>.`;
}

function assertInstalled(simulation: Simulation, machine: string, name: string): void {
  if (!ubuntuOf(simulation, machine).packages.includes(name))
    throw new Failure(`bash: line 1: ${name}: command not found`, 127);
}

function read(simulation: Simulation, machine: string, path: string): string | undefined {
  const file = join(simulation.files(machine), path);
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined;
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

function sectionsOf(config: string): string[] {
  return config.split(/^(?=\w)/m);
}

function bindsOf(config: string): string[] {
  return [...config.matchAll(/^\s+bind (\S+)$/gm)].map(([, bind]) => bind!);
}

function mapsOf(config: string): string[] {
  return [...config.matchAll(/\bmap_str\(([^)]+)\)/g)].map(([, path]) => path!);
}
