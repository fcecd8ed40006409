import type { Context } from '../clients/context';
import { Usage } from '../engine/problem';

/** Runs talosctl for one node with the login that the repository keeps encrypted, in this terminal, to inspect a problem. */
export async function talosctlHere(
  { talos, commands }: Context,
  [name = '', ...args]: readonly string[],
): Promise<number> {
  const node = talos.node(name);
  if (node === undefined || args.length === 0) {
    const names = talos.nodes.map((each) => each.name);
    throw new Usage(
      `talosctl needs a node and a command, got ${JSON.stringify([name, ...args].join(' '))} (nodes: ${names.join(', ')}); npm run bootstrap -- talosctl ${names[0]} -- dmesg`,
    );
  }
  return commands.attached(await node.argv(args));
}
