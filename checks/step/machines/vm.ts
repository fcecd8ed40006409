import { bytes } from './sizes';
import { APPLY, maintenance, type Finding } from './finding';

/** A virtual machine, read from its command file. */
export interface Vm {
  readonly host: string;
  readonly vmid: string;
  readonly name: string;
  /** Options of qm create. */
  readonly settings: ReadonlyMap<string, string>;
  /** In bytes. */
  readonly system: number;
  /** By serial. */
  readonly disks: ReadonlyMap<string, Disk>;
}

interface Disk {
  readonly storage: string;
  /** In bytes. */
  readonly size: number;
  readonly options: string;
}

/** Reads HOST/vms/ID-NAME.sh. */
export function vmOf(path: string, text: string): Vm {
  const [, host = '', vmid = '', name = ''] = /^(.+)\/vms\/(\d+)-(.+)\.sh$/.exec(path) ?? [];
  const settings = new Map<string, string>();
  const disks = new Map<string, Disk>();
  let system = 0;
  for (const command of text
    .replace(/ \\\n +/g, '\n')
    .split(/^qm /m)
    .slice(1)) {
    const [head = '', ...options] = command.trim().split('\n');
    const size = /^disk resize \d+ \S+ (\S+)$/.exec(head)?.[1];
    if (size !== undefined) system = bytes(size);
    for (const option of options) {
      const [, key = '', value = ''] = /^--(\S+) (.*)$/.exec(option) ?? [];
      const serial = /(?:^|,)serial=([^,]+)/.exec(value)?.[1];
      if (serial !== undefined) disks.set(serial, diskOf(value));
      else if (head.startsWith('create ')) settings.set(key, value);
    }
  }
  return { host, vmid, name, settings, system, disks };
}

function diskOf(value: string): Disk {
  const [volume = '', ...options] = value.split(',');
  const [storage = '', size = '0'] = volume.split(':');
  return { storage, size: Number(size) * 1024 ** 3, options: options.sort().join(',') };
}

/** The effects of a changed machine. @param isNode whether it runs Talos @param moved machine that has a disk now, by its serial */
export function vmFindings(before: Vm, after: Vm, isNode: boolean, moved: ReadonlyMap<string, string>): Finding[] {
  const machines = [after.name];
  const start = isNode ? maintenance(after.name, APPLY.vms, true) : `${APPLY.vms}, then ${APPLY.aiVm}`;
  if (before.host !== after.host) return [elsewhere(before, after)];
  return [
    ...(before.name === after.name ? [] : [renamed(before, after)]),
    ...settingsFindings(before, after).map(({ restart, reason }) => ({
      machines,
      effect: restart ? ('next-start' as const) : ('live' as const),
      reason,
      command: restart ? start : APPLY.vms,
    })),
    ...systemDisk(before, after, start),
    ...[...new Set([...before.disks.keys(), ...after.disks.keys()])].flatMap((serial) =>
      dataDisk(serial, before, after, start, moved),
    ),
  ];
}

function elsewhere(before: Vm, after: Vm): Finding {
  const disks = [...before.disks.keys()];
  return {
    machines: [after.name],
    effect: disks.length > 0 ? 'data' : 'new-machine',
    reason: `${after.name} is created on ${after.host}, and the one on ${before.host} keeps running until you remove it${disks.length > 0 ? `; nothing copies its disks ${disks.join(', ')}` : ''}`,
    command: APPLY.vms,
  };
}

function renamed(before: Vm, after: Vm): Finding {
  return {
    machines: [after.name],
    effect: before.disks.size > 0 ? 'data' : 'live',
    reason: `VM ${after.vmid} is named ${after.name} instead of ${before.name}: a node that registers under another name cannot use its local volumes`,
    command: APPLY.vms,
  };
}

/** Options that a running virtual machine applies at once. Other options wait for its next start. */
const AT_ONCE = /^(name|description|onboot|startup|protection|ipconfig\d+|nameserver|cicustom|net\d+)$/;

function settingsFindings({ settings: old }: Vm, { settings }: Vm): { restart: boolean; reason: string }[] {
  return [...new Set([...old.keys(), ...settings.keys()])]
    .filter((key) => key !== 'name' && key !== 'description' && old.get(key) !== settings.get(key))
    .map((key) => {
      const what = `${key} ${old.get(key) ?? 'unset'} becomes ${settings.get(key) ?? 'unset'}`;
      if (!settings.has(key)) return { restart: false, reason: `${what}: the bootstrap removes no settings` };
      if (/^net\d+$/.test(key))
        return {
          restart: false,
          reason: `${what}: the network card is replaced at once; the network is down for a moment`,
        };
      return AT_ONCE.test(key)
        ? { restart: false, reason: `${what} while it runs` }
        : { restart: true, reason: `${what} after the VM was stopped and started` };
    });
}

function systemDisk(before: Vm, after: Vm, start: string): Finding[] {
  if (before.system === after.system) return [];
  const what = `system disk ${gibibytes(before.system)} becomes ${gibibytes(after.system)}`;
  const machines = [after.name];
  if (after.system < before.system)
    return [{ machines, effect: 'nothing', reason: `${what}: a disk cannot shrink, apply vms refuses it` }];
  return [
    {
      machines,
      effect: 'next-start',
      reason: `${what}: it grows at once, its file system at the next start`,
      command: start,
    },
  ];
}

function dataDisk(serial: string, before: Vm, after: Vm, start: string, moved: ReadonlyMap<string, string>): Finding[] {
  const [was, is] = [before.disks.get(serial), after.disks.get(serial)];
  const machines = [after.name];
  if (!was) {
    const from = moved.get(`from ${serial}`);
    if (from === undefined)
      return [{ machines, effect: 'live', reason: `gets the new, empty disk ${serial}`, command: APPLY.vms }];
    return [
      {
        machines,
        effect: 'data',
        reason: `gets an empty disk ${serial}: nothing copies the data from the disk of ${from}`,
        command: APPLY.vms,
      },
    ];
  }
  if (!is) {
    const to = moved.get(`to ${serial}`);
    const end = to === undefined ? 'is no longer declared' : `is declared for ${to} now`;
    return [
      {
        machines,
        effect: 'data',
        reason: `disk ${serial} ${end}: it stays in the VM with its data, and nothing uses it`,
      },
    ];
  }
  const what = `disk ${serial} ${gibibytes(was.size)} becomes ${gibibytes(is.size)}`;
  if (is.size < was.size)
    return [
      { machines, effect: 'data', reason: `${what}: a disk cannot shrink, apply vms refuses it`, command: APPLY.vms },
    ];
  return [
    ...(is.size > was.size
      ? [
          {
            machines,
            effect: 'next-start' as const,
            reason: `${what}: it grows at once, its file system at the next start of the machine`,
            command: start,
          },
        ]
      : []),
    ...(is.storage === was.storage
      ? []
      : [
          {
            machines,
            effect: 'nothing' as const,
            reason: `disk ${serial} stays on ${was.storage}: ${is.storage} applies only to a new disk`,
          },
        ]),
    ...(is.options === was.options
      ? []
      : [
          {
            machines,
            effect: 'next-start' as const,
            reason: `options of the disk ${serial} become ${is.options} after the VM was stopped and started`,
            command: start,
          },
        ]),
  ];
}

function gibibytes(size: number): string {
  return `${Number((size / 1024 ** 3).toFixed(2))} GiB`;
}
