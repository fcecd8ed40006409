import { documents } from '../documents';
import { APPLY, type FileChange, type Finding } from './finding';

/** The effects of files of a machine outside the cluster. */
export function ubuntuFinding(machine: string, { path, before, after }: FileChange): Finding {
  const file = path.slice(machine.length);
  const machines = [machine];
  const live = (reason: string): Finding => ({ machines, effect: 'live', reason, command: APPLY.aiVm });
  if (file === '/cloud-init/user.yaml') return user(machines, before, after);
  if (file.startsWith('/cloud-init/'))
    return {
      machines,
      effect: 'new-machine',
      reason: `${file} applies only at the first boot: an existing machine does not change`,
    };
  if (after === undefined)
    return {
      machines,
      effect: 'nothing',
      reason: `${file} is no longer rendered: it stays there until you remove it`,
    };
  if (file.startsWith('/etc/modprobe.d/'))
    return {
      machines,
      effect: 'next-start',
      reason: `${file}: the kernel module applies it at the next boot; the stage asks before it reboots`,
      command: APPLY.aiVm,
    };
  if (file.includes('/ollama.service')) return live(`${file}: Ollama restarts and loads its models again`);
  if (file.endsWith('/haproxy.cfg')) return live(`${file}: the proxy reloads it; running answers continue`);
  if (file.endsWith('firewall.nft')) return live(`${file}: the firewall changes at once`);
  return live(`${file} is written while it runs`);
}

/** SSH keys are also updated later, over SSH. */
function user(machines: readonly string[], before = '', after = ''): Finding {
  const [[old], [now]] = [documents(before) ?? [], documents(after) ?? []];
  const keys = (each: any) => JSON.stringify((each?.users ?? []).map((one: any) => one.ssh_authorized_keys));
  if (keys(old) !== keys(now))
    return { machines, effect: 'live', reason: 'other keys may log in', command: APPLY.aiVm };
  return { machines, effect: 'nothing', reason: 'its first settings apply only to a new machine' };
}

/** Addresses of a machine in its cloud-init file. */
export function addressesOf(network: string | undefined): string[] {
  const [{ ethernets = {} } = {}] = (network === undefined ? undefined : documents(network)) ?? [];
  return Object.values<any>(ethernets)
    .flatMap(({ addresses = [] }) => addresses as string[])
    .map((address) => address.split('/')[0]!);
}
