import { DataStorage, type MicroserviceDeploymentProps } from '../constructs';
import { diskSize, machineOfDisk, type Homelab, type Service } from '../inventory';

type Volumes = MicroserviceDeploymentProps['volumes'];

/** The volumes of a service, each on a disk of a machine or of a storage class. */
export function volumesProp(homelab: Homelab, name: string, { volumes }: Service): Volumes {
  if (volumes === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(volumes).map(([volume, { path, folder, perReplica, disk, storageClass, size }]) => {
      const storage =
        storageClass === undefined
          ? onDisks(homelab, `${name}-${volume}`, disk ?? `${name}-${volume}`, perReplica === true)
          : DataStorage.storageClass(size!, storageClass);
      return [volume, { path, folder, perReplica, storage }];
    }),
  );
}

/** @param usual start of the names that the construct asks for @param own start of the names in homelab.ts */
function onDisks(homelab: Homelab, usual: string, own: string, perReplica: boolean): DataStorage {
  const diskOf = (asked: string) => `${own}${asked.slice(usual.length)}`;
  return DataStorage.localDisks(diskSize(homelab, perReplica ? `${own}-0` : own)!, {
    nodeOf: (disk) => machineOfDisk(homelab, diskOf(disk))[0],
    pathOf: (disk) => `/var/mnt/${diskOf(disk)}`,
  });
}
