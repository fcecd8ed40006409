import { assertNoneBad } from '../../engine/findings';
import { Blocked } from '../../engine/problem';
import { diskRoom } from '../host/storages';
import type { Subject } from './live';

/** Conditions before an allocation or a start. */

/** @throws Blocked when the disks of all our machines do not fit besides what others have, or the pool is nearly full */
export async function assertRoom({ homelab, host }: Pick<Subject, 'homelab' | 'host'>): Promise<void> {
  assertNoneBad(diskRoom({ homelab, name: host.name, facts: await host.space() }));
}

/** @throws Blocked when another guest has this machine's network address already */
export async function assertMacIsFree({ host, vm, client }: Subject): Promise<void> {
  const { mac } = vm.machine;
  for (const guest of (await host.guests()).filter(({ vmid }) => vmid !== vm.vmid)) {
    const config = await host.configOf(guest);
    const card = Object.entries(config).find(
      ([key, value]) => /^net\d+$/.test(key) && String(value).toLowerCase().includes(mac),
    );
    if (card === undefined) continue;
    const name = config.name ?? config.hostname ?? 'no name';
    throw new Blocked(
      `${mac} of ${client.label} must be free, but guest ${guest.vmid} (${name}) has it as ${card[0]}. Change one of the two`,
    );
  }
}

/** @throws Blocked when something answers at the address of a machine that does not run */
export async function assertAddressIsFree({ host, vm, client }: Subject): Promise<void> {
  const { address } = vm.machine;
  if (await host.isAnswered(address))
    throw new Blocked(
      `${address} must be free for ${client.label}, which does not run, but something answers there. Find it (ip neigh show ${address}), and give one of the two another address`,
    );
}
