/** Settings of VMs as Proxmox writes them, compared by what they mean. Pure. */

export interface Difference {
  readonly key: string;
  readonly from: string | undefined;
  readonly to: string;
}

export interface Drive {
  /** Volume id, as local-lvm:vm-201-disk-1. */
  readonly volume: string;
  readonly options: Readonly<Record<string, string>>;
  /** In bytes; none where Proxmox does not say. */
  readonly size: number | undefined;
}

/** What a value without a name stands for. */
const FIRST: Readonly<Record<string, string>> = {
  agent: 'enabled',
  cpu: 'cputype',
  machine: 'type',
  memory: 'current',
  startup: 'order',
};

/** Wanted settings that differ, in the order of `wanted`. */
export function differences(
  config: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
): readonly Difference[] {
  return Object.entries(wanted)
    .filter(([key, to]) => config[key] === undefined || canonical(key, config[key]) !== canonical(key, to))
    .map(([key, to]) => ({ key, from: config[key], to }));
}

export function line(where: string, { key, from, to }: Difference): string {
  return `${where}${key}: ${from ?? 'nothing'} -> ${to}`;
}

/** A network card: Proxmox replaces that of a running VM at once (`hotplug`, by default network, disk and usb). */
export function isCard(key: string): boolean {
  return /^net\d+$/.test(key);
}

/** Settings that wait for the next start of a running VM. */
export function needsStart(key: string): boolean {
  return !isCard(key) && !/^(name|description|onboot|startup|protection|ipconfig\d+|nameserver|cicustom)$/.test(key);
}

/** A drive's line: the volume, then options. */
export function drive(value: string): Drive {
  const [volume = '', ...rest] = value.split(',');
  const { size, ...options } = Object.fromEntries(
    rest.map((each) => {
      const [key = '', ...text] = each.split('=');
      return [key, text.join('=')];
    }),
  );
  return { volume: volume.replace(/^file=/, ''), options, size: size === undefined ? undefined : sizeOf(size) };
}

/** The same drive with further options, for `qm set`. */
export function withOptions({ volume, options }: Drive, more: Readonly<Record<string, string>>): string {
  const all = Object.entries({ ...options, ...more }).map(([key, value]) => `${key}=${value}`);
  return [volume, ...all.sort()].join(',');
}

export function optionsOf(text: string): Record<string, string> {
  return drive(`,${text}`).options as Record<string, string>;
}

/** Bytes of a size in a drive's line: 100G, 4M, 528K. */
function sizeOf(text: string): number | undefined {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([KMGT]?)$/.exec(text) ?? [];
  return number === undefined ? undefined : Math.round(Number(number) * 1024 ** ('KMGT'.indexOf(unit) + 1 || 0));
}

function canonical(key: string, value: string): string {
  // Notes may go on below our line.
  if (key === 'description') return value.split('%0A')[0]!.trim();
  if (key === 'nameserver') return value.trim().split(/\s+/).join(' ');
  const text = key.startsWith('net') ? value.toLowerCase() : value;
  return text
    .split(',')
    .map((part) => (part.includes('=') || FIRST[key] === undefined ? part : `${FIRST[key]}=${part}`))
    .sort()
    .join(',');
}
