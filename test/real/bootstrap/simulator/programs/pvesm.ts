import * as fs from 'node:fs';
import { join } from 'node:path';
import { proxmoxCommand } from '../command-line';
import type { Simulation } from '../simulation';
import { GIB, type State } from '../state';
import { allocate, contentOf, free, parseSize, pathOf, storageOf, usedBytes, type Content } from '../storage';
import { Failure, program, Unexpected, type Answer } from './program';

export const pvesm = [
  program(['proxmox'], ['df'], ({ state, call }) => {
    const [...words] = call.argv;
    const folder = words.pop();
    const storage = Object.values(state.storages).find(({ path }) => path && `${folder}/`.startsWith(`${path}/`));
    if (words.join(' ') !== '--output=avail --block-size=1' || !storage)
      throw new Unexpected('only what is free on the storage of a folder is known');
    return `Avail\n${storage.total - storage.used}\n`;
  }),
  program(['proxmox'], ['pvesm'], ({ simulation, state, call }) => {
    const { command, positional, options } = proxmoxCommand('pvesm', call.argv);
    const [first, second, third, fourth] = positional as [string, string, string, string];
    switch (command) {
      case 'status':
        return status(simulation, options);
      case 'list':
        storageOf(state, first);
        return list(simulation, first, options);
      case 'path':
        if (!pathOf(state, first).startsWith('/dev/')) return `${pathOf(state, first)}\n`;
        if (!state.volumes[first]) throw new Failure(`volume '${first}' does not exist`, 255);
        return `${pathOf(state, first)}\n`;
      case 'alloc': {
        // Without a unit it is KiB.
        const id = allocate(state, first, Number(second), parseSize(fourth, 1024), third === '' ? undefined : third);
        return `  Logical volume "${id.split(':')[1]}" created.\nsuccessfully created '${id}'\n`;
      }
      case 'free': {
        const id = first.includes(':') ? first : `${options.storage}:${first}`;
        const path = pathOf(state, id);
        if (path.startsWith('/dev/')) {
          if (!free(state, id)) return inItsTask(`no such logical volume ${path.slice(5)}`);
          return `  Logical volume "${id.split(':')[1]}" successfully removed.\n`;
        }
        const file = join(simulation.files('host'), path);
        if (!fs.existsSync(file)) return inItsTask(`disk image '${path}' does not exist`);
        fs.rmSync(file);
        return;
      }
      case 'set':
        if (Object.keys(options).some((key) => key !== 'content')) throw new Unexpected('only --content can be set');
        if (options.content)
          storageOf(state, first).content = contentTypes(options.content, storageOf(state, first).type);
        return storageConfig(simulation);
      case 'add':
        if (first !== 'dir' || !options.path) throw new Unexpected('only dir storages can be added');
        if (state.storages[second])
          throw new Failure(`create storage failed: storage ID '${second}' already defined`, 255);
        state.storages[second] = {
          type: 'dir',
          path: options.path,
          content: contentTypes(options.content ?? 'images,rootdir,vztmpl,iso,backup,snippets', 'dir'),
          total: 94 * GIB,
          used: 0,
        };
        return storageConfig(simulation);
    }
    throw new Unexpected('no such subcommand');
  }),
  program(['proxmox'], ['lvs'], ({ state, call }) => {
    const fields: string[] = [];
    let [json, pools] = [false, false];
    let separator = ' ';
    for (let index = 0; index < call.argv.length; index++) {
      const [word, given] = call.argv[index]!.split('=') as [string, string?];
      if (['-o', '--options'].includes(word)) fields.push(...(given ?? call.argv[++index]!).split(','));
      else if (word === '--reportformat') json = (given ?? call.argv[++index]) === 'json';
      else if (word === '--separator') separator = given ?? call.argv[++index]!;
      else if (word === '--units') index += given === undefined ? 1 : 0;
      else if (['pve/data', '/dev/pve/data'].includes(word)) pools = true;
      else if (!['--noheadings', '--nosuffix'].includes(word)) throw new Unexpected(`lvs ${word}`);
    }
    const volumes = logicalVolumes(state).map((row) => fields.map((field) => [field, row[field]!] as const));
    if (fields.length === 0 || volumes[0]!.some(([, value]) => value === undefined))
      throw new Unexpected(`lvs -o ${fields}`);
    const rows = pools ? volumes.slice(0, 1) : volumes;
    if (json) return `${JSON.stringify({ report: [{ lv: rows.map((row) => Object.fromEntries(row)) }] }, null, 2)}\n`;
    return rows.map((row) => `  ${row.map(([, value]) => value).join(separator)}\n`).join('');
  }),
];

/** The end of a command that does not ask how its task ended. */
export function inItsTask(failure: string): Answer {
  return { stderr: `${failure}\n`, code: 0 };
}

/** The thin pool first, then what is in it. */
function logicalVolumes(state: State): Record<string, string>[] {
  const { total, metadata, vgname } = state.storages['local-lvm']!;
  const percent = ((usedBytes(state, 'local-lvm') / total) * 100).toFixed(2);
  const volume = (name: string, size: number, data: string, meta = '') => ({
    ...{ vg_name: vgname!, lv_name: name, lv_size: String(size), data_percent: data, metadata_percent: meta },
  });
  return [
    volume('data', total, percent, metadata!.toFixed(2)),
    volume('root', 94 * GIB, ''),
    ...Object.entries(state.volumes)
      .filter(([id]) => id.startsWith('local-lvm:'))
      .map(([id, { size, used }]) => volume(id.split(':')[1]!, size, ((used / size) * 100).toFixed(2))),
  ];
}

function status({ state }: Simulation, { storage, content }: Readonly<Record<string, string>>): string {
  if (storage) storageOf(state, storage);
  const rows = Object.entries(state.storages)
    .filter(([name, each]) => (!storage || name === storage) && (!content || each.content.includes(content)))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const width = Math.max(0, ...rows.map(([name]) => name.length)) + 1;
  const line = (cells: readonly string[]) =>
    `${cells[0]!.padEnd(width)} ${[10, 10, 15, 15, 15].map((size, index) => cells[index + 1]!.padStart(size)).join(' ')} ${cells[6]!.padStart(8)}\n`;
  return [
    line(['Name', 'Type', 'Status', 'Total (KiB)', 'Used (KiB)', 'Available (KiB)', '%']),
    ...rows.map(([name, { type, total }]) => {
      const used = usedBytes(state, name);
      const numbers = [total, used, total - used].map((bytes) => String(Math.floor(bytes / 1024)));
      return line([name, type, 'active', ...numbers, `${((used / total) * 100).toFixed(2)}%`]);
    }),
  ].join('');
}

function list(simulation: Simulation, name: string, { content, vmid }: Readonly<Record<string, string>>): string {
  const found = contentOf(simulation, name)
    .map(backup)
    .filter((each) => (!content || each.content === content) && (!vmid || each.vmid === Number(vmid)));
  // What belongs to a guest comes first.
  const rows = [
    ...found.filter((each) => each.vmid !== undefined),
    ...found
      .filter((each) => each.vmid === undefined)
      .sort((a, b) => (a.format < b.format ? -1 : Number(a.format > b.format))),
  ];
  const width = Math.max(0, ...rows.map(({ volid }) => volid.length));
  const digits = String(Math.max(0, ...rows.map(({ size }) => size))).length;
  const line = (volid: string, format: string, type: string, size: string, owner?: string) =>
    `${volid.padEnd(width)} ${format.padEnd(7)} ${type.padEnd(9)} ${size.padStart(digits)}${owner === undefined ? '' : ` ${owner}`}\n`;
  return [
    line('Volid', 'Format', 'Type', 'Size', 'VMID'),
    ...rows.map((each) =>
      line(
        each.volid,
        each.format,
        each.content,
        String(each.size),
        each.vmid === undefined ? undefined : String(each.vmid),
      ),
    ),
  ].join('');
}

/** The name of a backup says whose it is. */
function backup(row: Content): Content {
  const [, vmid, format] = /\/vzdump-(?:qemu|lxc)-(\d+)-[\d_-]+\.(.+)$/.exec(row.volid) ?? [];
  return row.content === 'backup' && vmid !== undefined ? { ...row, vmid: Number(vmid), format: format! } : row;
}

function contentTypes(text: string, type: string): string[] {
  const allowed =
    type === 'dir'
      ? ['images', 'rootdir', 'vztmpl', 'iso', 'backup', 'snippets', 'import', 'none']
      : ['images', 'rootdir', 'none'];
  const wanted = text.split(/[,; ]+/).filter((each) => each !== '');
  const wrong = wanted.find((each) => !allowed.includes(each));
  if (wrong !== undefined)
    throw new Failure(
      `400 Parameter verification failed.\ncontent: storage does not support content type '${wrong}'`,
      255,
    );
  return wanted;
}

/** The same as a file, for those who read it there. */
export function storageConfig(simulation: Simulation): undefined {
  const text = Object.entries(simulation.state.storages).map(
    ([name, { type, path, vgname, thinpool, content }]) =>
      `${type}: ${name}\n${path ? `\tpath ${path}\n` : `\tthinpool ${thinpool}\n\tvgname ${vgname}\n`}\tcontent ${content.join(',')}\n`,
  );
  simulation.writeFile('host', 'etc/pve/storage.cfg', text.join('\n'));
}
