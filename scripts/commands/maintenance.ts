import type { Context } from '../clients/context';
import { EXIT, Usage } from '../engine/problem';
import { maintenance } from '../stages/talos/maintenance';
import { applyStage } from './plan';

/**
 * Restarts one node whose databases cannot move. After an interruption, the same command continues. With `stop`, its virtual
 * machine is stopped and started, for changes of its hardware.
 */
export async function maintainNode(context: Context, [name, how]: readonly string[]): Promise<number> {
  const { talos } = context;
  const node = talos.node(name ?? '');
  if (node === undefined)
    throw new Usage(`no node ${name ?? 'was named'} (allowed: ${talos.nodes.map((each) => each.name).join(', ')})`);
  if (how !== undefined && how !== 'stop') throw new Usage(`${how} must be stop, or be left out`);
  await applyStage(context, {
    name: 'maintenance',
    title: `${name} restarts${how === 'stop' ? ' (its VM is stopped and started)' : ''}`,
    steps: async () => maintenance(context, node, how ?? 'reboot'),
  });
  return EXIT.done;
}
