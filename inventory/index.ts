export * from './homelab';
export { defineHomelab, HomelabError } from './define';
export {
  allocatableMemory,
  apiServerAddresses,
  API_SERVER_PORT,
  databasePods,
  hostOf,
  machineOfDisk,
  nodes,
  workers,
} from './derived';
