import { createInterface } from 'node:readline/promises';
import { diskSize, machineOfDisk, neededDisks, type Homelab } from '../inventory';
import { flag, runKubectl } from './kubectl';

/** How a volume and its claim refer to each other. */
export interface Binding {
  /** UID of the claim in the volume's claimRef; none while it waits for a claim. */
  readonly remembered?: string;
  /** UID of the existing claim; none if it does not exist. */
  readonly present?: string;
}

/** Whether a volume waits for a deleted claim: then no other claim can bind it, not even one with the same name. */
export function isStale({ remembered, present }: Binding): boolean {
  return remembered !== undefined && remembered !== present;
}

/**
 * Lets a recreated claim bind the volume of a database's pod or of a service. Shows claim, volume and
 * disk first, and asks. Keeps the data on the disk.
 */
export async function rebind(args: readonly string[]): Promise<void> {
  const { default: homelab } = await import('../homelab');
  const pod = args.find((arg) => !arg.startsWith('--'));
  const disks = neededDisks(homelab).map(({ disk }) => disk);
  if (pod === undefined || !disks.includes(pod))
    throw new Error(
      `rebind needs the pod of a database or the disk of a service, got ${pod ?? 'nothing'} (allowed: ${disks.join(', ')}); npm run homelab -- rebind ${disks[0] ?? 'DISK'} [--kubeconfig=FILE] [--yes]`,
    );
  const place = placeOf(homelab, pod);
  const kubectl = (...command: string[]) => runKubectl('rebind', flag(args, 'kubeconfig'), command);
  const volume = kubectl('get', 'persistentvolume', place.volume, '--ignore-not-found', '-o', 'json');
  if (volume === '')
    throw new Error(`volume ${place.volume} must exist in the cluster, got none; sync the application platform first`);
  const claim = kubectl(
    'get',
    'persistentvolumeclaim',
    place.claim,
    '-n',
    place.namespace,
    '--ignore-not-found',
    '-o',
    'json',
  );
  const binding: Binding = {
    remembered: JSON.parse(volume).spec.claimRef?.uid,
    present: claim === '' ? undefined : JSON.parse(claim).metadata.uid,
  };
  console.log(`disk    ${pod}, ${place.size} on ${place.machine}, mounted at /var/mnt/${pod}`);
  console.log(
    `volume  ${place.volume}, ${binding.remembered ? `refers to claim ${binding.remembered}` : 'waits for its claim'}`,
  );
  console.log(`claim   ${place.namespace}/${place.claim}, ${binding.present ?? 'does not exist'}`);
  if (!isStale(binding)) return console.log('nothing to do: the volume refers to its claim');
  if (!args.includes('--yes') && !(await agrees(`let the next claim ${place.claim} bind this volume and its data?`)))
    return console.log('nothing was changed');
  const patch = [
    // Removes only the reference that was shown: another claim may have bound the volume since.
    { op: 'test', path: '/spec/claimRef/uid', value: binding.remembered },
    { op: 'remove', path: '/spec/claimRef/uid' },
    ...(JSON.parse(volume).spec.claimRef.resourceVersion
      ? [{ op: 'remove', path: '/spec/claimRef/resourceVersion' }]
      : []),
  ];
  kubectl('patch', 'persistentvolume', place.volume, '--type=json', '-p', JSON.stringify(patch));
  console.log(`${place.volume} waits for claim ${place.claim} again`);
}

function placeOf(homelab: Homelab, disk: string) {
  const { namespace, claim } = neededDisks(homelab).find((each) => each.disk === disk)!;
  const [machine] = machineOfDisk(homelab, disk);
  return { namespace, claim, volume: `${namespace}-${claim}`, machine, size: diskSize(homelab, disk)!.asString() };
}

async function agrees(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`${question} [y/N] `);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}
