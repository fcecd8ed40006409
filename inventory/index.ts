export * from './homelab';
export { diskTaken, machinesOf, memoryTaken, SHARE_OF_STORAGE } from './capacity';
export { defineHomelab, HomelabError } from './define';
export {
  allocatableMemory,
  apiServerAddresses,
  API_SERVER_PORT,
  clusterNetworks,
  databasePods,
  downSeconds,
  envPrefixOf,
  hostOf,
  machineOfDisk,
  nodes,
  variablesOf,
  systemNodes,
  workers,
} from './derived';
export { linuxOf } from './talos-linux';
