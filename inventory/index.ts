export * from './homelab';
export { defineHomelab, HomelabError } from './define';
export {
  allocatableMemory,
  apiServerAddresses,
  API_SERVER_PORT,
  clusterNetworks,
  databasePods,
  envPrefixOf,
  hostOf,
  machineOfDisk,
  nodes,
  variablesOf,
  systemNodes,
  workers,
} from './derived';
export { linuxOf } from './talos-linux';
