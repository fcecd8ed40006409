import { sentence } from '../values/problem';
import { databasePods } from './derived';
import type { Homelab } from './homelab';
import { at } from './shape';
import { volumeOwners, volumesOf } from './volumes';

/** A data disk that a pod of a database or a volume of a service needs, and the claim that binds its volume. */
export interface NeededDisk {
  /** Name in `dataDisks`, serial of the disk, and folder below /var/mnt. */
  readonly disk: string;
  /** Namespace of the claim. */
  readonly namespace: string;
  /** Name of the claim. Its volume is named NAMESPACE-CLAIM. */
  readonly claim: string;
  /** Name of the database or service. */
  readonly owner: string;
  /** Place of its owner in homelab.ts. */
  readonly place: string;
}

/** Every disk that the homelab needs. Retired databases and services keep theirs. */
export function neededDisks(homelab: Pick<Homelab, 'databases' | 'services' | 'webApps'>): NeededDisk[] {
  return [
    ...Object.entries(homelab.databases).flatMap(([owner, database]) =>
      databasePods(owner, database).map((disk) => ({
        disk,
        namespace: owner,
        claim: `data-${disk}`,
        owner,
        place: at('databases', owner),
      })),
    ),
    ...volumeOwners(homelab).flatMap((service) =>
      volumesOf(service).flatMap(({ disk, claim, volume }) => {
        const { name: owner, namespace, group } = service;
        const place = `${at(group, owner)}.volumes.${volume}`;
        return disk === undefined ? [] : [{ disk, namespace, claim, owner, place }];
      }),
    ),
  ];
}

/** Validates that each needed disk is on one machine, and that each disk is needed: an unused one is a typing error. */
export function diskProblems(homelab: Homelab): string[] {
  const places = new Map<string, string[]>();
  for (const [name, machine] of Object.entries(homelab.machines)) {
    for (const disk of Object.keys((machine.kind === 'talos' && machine.dataDisks) || {}))
      places.set(disk, [...(places.get(disk) ?? []), name]);
  }
  const needed = neededDisks(homelab);
  // The first that names a disk has it.
  const known = new Map([...needed].reverse().map(({ disk, place }) => [disk, place]));
  return [
    ...needed
      .filter(({ disk }) => !places.has(disk))
      .map(({ disk, place }) =>
        sentence({
          what: `${place} must have a data disk${place.startsWith('databases') ? ' for each pod' : ''}`,
          got: `no disk for ${disk}`,
          fix: `add dataDisks: { '${disk}': Size.gibibytes(100) } to the machine that should hold it`,
        }),
      ),
    ...needed
      .filter(({ disk, place }) => known.get(disk) !== place)
      .map(({ disk, place }) =>
        sentence({
          what: `${place} must have a disk of its own`,
          got: `${disk}, which ${known.get(disk)} has`,
          fix: 'give one of the two another disk: a disk holds the data of one pod',
        }),
      ),
    ...[...places]
      .filter(([, machines]) => machines.length > 1)
      .map(([disk, machines]) =>
        sentence({
          what: `data disk ${disk} must be on one machine`,
          got: machines.join(' and '),
          fix: 'remove it from the others',
        }),
      ),
    ...[...places]
      .filter(([disk]) => !known.has(disk))
      .map(([disk, machines]) =>
        sentence({
          what: `data disk ${disk} of ${machines.join()} must belong to a pod of a database or a volume of a service`,
          got: disk,
          allowed: needed.map((each) => each.disk).join(', ') || undefined,
          fix: 'correct the name, or remove the disk',
        }),
      ),
  ];
}
