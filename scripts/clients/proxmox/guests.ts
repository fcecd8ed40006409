import type { Target } from '../../engine/commands';
import type { Vm } from '../../../machines/vms';
import type { Context } from '../context';
import { ProxmoxVm, type VmConfig } from './vm';

export { isOurs } from './vm';

export function readConfig({ commands }: Context, target: Target, vmid: number): Promise<VmConfig> {
  return new ProxmoxVm(commands, target, vmid).config();
}

/** VM and host, as messages call them. */
export function id({ vmid, name, host }: Pick<Vm, 'vmid' | 'name' | 'host'>): string {
  return `VM ${vmid} (${name}) on ${host}`;
}
