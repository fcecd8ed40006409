import { proxmox, proxmoxHosts, type Context } from '../clients/context';
import { EXIT, Usage } from '../engine/problem';
import { shownLines, planStage, type Step } from '../engine/step';
import { IMAGE_PREFIX } from '../../machines/images';
import { filesFolder, imagesOn } from '../stages/images';
import { executeAll } from './plan';

/** Removes the disk images from the hosts. Machines have their own copy; digests stay in the repository. */
export async function destroyImages(context: Context, args: readonly string[]): Promise<number> {
  if (args.length > 0) throw new Usage('destroy images takes nothing more');
  context.commands.changing = false;
  const steps: Step[] = [];
  for (const [host, { files = 'local' }] of proxmoxHosts(context))
    if (imagesOn(context, host).length > 0)
      steps.push(imagesAreGone(context, host, `${await filesFolder(context, host, files, 'import')}/import`));
  const planned = await planStage({ name: 'images', title: 'goes', steps: async () => steps });
  for (const { change } of planned) console.log((change === undefined ? [] : shownLines(change)).join('\n'));
  if (planned.length === 0) {
    console.log('there are no images of ours');
    return EXIT.done;
  }
  await context.ask.typed('These images go; stage images downloads them again.', 'images');
  await executeAll(context, planned);
  return EXIT.done;
}

function imagesAreGone(context: Context, host: string, folder: string): Step {
  const place = proxmox(context, host);
  // A folder that is not there holds none.
  const script = 'test ! -d "$1" || find "$1" -maxdepth 1 -type f -name "$2*"';
  const present = async () => {
    const { stdout } = await context.commands.read(place, ['sh', '-c', script, 'sh', folder, IMAGE_PREFIX]);
    // What comes back is removed: only what has our name, whatever was said.
    return stdout.split('\n').filter((path) => path.startsWith(`${folder}/${IMAGE_PREFIX}`));
  };
  return {
    title: `no images of ours on ${host}`,
    async plan() {
      const paths = await present();
      return paths.length === 0 ? undefined : { lines: paths.sort().map((path) => `${host}: rm ${path}`) };
    },
    async apply() {
      await context.commands.change(place, ['rm', '-f', '--', ...(await present())]);
    },
  };
}
