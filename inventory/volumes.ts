import type { Size } from 'cdk8s';
import { sentence } from '../values/problem';
import { LOCAL_STORAGE_CLASS, scratchMemoryProblem, type VolumeMount } from '../values/volumes';
import { diskSize, nodes } from './derived';
import type { Homelab } from './homelab';
import { NAMESPACES } from './names';
import { twice } from './reference';
import type { Service } from './services';
import { at } from './shape';

/**
 * A volume of a service: by default a disk of a machine, which holds it in its `dataDisks` and says its size; or a volume of a
 * storage class. It stays when the service is removed; `state: 'retired'` on the service comes before that.
 */
export interface ServiceVolume extends VolumeMount {
  /**
   * Name of its disk in `dataDisks`, at most 20 characters; with `perReplica` its start, and the disks are DISK-0, DISK-1 and so
   * on. May never change while it holds data. @default SERVICE-VOLUME
   */
  readonly disk?: string;
  /** Storage class that makes the volume instead of a disk; `size` is then needed. May never change. @default a disk of a machine */
  readonly storageClass?: string;
  /** Size of a volume of a storage class. May never be lowered. @default that of its disk */
  readonly size?: Size;
}

/** A service that may have volumes, and where it stands in homelab.ts. */
export interface VolumeOwner {
  /** Name in homelab.ts. */
  readonly name: string;
  /** Its entry in homelab.ts. */
  readonly service: Service;
  /** List of homelab.ts that holds it. */
  readonly group: 'services' | 'webApps';
  /** Namespace in which it runs. */
  readonly namespace: string;
}

/** One volume of one pod. */
export interface OwnedVolume {
  /** Service that mounts it. */
  readonly owner: VolumeOwner;
  /** Name of the volume in homelab.ts. */
  readonly volume: string;
  /** Name of its claim, in the namespace of the service. */
  readonly claim: string;
  /** Name of its disk; undefined where a storage class makes the volume. */
  readonly disk?: string;
}

/** Every service and web app. */
export function volumeOwners(homelab: Pick<Homelab, 'services' | 'webApps'>): VolumeOwner[] {
  return (['services', 'webApps'] as const).flatMap((group) =>
    Object.entries(homelab[group]).map(([name, service]) => ({
      name,
      service,
      group,
      namespace: group === 'services' ? NAMESPACES.services : NAMESPACES.web,
    })),
  );
}

/** The volumes of a service, one for each replica where it says so. A retired service keeps them. */
export function volumesOf(owner: VolumeOwner): OwnedVolume[] {
  const { name, service } = owner;
  return Object.entries(service.volumes ?? {}).flatMap(([volume, { perReplica, disk, storageClass }]) => {
    const start = disk ?? `${name}-${volume}`;
    if (perReplica !== true)
      return [{ owner, volume, claim: `${name}-${volume}`, disk: storageClass === undefined ? start : undefined }];
    return Array.from({ length: service.replicas ?? 1 }, (_, ordinal) => ({
      owner,
      volume,
      claim: `${volume}-${name}-${ordinal}`,
      disk: storageClass === undefined ? `${start}-${ordinal}` : undefined,
    }));
  });
}

/** What is wrong with volumes and scratch folders of services, held against the rest of the homelab. */
export function volumeProblems(homelab: Homelab): string[] {
  const owners = volumeOwners(homelab);
  const claims = owners
    .flatMap(volumesOf)
    .map(({ owner, volume, claim }): [string, string] => [
      `the claim of ${at(owner.group, owner.name)}.volumes.${volume}`,
      `${owner.namespace}/${claim}`,
    ]);
  return [...owners.flatMap((owner) => ownProblems(homelab, owner)), ...twice(claims)];
}

function ownProblems(homelab: Homelab, owner: VolumeOwner): string[] {
  const { name, service, group } = owner;
  const place = at(group, name);
  return [
    service.scratch && service.memory && scratchMemoryProblem(service.scratch, service.memory, place),
    ...Object.entries(service.volumes ?? {}).map(([volume, each]) =>
      kindProblem(each, at(at(place, 'volumes'), volume)),
    ),
    ...volumesOf(owner).map((volume) => serialProblem(volume, place)),
    sizesProblem(homelab, owner, place),
    nodeProblem(homelab, owner, place),
    retiredProblem(service, place),
  ].filter((problem): problem is string => typeof problem === 'string');
}

/** A disk has a size in `dataDisks`; a storage class needs one here. */
function kindProblem({ disk, storageClass, size }: ServiceVolume, place: string): string | undefined {
  if (storageClass === undefined)
    return size === undefined
      ? undefined
      : sentence({
          what: `${place}.size must be left out for a volume on a disk`,
          got: size,
          fix: 'the size is that of the disk in dataDisks; for a volume that a storage class makes, set storageClass',
        });
  if (storageClass === LOCAL_STORAGE_CLASS)
    return sentence({
      what: `${place}.storageClass must be one that makes volumes`,
      got: storageClass,
      fix: 'leave storageClass and size out for a disk of a machine',
    });
  if (disk !== undefined)
    return sentence({
      what: `${place}.disk must be left out for a volume of a storage class`,
      got: disk,
      fix: 'leave one of disk and storageClass out',
    });
  if (size !== undefined) return undefined;
  return sentence({
    what: `${place}.size must be set for a volume of a storage class`,
    got: size,
    fix: 'write size: Size.gibibytes(50)',
  });
}

/** virtio cuts a longer serial, and a disk with a cut serial is never found. */
function serialProblem({ owner, volume, disk }: OwnedVolume, place: string): string | undefined {
  if (disk === undefined || disk.length <= 20) return undefined;
  const given = owner.service.volumes![volume]!.disk;
  const room = owner.service.volumes![volume]!.perReplica === true ? 17 : 20;
  return sentence({
    what: `the disk of ${place}.volumes.${volume} must have a name of at most 20 characters, which is all that virtio shows of it`,
    got: disk,
    fix: `set volumes.${volume}.disk to a ${given === undefined ? '' : 'shorter '}name of at most ${room} characters, like ${disk.replace(/-\d+$/, '').slice(0, 10).replace(/-+$/, '')}`,
  });
}

/** Replicas are alike. */
function sizesProblem(homelab: Homelab, owner: VolumeOwner, place: string): string | undefined {
  for (const volume of Object.keys(owner.service.volumes ?? {})) {
    const disks = volumesOf(owner).flatMap((each) => (each.volume === volume && each.disk ? [each.disk] : []));
    const sizes = new Map(disks.map((disk) => [diskSize(homelab, disk)?.asString(), disk]));
    sizes.delete(undefined);
    if (sizes.size > 1)
      return sentence({
        what: `${place}.volumes.${volume} must have disks of one size`,
        got: [...sizes].map(([size, disk]) => `${disk} ${size}`).join(', '),
        fix: 'give all of its disks the same size',
      });
  }
  return undefined;
}

/** A pod runs on the machine of its disk: with `on` elsewhere it would never start. */
function nodeProblem(homelab: Homelab, owner: VolumeOwner, place: string): string | undefined {
  const { on } = owner.service;
  if (on === undefined) return undefined;
  for (const { volume, disk } of volumesOf(owner)) {
    const found = nodes(homelab).find(([, { dataDisks }]) => disk !== undefined && dataDisks?.[disk] !== undefined);
    if (found === undefined) continue;
    const [name, { labels }] = found;
    if (typeof on === 'string' ? on === name : labels?.[on.key] === on.value) continue;
    return sentence({
      what: `${place}.on must be where the disk of volumes.${volume} is`,
      got: on,
      allowed: name,
      fix: 'leave it out: the pod runs on the machine of its disk',
    });
  }
  return undefined;
}

function retiredProblem({ state, volumes = {} }: Service, place: string): string | undefined {
  if (state !== 'retired' || Object.keys(volumes).length > 0) return undefined;
  return sentence({
    what: `${place}.state must be active without volumes`,
    got: state,
    fix: 'remove the service: it keeps no data',
  });
}
