import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Simulation } from '../simulation';
import type { Boot } from '.';
import { unpackHaproxy } from './haproxy';
import { Failure, program, Unexpected, type Context } from './program';
import { filesOf, start, systemctl, wanted } from './systemd';

/** Ubuntu as the cloud image has it: packages, users, systemd, the firewall of the kernel. */

/** What is not in its files. */
export interface Ubuntu {
  /** Of the disk that it stands for: another disk is another machine. */
  volume?: string;
  packages: string[];
  kernel: string;
  /** Text of the units that systemd has read, drop-ins included. */
  loaded: Record<string, string>;
  active: string[];
  /** Rules in force. */
  rules?: string;
  /** Commands of transient timers, by unit. */
  timers: Record<string, string[] | undefined>;
  /** Options of modules in the initramfs. */
  modprobe: string;
  /** A new one with each start of Ollama. */
  invocation: string;
}

const OLD_KERNEL = '6.8.0-71-generic';
const NEW_KERNEL = '6.17.0-14-generic';
const TIMER_OPTIONS = /^--(quiet|unit=.+|on-active=\d+|timer-property=AccuracySec=\d+s)$/;
const HOST_KERNEL = '6.17.2-1-pve';

export function ubuntuOf({ state }: Simulation, machine: string): Ubuntu {
  const all: Record<string, Ubuntu> = (state.extra.ubuntu ??= {});
  const volume = state.machines[machine]?.volume;
  if (all[machine] === undefined || all[machine].volume !== volume)
    all[machine] = {
      ...(volume && { volume }),
      packages: ['ca-certificates', 'curl', `linux-image-${OLD_KERNEL}`],
      kernel: OLD_KERNEL,
      loaded: {},
      active: [],
      timers: {},
      modprobe: '',
      invocation: '',
    };
  return all[machine];
}

/** Whether a unit runs. */
export function isActive(simulation: Simulation, machine: string, unit: string): boolean {
  return ubuntuOf(simulation, machine).active.includes(unit);
}

const on = ({ simulation, call }: Context) => ubuntuOf(simulation, call.machine);

export const ubuntu = [
  program(['proxmox', 'ubuntu'], ['uname'], (context) => {
    if (context.call.argv.join(' ') !== '-r') throw new Unexpected('only -r is known');
    const isHost = context.call.machine === 'host';
    return `${isHost ? (context.state.extra.kernel ?? HOST_KERNEL) : on(context).kernel}\n`;
  }),
  program(['ubuntu'], ['cloud-init'], ({ call, state }) => {
    if (call.argv.join(' ') !== 'status --format=json') throw new Unexpected('only status --format=json is known');
    const errors: string[] = state.extra.cloudInitErrors ?? [];
    const status = errors.length > 0 ? 'error' : 'done';
    return {
      stdout: JSON.stringify({ status, extended_status: status, errors, recoverable_errors: {} }),
      code: errors.length > 0 ? 1 : 0,
    };
  }),
  program(['ubuntu'], ['apt-get'], async (context) => {
    const words = withoutOptions(context.call.argv, ['-o']);
    const [command, ...names] = words;
    if (command === 'update') return 'Reading package lists...\n';
    // Without packages it mends what is broken, and nothing is here.
    const mends = command === 'install' && context.call.argv.includes('-f');
    if (command !== 'install' || (names.length === 0 && !mends)) throw new Unexpected(`apt-get ${words.join(' ')}`);
    if (names.length === 0) return '0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n';
    const { packages } = on(context);
    for (const name of names) {
      if (!/^[a-z0-9][a-z0-9.+-]+$/.test(name)) throw new Failure(`E: Unable to locate package ${name}`, 100);
      if (packages.includes(name)) continue;
      packages.push(name);
      if (name === 'haproxy') await installHaproxy(context);
      if (name.startsWith('linux-generic-hwe-')) packages.push(`linux-image-${NEW_KERNEL}`);
    }
    return `Setting up ${names.join(', ')} ...\n`;
  }),
  program(['ubuntu'], ['dpkg'], ({ call }) => {
    // Every package here is configured.
    if (call.argv.slice(-2).join(' ') === '--configure -a') return '';
    if (call.argv.join(' ') !== '--audit') throw new Unexpected('only --audit is known');
    return undefined;
  }),
  program(['ubuntu'], ['dpkg-query'], (context) => {
    const [option, flag, format, ...names] = context.call.argv;
    if (option !== '-W' || flag !== '-f' || format === undefined) throw new Unexpected('only -W -f FORMAT is known');
    const { packages } = on(context);
    const missing = names.filter((name) => !packages.includes(name));
    const stdout = names
      .filter((name) => packages.includes(name))
      .map((name) =>
        format
          .replaceAll('\\n', '\n')
          .replaceAll('${binary:Package}', name)
          .replaceAll('${db:Status-Status}', 'installed')
          .replaceAll('${source:Package}', name.endsWith(NEW_KERNEL) ? 'linux-signed-hwe-6.17' : 'linux-signed'),
      )
      .join('');
    const stderr = missing.map((name) => `dpkg-query: no packages found matching ${name}\n`).join('');
    return { stdout, stderr, code: missing.length > 0 ? 1 : 0 };
  }),
  program(['ubuntu'], ['update-initramfs'], (context) => {
    if (context.call.argv.join(' ') !== '-u -k all') throw new Unexpected('only -u -k all is known');
    on(context).modprobe = filesOf(context.path('/etc/modprobe.d'));
    return undefined;
  }),
  program(['ubuntu'], ['useradd'], ({ call, path }) => {
    const name = call.argv.at(-1)!;
    if (lines(path('/etc/passwd')).some((line) => line.startsWith(`${name}:`)))
      throw new Failure(`useradd: user '${name}' already exists`, 9);
    fs.appendFileSync(path('/etc/passwd'), `${name}:x:998:998::/usr/share/${name}:/usr/sbin/nologin\n`);
    fs.appendFileSync(path('/etc/group'), `${name}:x:998:\n`);
    fs.mkdirSync(path(`/usr/share/${name}`), { recursive: true });
    return undefined;
  }),
  program(['ubuntu'], ['usermod'], ({ call, path }) => {
    const [, , groups, user] = call.argv;
    if (!call.argv.join(' ').startsWith('--append --groups ')) throw new Unexpected('only --append --groups is known');
    const changed = lines(path('/etc/group')).map((line) => {
      const [name, , , members = ''] = line.split(':');
      const all = members.split(',').filter((each) => each !== '');
      if (!groups!.split(',').includes(name!) || all.includes(user!)) return line;
      return `${line.slice(0, line.lastIndexOf(':'))}:${[...all, user].join(',')}`;
    });
    fs.writeFileSync(path('/etc/group'), `${changed.join('\n')}\n`);
    return undefined;
  }),
  // In a user namespace there is nobody else that files could belong to.
  program(['ubuntu'], ['chown'], () => undefined),
  program(['ubuntu'], ['python3'], ({ call, path, simulation }) => {
    const { argv, machine } = call;
    if (argv[0] === '-m' && argv[1] === 'venv') {
      const folder = argv.at(-1)!;
      if (!ubuntuOf(simulation, machine).packages.includes('python3-venv'))
        throw new Failure('The virtual environment was not created successfully because ensurepip is not available.');
      if (argv.includes('--clear')) fs.rmSync(path(folder), { recursive: true, force: true });
      fs.mkdirSync(path(`${folder}/bin`), { recursive: true });
      fs.writeFileSync(path(`${folder}/bin/python`), '#!/bin/sh\nexec python3 "$@"\n', { mode: 0o755 });
      return undefined;
    }
    if (argv[0] === '-m' && argv[1] === 'pip' && argv[2] === 'install') return 'Successfully installed\n';
    throw new Unexpected(`python3 ${argv.join(' ')}`);
  }),
  program(['ubuntu'], ['nft'], (context) => {
    const { argv } = context.call;
    const machine = on(context);
    if (!machine.packages.includes('nftables')) throw new Failure('nft: command not found', 127);
    const words = argv.join(' ');
    if (words === 'list table inet collab_homelab') {
      if (machine.rules === undefined) throw new Failure('Error: No such file or directory');
      return machine.rules.slice(machine.rules.indexOf('table inet collab_homelab {'));
    }
    if (words === 'delete table inet collab_homelab') {
      if (machine.rules === undefined) throw new Failure('Error: No such file or directory');
      delete machine.rules;
      return undefined;
    }
    const file = argv.at(-1)!;
    if (!['-c -f', '-f'].includes(argv.slice(0, -1).join(' '))) throw new Unexpected(`nft ${words}`);
    const rules = fs.existsSync(context.path(file)) ? fs.readFileSync(context.path(file), 'utf8') : '';
    if (!rules.endsWith('}\n')) throw new Failure(`${file}: Error: syntax error, unexpected end of file`);
    if (argv[0] === '-f') machine.rules = rules;
  }),
  program(['ubuntu'], ['systemd-run'], (context) => {
    const unit = /^--unit=(.+)$/.exec(context.call.argv.find((word) => word.startsWith('--unit=')) ?? '')?.[1];
    if (unit === undefined || !context.call.argv.some((word) => word.startsWith('--on-active=')))
      throw new Unexpected('only timers are known');
    const unknown = context.call.argv.find((word) => word.startsWith('--') && !TIMER_OPTIONS.test(word));
    if (unknown !== undefined) throw new Unexpected(`systemd-run ${unknown}`);
    const { timers } = on(context);
    if (timers[unit]) throw new Failure(`Failed to start transient timer unit: Unit ${unit}.timer was already loaded.`);
    timers[unit] = context.call.argv.filter((word) => !word.startsWith('--'));
    return undefined;
  }),
  program(['ubuntu'], ['journalctl'], (context) => {
    const wanted = context.call.argv.find((word) => word.startsWith('_SYSTEMD_INVOCATION_ID='))?.split('=')[1];
    if (wanted === undefined) return 'nothing of interest\n';
    if (wanted !== on(context).invocation) return '';
    return `time=2026 level=INFO source=routes.go msg="server config"\n${context.state.extra.ollama?.[context.call.machine]?.log ?? ''}`;
  }),
  program(['ubuntu'], ['systemctl'], systemctl),
];

export const bootOfUbuntu: Boot = {
  kinds: ['ubuntu'],
  run(simulation, machine) {
    const it = ubuntuOf(simulation, machine);
    const folder = simulation.files(machine);
    it.kernel = it.packages.includes(`linux-image-${NEW_KERNEL}`) ? NEW_KERNEL : OLD_KERNEL;
    it.active = [];
    it.timers = {};
    it.loaded = {};
    delete it.rules;
    for (const path of ['run/ollama', 'run/collab-homelab'])
      fs.rmSync(join(folder, path), { recursive: true, force: true });
    const parameters = join(folder, 'sys/module/ttm/parameters');
    fs.rmSync(parameters, { recursive: true, force: true });
    if (hasGpu(simulation, machine)) {
      const limit = /^options ttm .*\bpages_limit=(\d+)/m.exec(it.modprobe)?.[1] ?? '4194304';
      fs.mkdirSync(parameters, { recursive: true });
      fs.writeFileSync(join(parameters, 'pages_limit'), `${limit}\n`);
    }
    showDevices(simulation, machine);
    for (const unit of wanted(folder)) void start(simulation, machine, unit).catch(() => undefined);
  },
};

/** Ubuntu's package enables its unit and starts it. Where that fails, apt fails. */
async function installHaproxy({ simulation, call, path }: Context): Promise<void> {
  unpackHaproxy(simulation, call.machine);
  const wants = path('/etc/systemd/system/multi-user.target.wants');
  fs.mkdirSync(wants, { recursive: true });
  fs.writeFileSync(join(wants, 'haproxy.service'), '');
  await start(simulation, call.machine, 'haproxy.service');
}

/** Vendor and class of what is on the PCI bus: Proxmox' own display, and each device that is handed over on a bus of its own. */
function showDevices(simulation: Simulation, machine: string): void {
  const devices = join(simulation.files(machine), 'sys/bus/pci/devices');
  fs.rmSync(devices, { recursive: true, force: true });
  const found: Record<string, [string, string]> = {
    '0000:00:01.0': ['0x1234', '0x030000'],
    ...(hasGpu(simulation, machine) && {
      [GPU_ADDRESS]: ['0x1002', '0x030000'],
      '0000:02:00.0': ['0x1002', '0x040300'],
    }),
  };
  for (const [address, [vendor, kind]] of Object.entries(found)) {
    fs.mkdirSync(join(devices, address), { recursive: true });
    fs.writeFileSync(join(devices, address, 'vendor'), `${vendor}\n`);
    fs.writeFileSync(join(devices, address, 'class'), `${kind}\n`);
  }
}

/** Behind the first port of q35 (isc30/ryzen-gpu-passthrough-proxmox#68). */
export const GPU_ADDRESS = '0000:01:00.0';

export function hasGpu({ state }: Simulation, machine: string): boolean {
  const { vmid } = state.machines[machine]!;
  return state.vms[vmid!]?.started?.hostpci0 !== undefined;
}

/** The end of the time that a change of the firewall has. @returns once its command has ended, if there was one to run */
export function timerEnds(simulation: Simulation, machine: string, unit: string): Promise<void> {
  const { timers } = ubuntuOf(simulation, machine);
  const command = timers[unit];
  timers[unit] = undefined;
  if (command === undefined) return Promise.resolve();
  const child = simulation.spawn(machine, 'root', command);
  child.stdin.end();
  child.stdout.resume();
  child.stderr.resume();
  return new Promise((done) => child.once('close', () => done()));
}

function lines(file: string): string[] {
  return fs
    .readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}

function withoutOptions(argv: readonly string[], withValue: readonly string[]): string[] {
  return argv.filter((word, index) => !word.startsWith('-') && !withValue.includes(argv[index - 1] ?? ''));
}
