import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, Unexpected } from './programs/program';

/** What a command line says once it has been judged. */
export interface CommandLine {
  readonly command: string;
  readonly positional: readonly string[];
  /** By name without dashes. */
  readonly options: Readonly<Record<string, string>>;
  /** The same for options that may come more than once. */
  readonly lists: Readonly<Record<string, readonly string[]>>;
}

interface ProxmoxCommand {
  readonly args: readonly string[];
  readonly positional: Readonly<Record<string, { readonly value: string }>>;
  readonly options: Readonly<Record<string, { readonly value: string }>>;
}

interface TalosCommand {
  readonly usage: string;
  readonly options: Readonly<Record<string, { readonly short?: string; readonly value?: string }>>;
}

const PROXMOX = table('proxmox-commands.json');
const TALOS: Readonly<Record<string, TalosCommand>> = table('talosctl-commands.json').commands;
const ALIASES: Readonly<Record<string, string>> = {
  importdisk: 'disk import',
  resize: 'disk resize',
  unlink: 'disk unlink',
  rescan: 'disk rescan',
};
/** Highest index of options that come in numbers. */
const LAST: Readonly<Record<string, number>> = {
  scsi: 30,
  virtio: 15,
  ide: 3,
  sata: 5,
  net: 31,
  ipconfig: 31,
  serial: 3,
  parallel: 2,
  hostpci: 15,
  usb: 13,
  numa: 7,
  unused: 255,
  virtiofs: 9,
};
/** Values where the reference only says <enum>. */
const ENUMS: Readonly<Record<string, readonly string[]>> = {
  cache: ['none', 'writethrough', 'writeback', 'unsafe', 'directsync'],
  format: ['raw', 'qcow', 'qed', 'qcow2', 'vmdk', 'cow', 'cloop'],
  model: ['e1000', 'e1000e', 'i82551', 'i82557b', 'ne2k_pci', 'pcnet', 'rtl8139', 'virtio', 'vmxnet3'],
  type: [
    'cirrus',
    'none',
    'qxl',
    'qxl2',
    'serial0',
    'serial1',
    'serial2',
    'serial3',
    'std',
    'virtio',
    'virtio-gl',
    'vmware',
  ],
  werror: ['enospc', 'ignore', 'report', 'stop'],
};

/** The command line of qm or pvesm, or its end in the words of Proxmox. */
export function proxmoxCommand(tool: 'qm' | 'pvesm', argv: readonly string[]): CommandLine {
  const commands: Readonly<Record<string, ProxmoxCommand>> = PROXMOX[tool];
  const first = ALIASES[argv[0] ?? ''];
  const words = first ? [...first.split(' '), ...argv.slice(1)] : argv;
  const length = words.length > 1 && `${words[0]} ${words[1]}` in commands ? 2 : 1;
  const name = words.slice(0, length).join(' ');
  const command = commands[name];
  if (!command || name === 'agent') throw new Unexpected(`${tool} ${name} is not in the table of commands`);
  const usage = `${tool} ${name} ${command.args.join(' ')}\n`;
  const { positional, options } = getopt(words.slice(length), command, usage);
  const wanted = Object.entries(command.positional);
  if (positional.length < wanted.length) throw new Failure(`400 not enough arguments\n${usage}`, 255);
  if (positional.length > wanted.length) throw new Failure(`400 too many arguments\n${usage}`, 255);
  const errors = [
    ...wanted.flatMap(([key, { value }], index) => wrongValue(key.slice(1, -1), value, positional[index]!)),
    ...Object.entries(options).flatMap(([key, value]) => wrongValue(key, syntaxOf(command, key)!, value)),
  ];
  if (errors.length > 0) throw new Failure(`400 Parameter verification failed.\n${errors.join('\n')}\n${usage}`, 255);
  return { command: name, positional, options, lists: {} };
}

/** As Perl's Getopt::Long with the settings of Proxmox, but for abbreviations, which nobody should use in a script. */
function getopt(words: readonly string[], command: ProxmoxCommand, usage: string) {
  const positional: string[] = [];
  const options: Record<string, string> = {};
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    if (word === '--') {
      positional.push(...words.slice(index + 1));
      break;
    }
    const [, key, given] = /^--?([A-Za-z][\w-]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (key === undefined) {
      positional.push(word);
      continue;
    }
    const syntax = syntaxOf(command, key);
    if (syntax === undefined) throw new Failure(`Unknown option: ${key}\n400 unable to parse option\n${usage}`, 255);
    const next = words[index + 1];
    if (given !== undefined) options[key] = given;
    else if (syntax === '<boolean>') options[key] = next === undefined || next.startsWith('-') ? '' : words[++index]!;
    else if (next === undefined)
      throw new Failure(`Option ${key} requires an argument\n400 unable to parse option\n${usage}`, 255);
    else options[key] = words[++index]!;
    if (syntax !== '<boolean>') continue;
    const bool = boolean(options[key]!);
    if (bool === undefined) throw new Failure(`400 unable to parse boolean option\n${usage}`, 255);
    options[key] = bool;
  }
  return { positional, options };
}

function syntaxOf(command: ProxmoxCommand, key: string): string | undefined {
  const plain = command.options[`--${key}`]?.value;
  if (plain !== undefined) return plain;
  const [, name, index] = /^(.*?)(0|[1-9]\d*)$/.exec(key) ?? [];
  if (name === undefined || Number(index) > (LAST[name] ?? -1)) return undefined;
  return command.options[`--${name}[n]`]?.value;
}

function boolean(text: string): string | undefined {
  if (/^(1|on|yes|true)?$/i.test(text)) return '1';
  return /^(0|off|no|false)$/i.test(text) ? '0' : undefined;
}

/** @returns the lines with which Proxmox refuses a value */
function wrongValue(key: string, syntax: string, value: string): string[] {
  const [, type, low, high] = /^<(integer|number)>(?: \((-?\d+) - (\d+|N)\))?$/.exec(syntax) ?? [];
  if (type !== undefined) {
    if (!(type === 'integer' ? /^[+-]?\d+$/ : /^[+-]?\d+(\.\d+)?$/).test(value))
      return [`${key}: type check ('${type}') failed - got '${value}'`];
    if (low !== undefined && Number(value) < Number(low)) return [`${key}: value must have a minimum value of ${low}`];
    if (high !== undefined && high !== 'N' && Number(value) > Number(high))
      return [`${key}: value must have a maximum value of ${high}`];
    return [];
  }
  if (isPropertyString(syntax)) return propertyErrors(key, syntax, value);
  const enumeration = /^<([^<>]+ \| [^<>]+)>$/.exec(syntax)?.[1]?.split(' | ');
  if (enumeration && !enumeration.includes(value))
    return [`${key}: value '${value}' does not have a value in the enumeration '${enumeration.join(', ')}'`];
  if (/\\d|^\(\//.test(syntax) && !new RegExp(`^(?:${syntax})$`).test(value))
    return [`${key}: value does not match the regex pattern`];
  if (syntax === '<storage ID>' && !/^[a-z][a-z0-9._-]*[a-z0-9]$/i.test(value))
    return [`${key}: invalid format - storage ID '${value}' contains illegal characters\n`];
  if (key === 'name' && !/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/i.test(value))
    return [`${key}: invalid format - value does not look like a valid DNS name\n`];
  return [];
}

function isPropertyString(syntax: string): boolean {
  return /^\[*[a-z-]+=\]?[<\\]/.test(syntax) || /\[,[\w-]+=/.test(syntax);
}

interface Property {
  readonly optional: boolean;
  readonly isDefault: boolean;
  readonly value: string;
}

/** The properties of a syntax as [file=]<volume> [,cache=<enum>]; those in brackets are optional, but for a lone [file=]. */
function propertiesOf(syntax: string): ReadonlyMap<string, Property> {
  const found = new Map<string, Property>();
  // An enumeration or a pattern in angles may hold brackets of its own.
  for (const [, open, key, close, value] of syntax.matchAll(
    /(\[{0,2}),?\s*([\w-]+)=(\]?)(<(?:[^<>[\]]|\[[^\]]*\]|\{[^}]*\})*>|\\d\+)/g,
  ))
    found.set(key!, {
      optional: open === '[[' || (open === '[' && close === ''),
      isDefault: close === ']',
      value: value!,
    });
  return found;
}

/** Key to value of a property string, where the first value may stand without its key. */
export function parseProperties(value: string, defaultKey: string): Record<string, string> {
  return Object.fromEntries(
    value
      .split(',')
      .filter((part) => part !== '')
      .map((part) =>
        part.includes('=') ? [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)] : [defaultKey, part],
      ),
  );
}

function propertyErrors(key: string, syntax: string, value: string): string[] {
  const properties = propertiesOf(syntax);
  const defaultKey = [...properties].find(([, { isDefault }]) => isDefault)?.[0];
  const invalid = (why: string) => [`${key}: invalid format - ${why}\n`];
  const seen: Record<string, string> = {};
  for (const part of value.split(',').filter((each) => each.trim() !== '')) {
    const [, name, text] = /^([^=]+)=(.+)$/s.exec(part) ?? [];
    let property = name;
    if (name === undefined) {
      if (part.includes('=')) return invalid('missing key in comma-separated list property');
      if (defaultKey === undefined) return invalid('value without key, but schema does not define a default key');
      property = defaultKey;
    } else if (!properties.has(name)) {
      // virtio=MAC is short for model=virtio,macaddr=MAC.
      if (!syntax.includes('<model>=') || !ENUMS.model!.includes(name))
        return invalid(`invalid key in comma-separated list property: ${name}`);
      seen.model = name;
      property = 'macaddr';
    }
    if (seen[property!] !== undefined) return invalid(`duplicate key in comma-separated list property: ${property}`);
    seen[property!] = text ?? part;
  }
  const errors = [
    ...[...properties]
      .filter(([name, { optional }]) => !optional && seen[name] === undefined)
      .map(([name]) => `${key}.${name}: property is missing and it is not optional`),
    ...Object.entries(seen).flatMap(([name, text]) =>
      wrongProperty(name, properties.get(name)!.value, text).map((why) => `${key}.${name}: ${why}`),
    ),
  ];
  return errors.length > 0 ? [`${key}: invalid format - format error`, ...errors] : [];
}

function wrongProperty(name: string, syntax: string, value: string): string[] {
  const inner = syntax.replace(/^<|>$/g, '');
  if (inner === '1|0') return boolean(value) === undefined ? [`type check ('boolean') failed - got '${value}'`] : [];
  const allowed =
    inner === 'enum'
      ? ENUMS[name]
      : /^[\w./-]+(\|[\w./-]+)+$/.test(inner) && !/\d-\d/.test(inner)
        ? inner.split('|')
        : undefined;
  if (allowed && !allowed.includes(value))
    return [`value '${value}' does not have a value in the enumeration '${allowed.join(', ')}'`];
  if ((inner === 'integer' || syntax === '\\d+') && !/^[+-]?\d+$/.test(value))
    return [`type check ('integer') failed - got '${value}'`];
  if (/^XX:XX/.test(inner) && !/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/i.test(value))
    return ['invalid format - value does not look like a valid unicast MAC address'];
  if (inner === 'IPv4Format/CIDR' && !/^(dhcp|(\d{1,3}\.){3}\d{1,3}\/\d{1,2})$/.test(value))
    return ['invalid format - value does not look like a valid ipv4 network configuration'];
  if (inner === 'GatewayIPv4' && !/^(\d{1,3}\.){3}\d{1,3}$/.test(value))
    return ['invalid format - value does not look like a valid ipv4 address'];
  // The reference allows any text of 60; more than this does not survive the way to the guest.
  if (name === 'serial' && inner === 'serial' && !/^[A-Za-z0-9-]{1,20}$/.test(value))
    return ['invalid format - value must be 1 to 20 of [A-Za-z0-9-]'];
  return [];
}

/** The command line of talosctl, or its end in the words of cobra. */
export function talosCommand(argv: readonly string[]): CommandLine {
  const { name, rest } = findCommand(argv);
  const { usage } = TALOS[name]!;
  const known = flagsOf(name);
  const refused = (why: string) => new Failure(`${why}\n\nUsage:\n  ${usage}\n`);
  const positional: string[] = [];
  const options: Record<string, string> = {};
  const lists: Record<string, string[]> = {};
  for (let index = 0; index < rest.length; index++) {
    const word = rest[index]!;
    if (word === '--') {
      positional.push(...rest.slice(index + 1));
      break;
    }
    const [, long, letter, value] = /^(?:(--[^=]+)(?==|$)|-([^-]))=?(.*)$/s.exec(word) ?? [];
    if (long === undefined && letter === undefined) {
      positional.push(word);
      continue;
    }
    const key = long ?? Object.keys(known).find((each) => known[each]!.short === `-${letter}`);
    const flag = key === undefined ? undefined : known[key];
    if (!key || !flag) throw refused(long ? `unknown flag: ${long}` : `unknown shorthand flag: '${letter}' in ${word}`);
    const { short, value: type } = flag;
    const given = value || (type === undefined ? 'true' : rest[++index]);
    if (given === undefined) throw refused(`flag needs an argument: ${long ?? `'${letter}' in ${word}`}`);
    const why = wrongFlag(type, given);
    if (why) throw refused(`invalid argument "${given}" for "${short ? `${short}, ` : ''}${key}" flag: ${why}`);
    options[key.slice(2)] = given;
    (lists[key.slice(2)] ??= []).push(...(type === 'strings' ? given.split(',') : [given]));
  }
  const wanted = usage.replace(/\[[^\]]*\]/g, '').match(/<[^>]+>/g) ?? [];
  if (positional.length < wanted.length)
    throw refused(`requires at least ${wanted.length} arg(s), only received ${positional.length}`);
  return { command: name.replace('talosctl ', ''), positional, options, lists };
}

/** Word by word, as cobra does: a flag that it does not know yet takes the next word with it. */
function findCommand(argv: readonly string[]): { readonly name: string; readonly rest: readonly string[] } {
  let name = 'talosctl';
  const rest = [...argv];
  for (let index = 0; index < rest.length; index++) {
    const word = rest[index]!;
    if (word === '--') break;
    if (word.startsWith('-')) {
      const flag = Object.entries(flagsOf(name)).find(([key, { short }]) => word === key || word === short)?.[1];
      if (!word.includes('=') && (word.startsWith('--') || word.length === 2) && (!flag || flag.value !== undefined))
        index++;
      continue;
    }
    if (!(`${name} ${word}` in TALOS)) break;
    name += ` ${word}`;
    rest.splice(index--, 1);
  }
  const group = Object.keys(TALOS).some((each) => each.startsWith(`${name} `));
  if (group && name !== 'talosctl config')
    throw new Unexpected(`${name} ${rest.join(' ')} is not in the table of commands`);
  return { name, rest };
}

/** Of a command and of those above it. */
function flagsOf(name: string): TalosCommand['options'] {
  const words = name.split(' ');
  return Object.assign({}, ...words.map((_, index) => TALOS[words.slice(0, index + 1).join(' ')]!.options));
}

function wrongFlag(type: string | undefined, value: string): string | undefined {
  if (type === undefined)
    return /^(true|false)$/.test(value) ? undefined : 'strconv.ParseBool: parsing: invalid syntax';
  if (type === 'int') return /^-?\d+$/.test(value) ? undefined : 'strconv.ParseInt: parsing: invalid syntax';
  if (type === 'duration')
    return /^(0|(\d+(\.\d+)?(ns|us|ms|s|m|h))+)$/.test(value) ? undefined : 'time: invalid duration';
  if (type.includes(', ') && !type.split(', ').includes(value)) return `possible options are: ${type}`;
  return undefined;
}

function table(name: string): any {
  return JSON.parse(readFileSync(join(__dirname, 'tables', name), 'utf8'));
}
