import { documents } from '../documents';
import { APPLY, type FileChange, type Finding } from './finding';

/** What files of a machine beside the cluster do. */
export function ubuntuFinding(machine: string, { path, before, after }: FileChange): Finding {
  const file = path.slice(machine.length);
  const machines = [machine];
  const live = (reason: string): Finding => ({ machines, effect: 'live', reason, command: APPLY.aiVm });
  if (file === '/cloud-init/user.yaml') return user(machines, before, after);
  if (file.startsWith('/cloud-init/'))
    return {
      machines,
      effect: 'new-machine',
      reason: `${file} counts at the first boot only: the machine keeps what it has until it is made anew`,
    };
  if (after === undefined)
    return {
      machines,
      effect: 'nothing',
      reason: `${file} is rendered no more: it stays there until somebody removes it`,
    };
  if (file.startsWith('/etc/modprobe.d/'))
    return {
      machines,
      effect: 'next-start',
      reason: `${file}: the kernel module takes it over with the next boot, which the stage asks about`,
      command: APPLY.aiVm,
    };
  if (file.includes('/ollama.service')) return live(`${file}: Ollama starts again, and models are loaded anew`);
  if (file.endsWith('firewall.nft')) return live(`${file}: who may reach the machine changes at once`);
  return live(`${file} is written while it runs`);
}

/** Keys of logins are brought over SSH later on, too. */
function user(machines: readonly string[], before = '', after = ''): Finding {
  const [[old], [now]] = [documents(before) ?? [], documents(after) ?? []];
  const keys = (each: any) => JSON.stringify((each?.users ?? []).map((one: any) => one.ssh_authorized_keys));
  if (keys(old) !== keys(now))
    return { machines, effect: 'live', reason: 'other keys may log in', command: APPLY.aiVm };
  return { machines, effect: 'nothing', reason: 'its first settings count for a machine that is made anew' };
}

/** Addresses of a machine, as cloud-init is told. */
export function addressesOf(network: string | undefined): string[] {
  const [{ ethernets = {} } = {}] = (network === undefined ? undefined : documents(network)) ?? [];
  return Object.values<any>(ethernets)
    .flatMap(({ addresses = [] }) => addresses as string[])
    .map((address) => address.split('/')[0]!);
}
