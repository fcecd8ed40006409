import { nodes } from '../../inventory';
import { talosctl } from '../clients/talos';
import type { Context } from '../clients/context';
import { Usage } from '../engine/problem';

/** Runs talosctl for one node with the login that the repository keeps encrypted, in this terminal: to look when something stands still. */
export async function talosctlHere(context: Context, [name = '', ...args]: readonly string[]): Promise<number> {
  const machine = nodes(context.homelab).find(([each]) => each === name)?.[1];
  if (machine === undefined || args.length === 0)
    throw new Usage(
      `talosctl needs a node and a command, got ${JSON.stringify([name, ...args].join(' '))} (nodes: ${nodes(
        context.homelab,
      )
        .map(([each]) => each)
        .join(', ')}); npm run bootstrap -- talosctl ${nodes(context.homelab)[0]![0]} -- dmesg`,
    );
  return context.commands.attached(await talosctl(context, machine.address, args));
}
