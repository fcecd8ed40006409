import { contentOf, usedBytes } from '../storage';
import { Failure, program, Unexpected, type Context } from './program';
import { digestOf, withPending } from './qm/config';

const VERSION = { version: '9.2.11', release: '9.2', repoid: '9d436f37a0ac4172' };

export const pvesh = [
  program(['proxmox'], ['pvesh'], (context) => {
    const [command, path, ...rest] = context.call.argv;
    if (command !== 'get' || path === undefined) throw new Unexpected('only get is known');
    const options = rest.join(' ').replaceAll('=', ' ');
    if (!/--output-format json/.test(options)) throw new Unexpected('only --output-format json is known');
    const all = look(context, path.split('/').filter(Boolean));
    const type = /--type (\w+)/.exec(options)?.[1]?.replace('vm', 'qemu');
    const found = type && Array.isArray(all) ? all.filter((each) => each.type === type) : all;
    if (found === undefined) throw new Failure(`No '${command}' handler defined for '${path}'`, 2);
    return `${JSON.stringify(found, null, /json-pretty/.test(options) ? 3 : undefined)}\n`;
  }),
  program(['proxmox'], ['pveversion'], ({ call }) =>
    call.argv.length === 0
      ? `pve-manager/${VERSION.version}/${VERSION.repoid} (running kernel: 6.17.2-1-pve)\n`
      : `proxmox-ve: 9.2.0 (running kernel: 6.17.2-1-pve)\npve-manager: ${VERSION.version} (running version: ${VERSION.version}/${VERSION.repoid})\nqemu-server: 9.2.6\n`,
  ),
];

function look({ state, simulation }: Context, [first, second, third, fourth, fifth]: readonly string[]): unknown {
  const { name } = state.host;
  if (first === 'nodes' && second !== undefined && second !== name && second !== 'localhost')
    throw new Failure(
      `hostname lookup '${second}' failed - failed to get address info for: ${second}: Name or service not known`,
      2,
    );
  const memory = { total: 94 * 2 ** 30, used: 4 * 2 ** 30, free: 90 * 2 ** 30 };
  const storages = Object.entries(state.storages).map(
    ([storage, { type, content, total, path, vgname, thinpool }]) => ({
      storage,
      type,
      content: content.join(','),
      ...(path && { path }),
      ...(vgname && { vgname, thinpool }),
      total,
      used: usedBytes(state, storage),
      avail: total - usedBytes(state, storage),
    }),
  );
  const vms = Object.entries(state.vms).map(([vmid, { config, startedAt }]) => ({
    vmid: Number(vmid),
    name: config.name ?? `VM ${vmid}`,
    status: startedAt === undefined ? 'stopped' : 'running',
    ...(config.lock && { lock: config.lock }),
    maxmem: Number(config.memory ?? 512) * 2 ** 20,
    cpus: Number(config.cores ?? 1),
    uptime: startedAt === undefined ? 0 : Math.ceil((Date.now() - startedAt) / 1000),
  }));
  if (first === 'version') return VERSION;
  if (first === 'storage' && second === undefined)
    return storages.map(({ total: _total, used: _used, avail: _avail, ...config }) => config);
  if (first === 'cluster' && second === 'resources')
    return [
      {
        id: `node/${name}`,
        type: 'node',
        node: name,
        status: 'online',
        maxmem: memory.total,
        mem: memory.used,
        maxcpu: 16,
      },
      ...vms.map((vm) => ({ id: `qemu/${vm.vmid}`, type: 'qemu', node: name, ...vm })),
      ...storages.map(({ storage, total, used, content, type }) => ({
        ...{ id: `storage/${name}/${storage}`, type: 'storage', storage, node: name, status: 'available' },
        ...{ maxdisk: total, disk: used, content, plugintype: type },
      })),
    ];
  if (first !== 'nodes') throw new Unexpected(`pvesh /${first}`);
  if (second === undefined)
    return [{ id: `node/${name}`, node: name, status: 'online', type: 'node', maxmem: memory.total, maxcpu: 16 }];
  if (third === 'status')
    return {
      memory,
      pveversion: `pve-manager/${VERSION.version}/${VERSION.repoid}`,
      kversion: 'Linux 6.17.2-1-pve',
      cpuinfo: { cpus: 16, cores: 8, model: 'AMD Ryzen 7 8845HS w/ Radeon 780M Graphics', sockets: 1 },
      'boot-info': { mode: 'efi', secureboot: 0 },
      uptime: 1000,
    };
  if (third === 'storage' && fifth === 'content') return contentOf(simulation, fourth!);
  if (third === 'storage' && fourth === undefined)
    return storages.map((each) => ({ ...each, active: 1, enabled: 1, used_fraction: each.used / each.total }));
  if (third === 'qemu' && fourth === undefined) return vms;
  const vm = third === 'qemu' ? state.vms[fourth!] : undefined;
  if (third === 'qemu' && !vm)
    throw new Failure(`Configuration file 'nodes/${name}/qemu-server/${fourth}.conf' does not exist`, 2);
  if (vm && fifth === 'config') return { ...withPending(vm), digest: digestOf(vm) };
  if (vm && fifth === 'status') return vms.find(({ vmid }) => String(vmid) === fourth);
  throw new Unexpected(`pvesh /nodes/${name}/${third}`);
}
