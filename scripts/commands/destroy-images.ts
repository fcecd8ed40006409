import { IMAGE_PREFIX } from '../../machines/images';
import { proxmoxHosts, type ProxmoxHost } from '../clients/proxmox/host';
import { command } from '../engine/actions';
import type { Context } from '../clients/context';
import { EXIT, Usage } from '../engine/problem';
import { planStage, shownLines, step, type Step } from '../engine/step';
import { executeAll } from './plan';

/** Removes the disk images from the hosts. Machines have their own copy; digests stay in the repository. */
export async function destroyImages(context: Context, args: readonly string[]): Promise<number> {
  if (args.length > 0) throw new Usage('destroy images takes no more arguments');
  context.commands.changing = false;
  const steps = async () =>
    Promise.all(proxmoxHosts(context).map(async (host) => noImages(host, await host.files.folder('import'))));
  const planned = await planStage({ name: 'images', title: 'removed', steps });
  if (planned.length === 0) {
    console.log('the hosts have no images of ours');
    return EXIT.done;
  }
  for (const { change } of planned) console.log(change === undefined ? '' : shownLines(change).join('\n'));
  await context.ask.typed('These images are removed. Stage images downloads them again.', 'images');
  await executeAll(context, planned);
  return EXIT.done;
}

function noImages({ commands, target }: ProxmoxHost, folder: string): Step {
  // A folder that is not there holds none.
  const script = 'test ! -d "$1" || find "$1" -maxdepth 1 -type f -name "$2*"';
  return step(`no images of ours on ${target.name}`, async () => {
    const { stdout } = await commands.read(target, ['sh', '-c', script, 'sh', folder, IMAGE_PREFIX]);
    // What comes back is removed: only what has our name, whatever was said.
    const paths = stdout.split('\n').filter((path) => path.startsWith(`${folder}/${IMAGE_PREFIX}`));
    if (paths.length === 0) return undefined;
    return { actions: [command(commands, target, ['rm', '-f', '--', ...paths.sort()])] };
  });
}
