import { findings, table, type Finding, type Check } from '../engine/findings';
import type { Context } from '../clients/context';
import { proxmoxHosts } from '../clients/proxmox/host';
import { EXIT } from '../engine/problem';
import { machineCheck, hostCheck } from './doctor-machines';
import { ownChecks } from './doctor-here';
import type { CommandLine } from './command';

/** Finds every problem before the bootstrap starts, each with its fix. Only reads. */
export async function doctor(context: Context, _: readonly string[], { json }: CommandLine): Promise<number> {
  const guests = new Map<string, ReadonlySet<number>>();
  const looks: Record<string, Check> = { ...ownChecks(context) };
  for (const host of proxmoxHosts(context)) looks[host.name] = hostCheck(context.homelab, host, guests);
  looks['machines outside the cluster'] = machineCheck(context, guests);
  const found = await findings(looks);
  console.log(json ? JSON.stringify(found, null, 2) : report(found));
  return found.some(({ state }) => state === 'bad') ? EXIT.failed : EXIT.done;
}

function report(found: readonly Finding[]): string {
  const count = (state: Finding['state']) => found.filter((each) => each.state === state).length;
  return `${table(found)}\n${count('good')} good, ${count('warning')} warnings, ${count('bad')} bad`;
}
