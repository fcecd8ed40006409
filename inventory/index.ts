export * from './homelab';
export * from './backup';
export { diskTaken, machinesOf, memoryTaken, SHARE_OF_STORAGE } from './capacity';
export { defineHomelab, HomelabError } from './define';
export {
  allocatableCpu,
  allocatableMemory,
  apiServerAddresses,
  API_SERVER_PORT,
  clusterNetworks,
  databasePods,
  downSeconds,
  envPrefixOf,
  hostOf,
  hostWithDefaults,
  machineOfDisk,
  nodes,
  SYSTEM_MILLICORES,
  variablesOf,
  systemNodes,
  workers,
} from './derived';
export type { MemberOptions } from '../values/members';
export type { MongoRole } from '../values/mongo-roles';
export { linuxOf, MONGOD_STOPS, MONGOD_WAY_OUT, mongodStarts } from './talos-linux';
