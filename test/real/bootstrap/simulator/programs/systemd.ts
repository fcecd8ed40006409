import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { rebootVm } from '../life';
import type { Simulation } from '../simulation';
import { startHaproxy } from './haproxy';
import { startOllama } from './ollama';
import { Failure, Unexpected, type Answer, type Context } from './program';
import { ubuntuOf, type Ubuntu } from './ubuntu';

/** Of the administrator; those of packages come after them. */
const OWN_UNITS = 'etc/systemd/system';

/** systemctl as our scripts call it: units below /etc and of packages, what runs, and what starts at boot. */
export async function systemctl(context: Context): Promise<Answer | string | undefined> {
  const { simulation, call, path } = context;
  const { machine } = call;
  const it = ubuntuOf(simulation, machine);
  const words = call.argv.filter((word) => !['--quiet', '--now', '--value'].includes(word));
  const [command, ...rest] = words;
  const units = rest.filter((word, index) => word !== '-p' && rest[index - 1] !== '-p');
  const unit = units[0] ?? '';
  const isThere = fileOf(simulation, machine, unit) !== undefined;
  switch (command) {
    case 'reboot': {
      const { vmid } = context.state.machines[machine]!;
      setTimeout(() => rebootVm(simulation, vmid!), 20);
      return undefined;
    }
    case 'is-system-running':
      return 'running\n';
    case 'daemon-reload':
      for (const each of Object.keys(it.loaded)) it.loaded[each] = textOf(simulation, machine, each);
      return undefined;
    case 'enable':
    case 'disable': {
      if (!isThere) throw new Failure(`Failed to ${command} unit: Unit file ${unit} does not exist.`);
      const target = /^WantedBy=(\S+)$/m.exec(textOf(simulation, machine, unit))![1];
      const link = path(`/${OWN_UNITS}/${target}.wants/${unit}`);
      fs.rmSync(link, { force: true });
      if (command === 'enable') {
        fs.mkdirSync(dirname(link), { recursive: true });
        fs.writeFileSync(link, '');
      } else if (call.argv.includes('--now')) stop(it, unit);
      return undefined;
    }
    case 'is-enabled': {
      if (!isThere) return { stdout: 'not-found\n', code: 4 };
      const isEnabled = wanted(simulation.files(machine)).includes(unit);
      return { stdout: isEnabled ? 'enabled\n' : 'disabled\n', code: isEnabled ? 0 : 1 };
    }
    case 'is-active':
      return it.active.includes(unit) ? 'active\n' : { stdout: 'inactive\n', code: 3 };
    case 'show': {
      const property = rest[rest.indexOf('-p') + 1];
      if (property === 'InvocationID') return `${it.active.includes(unit) ? it.invocation : ''}\n`;
      if (property !== 'NeedDaemonReload') throw new Unexpected(`systemctl show -p ${property}`);
      const loaded = it.loaded[unit];
      return `${loaded !== undefined && loaded !== textOf(simulation, machine, unit) ? 'yes' : 'no'}\n`;
    }
    case 'reset-failed':
      return undefined;
    case 'stop':
      for (const each of units) {
        if (each.endsWith('.timer')) it.timers[each.replace(/\.timer$/, '')] = undefined;
        else stop(it, each);
      }
      return undefined;
    case 'restart':
      stop(it, unit);
      await start(simulation, machine, unit);
      return undefined;
    case 'reload-or-restart':
      if (unit !== 'haproxy.service') throw new Unexpected(`systemctl reload-or-restart ${unit}`);
      // ExecReload of the unit: haproxy -c, then SIGUSR2. Both read the files again.
      if (it.active.includes(unit)) startHaproxy(simulation, machine);
      else await start(simulation, machine, unit);
      return undefined;
    case 'start':
      if (!it.active.includes(unit)) await start(simulation, machine, unit);
      return undefined;
  }
  throw new Unexpected(`systemctl ${call.argv.join(' ')} on Ubuntu`);
}

function stop(it: Ubuntu, unit: string): void {
  it.active = it.active.filter((each) => each !== unit);
}

export async function start(simulation: Simulation, machine: string, unit: string): Promise<void> {
  const it = ubuntuOf(simulation, machine);
  const text = (it.loaded[unit] ??= textOf(simulation, machine, unit));
  if (text === '') throw new Failure(`Failed to start ${unit}: Unit ${unit} not found.`, 5);
  if (unit === 'ollama.service') {
    it.invocation = randomUUID().replaceAll('-', '');
    startOllama(simulation, machine, text);
    it.active.push(unit);
    // What wants it comes up with it, and goes down with it.
    const more = fs.existsSync(join(simulation.files(machine), OWN_UNITS, 'ollama.service.wants'));
    stop(it, 'collab-homelab-models.service');
    if (more) void start(simulation, machine, 'collab-homelab-models.service').catch(() => undefined);
    return;
  }
  if (unit === 'haproxy.service') {
    startHaproxy(simulation, machine);
    it.active.push(unit);
    return;
  }
  if (!hasConditions(simulation, machine, text)) return;
  const [program, ...args] = /^ExecStart=(.+)$/m.exec(text)?.[1]?.split(' ') ?? [];
  if (program === undefined) throw new Unexpected(`no ExecStart in ${unit}`);
  // A simulated one stands in the place of the system's own, which may not be there.
  const own = fs.existsSync(join(simulation.files(machine), program));
  const child = simulation.spawn(machine, 'root', [own ? program : basename(program), ...args]);
  child.stdin.end();
  child.stdout.resume();
  child.stderr.resume();
  const code = await new Promise((done) => child.once('close', done));
  if (code !== 0) throw new Failure(`Job for ${unit} failed because the control process exited with error code.`);
  it.active.push(unit);
}

/** Every condition of a unit is met, or one of those with a bar. Without that it does not start, which is no failure. */
function hasConditions(simulation: Simulation, machine: string, text: string): boolean {
  const all = [...text.matchAll(/^ConditionPathExists=(\|?)(.+)$/gm)].map(([, bar, path]) => ({
    isOneOf: bar !== '',
    isMet: fs.existsSync(join(simulation.files(machine), path!)),
  }));
  const oneOf = all.filter(({ isOneOf }) => isOneOf);
  return (
    all.every(({ isOneOf, isMet }) => isOneOf || isMet) && (oneOf.length === 0 || oneOf.some(({ isMet }) => isMet))
  );
}

/** Units that are enabled, wanted by targets. */
export function wanted(folder: string): string[] {
  const units = join(folder, OWN_UNITS);
  if (!fs.existsSync(units)) return [];
  return fs
    .readdirSync(units)
    .filter((entry) => entry.endsWith('.wants'))
    .flatMap((entry) => fs.readdirSync(join(units, entry)))
    .sort();
}

function fileOf(simulation: Simulation, machine: string, unit: string): string | undefined {
  const files = [OWN_UNITS, 'usr/lib/systemd/system'].map((folder) => join(simulation.files(machine), folder, unit));
  return files.find((file) => fs.existsSync(file));
}

function textOf(simulation: Simulation, machine: string, unit: string): string {
  const file = fileOf(simulation, machine, unit);
  if (file === undefined) return '';
  return fs.readFileSync(file, 'utf8') + filesOf(join(simulation.files(machine), OWN_UNITS, `${unit}.d`));
}

export function filesOf(folder: string): string {
  if (!fs.existsSync(folder)) return '';
  const names = fs
    .readdirSync(folder)
    .filter((name) => name.endsWith('.conf'))
    .sort();
  return names.map((name) => fs.readFileSync(join(folder, name), 'utf8')).join('\n');
}
