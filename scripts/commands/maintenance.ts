import { nodesInOrder, type Context } from '../clients/context';
import { EXIT, Usage } from '../engine/problem';
import { maintenance } from '../stages/talos/maintenance';
import { applyStage } from './plan';

/**
 * Starts one node again whose databases cannot move. Stopped half way, the same command goes on. With `stop` its virtual
 * machine goes off and on, for changes of its hardware.
 */
export async function maintainNode(context: Context, [name, how]: readonly string[]): Promise<number> {
  const nodes = nodesInOrder(context);
  const machine = nodes.find(([each]) => each === name)?.[1];
  if (name === undefined || machine === undefined)
    throw new Usage(`no node ${name ?? 'was named'} (allowed: ${nodes.map(([each]) => each).join(', ')})`);
  if (how !== undefined && how !== 'stop') throw new Usage(`${how} must be stop, or be left out`);
  await applyStage(context, {
    name: 'maintenance',
    title: `${name} is ${how === 'stop' ? 'switched off and on' : 'started'} again`,
    steps: async () => maintenance(context, name, machine, how ?? 'reboot'),
  });
  return EXIT.done;
}
