export * from './homelab';
export { defineHomelab, HomelabError } from './define';
export { allocatableMemory, apiServerAddress, API_SERVER_PORT, databasePods, machineOfDisk, nodes } from './derived';
