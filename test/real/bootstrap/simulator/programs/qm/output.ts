import { createHash } from 'node:crypto';
import { parseProperties } from '../../command-line';
import { readVolumeFile } from '../../storage';
import { Failure, Unexpected } from '../program';
import type { QmCall } from './call';
import { fileOf, text } from './config';

export function list(call: QmCall): string {
  const line = (...[vmid, name, status, memory, disk, pid]: string[]) =>
    `${vmid!.padStart(10)} ${name!.padEnd(20)} ${status!.padEnd(10)} ${memory!.padEnd(10)} ${disk!.padStart(12)} ${pid!.padEnd(10)}\n`;
  const vms = Object.entries(call.state.vms);
  if (vms.length === 0) return '';
  return [
    line('VMID', 'NAME', 'STATUS', 'MEM(MB)', 'BOOTDISK(GB)', 'PID'),
    ...vms.map(([vmid, vm]) => {
      const first = vm.config.boot && parseProperties(vm.config.boot, 'legacy').order?.split(';')[0];
      const bytes = call.state.volumes[fileOf((first && vm.config[first]) || '')]?.size ?? 0;
      const running = vm.startedAt !== undefined;
      return line(
        vmid,
        vm.config.name ?? `VM ${vmid}`,
        running ? 'running' : 'stopped',
        vm.config.memory ?? '512',
        (bytes / 2 ** 30).toFixed(2),
        running ? `${1000 + Number(vmid)}` : '0',
      );
    }),
  ].join('');
}

export function status(call: QmCall): string {
  const vm = call.vm();
  const status = vm.startedAt === undefined ? 'stopped' : 'running';
  if (call.options.verbose !== '1') return `status: ${status}\n`;
  const { name = '', cores = '1', memory = '512', lock } = vm.config;
  return `cpus: ${cores}\n${lock ? `lock: ${lock}\n` : ''}maxmem: ${Number(memory) * 2 ** 20}\nname: ${name}\nqmpstatus: ${status}\nstatus: ${status}\nvmid: ${call.vmid}\n`;
}

export function pending(call: QmCall): string {
  const vm = call.vm();
  return [...new Set([...Object.keys(vm.config), ...Object.keys(vm.pending)])]
    .sort()
    .map((key) => {
      const [current, next] = [vm.config[key], vm.pending[key]];
      if (current === undefined) return `new ${key}: ${next}\n`;
      if (next === null) return `del ${key}: ${current}\n`;
      return `cur ${key}: ${current}\n${next === undefined ? '' : `new ${key}: ${next}\n`}`;
    })
    .join('');
}

export function dump(call: QmCall, type: string): string {
  const vm = call.vm();
  const custom = vm.config.cicustom && parseProperties(vm.config.cicustom, '')[type];
  if (custom) return `${readVolumeFile(call.context.simulation, custom)}\n`;
  const { ip, gw } = parseProperties(vm.config.ipconfig0 ?? '', '');
  if (type === 'user') return `#cloud-config\nhostname: ${vm.config.name}\nmanage_etc_hosts: true\n\n`;
  if (type === 'meta') return `instance-id: ${createHash('sha1').update(text(vm.config)).digest('hex')}\n\n`;
  return `version: 1\nconfig:\n    - type: physical\n      name: eth0\n      subnets:\n      - type: static\n        address: '${ip}'\n        gateway: '${gw}'\n\n`;
}

export function guest(call: QmCall, command: string): string {
  const vm = call.vm();
  if (vm.startedAt === undefined) throw new Failure(`VM ${call.vmid} is not running`, 255);
  const { enabled } = parseProperties(vm.config.agent ?? '0', 'enabled');
  if (enabled !== '1') throw new Failure('No QEMU guest agent configured', 255);
  if (!call.state.extra.guestAgents?.includes(call.vmid)) throw new Failure('QEMU guest agent is not running', 255);
  if (command !== 'ping') throw new Unexpected(`guest cmd ${command}`);
  return '';
}
