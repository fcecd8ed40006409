import { diskTaken, machinesOf, SHARE_OF_STORAGE } from '../../../inventory';
import { gib, sum } from '../../../values/quantity';
import { Blocked } from '../../engine/problem';
import type { Subject } from './live';

/** What must hold before something is allocated or started. */

/** Percent of a thin pool, of its data or metadata, from which nothing more is allocated. */
const FULL = 85;

/** @throws Blocked when the disks of all our machines do not fit besides what others have, or the pool is nearly full */
export async function assertRoom({ homelab, host }: Pick<Subject, 'homelab' | 'host'>): Promise<void> {
  const { name: storage } = host.disks;
  const { total, used, pool = {} } = await host.disks.usage();
  const ours = machinesOf(homelab, host.name).map(([, machine]) => machine);
  const ids = new Set(ours.map(({ vmid }) => vmid));
  const others = (await host.disks.volumes()).filter(({ vmid }) => vmid === undefined || !ids.has(vmid));
  const wanted = sum(ours.map(diskTaken));
  const taken = sum(others.map(({ size }) => size ?? 0));
  const limit = total * SHARE_OF_STORAGE;
  if (wanted + taken > limit)
    throw new Blocked(
      `${storage} on ${host.name} has ${gib(total)}, and disks may take ${gib(limit)} of it (${SHARE_OF_STORAGE * 100} %). Those of homelab.ts take ${gib(wanted)}, others ${gib(taken)}. Make disks in homelab.ts smaller, or remove what nobody needs:\n  pvesm list ${storage}`,
    );
  for (const [what, percent] of Object.entries({ data: (used / total) * 100, ...pool }))
    if (percent > FULL)
      throw new Blocked(
        `${storage} on ${host.name} must be at most ${FULL} % full before a disk is made on it, but its ${what} is at ${percent.toFixed(1)} %. Remove what nobody needs (pvesm list ${storage}), or make it larger (lvextend)`,
      );
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
