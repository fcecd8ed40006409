import { sentence } from '../values/problem';
import { sharingProblem, userOf, type SharedVolume } from '../values/shared-volumes';
import { nodes } from './derived';
import type { Homelab } from './homelab';
import { oneOf } from './reference';
import { at } from './shape';
import { volumeOwners, volumesOf, type VolumeOwner } from './volumes';

/** What is wrong with volumes that pods of another service mount, held against the rest of the homelab. */
export function sharedVolumeProblems(homelab: Homelab): string[] {
  const owners = volumeOwners(homelab);
  return owners.flatMap((client) => {
    const place = at(at(client.group, client.name), 'sharedVolumes');
    const problems = Object.entries(client.service.sharedVolumes ?? {}).flatMap(([path, shared]) =>
      problemsOf(owners, client, shared, `${place}[${JSON.stringify(path)}]`),
    );
    return problems.length > 0 ? problems : machinesProblem(homelab, owners, client, place);
  });
}

function problemsOf(
  owners: readonly VolumeOwner[],
  client: VolumeOwner,
  shared: SharedVolume,
  place: string,
): string[] {
  const others = owners.filter(({ name, service }) => name !== client.name && service.volumes !== undefined);
  const owner = others.find(({ name }) => name === shared.of);
  if (owner === undefined || owner.group === client.group)
    return owner === undefined
      ? oneOf(`${place}.of must be another service with volumes`, shared.of, namesIn(others, client))
      : ofOwner(owner, client, shared, place);
  const fix = `move ${client.name} to ${owner.group}: a claim can be mounted in its own namespace alone`;
  const got = `${shared.of}, which runs in namespace ${owner.namespace}`;
  return [sentence({ what: `${place}.of must be a service of namespace ${client.namespace}`, got, fix })];
}

function namesIn(owners: readonly VolumeOwner[], { group }: VolumeOwner): string[] {
  return owners.filter((owner) => owner.group === group).map(({ name }) => name);
}

function ofOwner(owner: VolumeOwner, client: VolumeOwner, { of, volume }: SharedVolume, place: string): string[] {
  const { service, group } = owner;
  if (service.state === 'retired')
    return [
      sentence({
        what: `${place}.of must be an active service`,
        got: `${of}, which is retired`,
        fix: `set ${at(group, of)}.state to 'active', or remove the mount`,
      }),
    ];
  const volumes = service.volumes!;
  if (!Object.hasOwn(volumes, volume))
    return oneOf(`${place}.volume must be a volume of ${of}`, volume, Object.keys(volumes));
  const { perReplica = false, storageClass } = volumes[volume]!;
  const problem = sharingProblem({
    what: place,
    name: `${of}.volumes.${volume}`,
    perReplica,
    isDisk: storageClass === undefined,
    users: { owner: userOf(service), other: userOf(client.service) },
  });
  return problem === undefined ? [] : [problem];
}

/** A pod runs on one machine, so all disks that it mounts must be there. */
function machinesProblem(
  homelab: Homelab,
  owners: readonly VolumeOwner[],
  client: VolumeOwner,
  place: string,
): string[] {
  const shared = Object.values(client.service.sharedVolumes ?? {});
  if (shared.length === 0) return [];
  const disks = [
    ...volumesOf(client),
    ...shared.flatMap(({ of, volume }) =>
      owners
        .filter(({ name }) => name === of)
        .flatMap((owner) => volumesOf(owner).filter((each) => each.volume === volume)),
    ),
  ].flatMap(({ disk }) => disk ?? []);
  const machines = nodes(homelab).flatMap(([name, { dataDisks = {} }]) =>
    disks.filter((disk) => Object.hasOwn(dataDisks, disk)).map((disk) => [name, disk] as const),
  );
  if (new Set(machines.map(([name]) => name)).size < 2) return [];
  return [
    sentence({
      what: `${place} must be disks of one machine, with the volumes of ${client.name} itself`,
      got: machines.map(([name, disk]) => `${disk} on ${name}`).join(', '),
      fix: 'split the work into a service for each machine, or move a disk',
    }),
  ];
}
