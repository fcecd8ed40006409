export * from './homelab';
export * from './databases';
export * from './services';
export * from './backup';
export * from './llm-gateway';
export * from './models';
export { architectureOfConfig, windowOf } from './model-config';
export { knownArchitecture } from './model-architectures';
export {
  alternatives,
  alternativesInWords,
  largestContext,
  loadOf,
  modelBudget,
  residentBeside,
  roomOf,
  type Alternatives,
  type ModelBudget,
} from './model-fit';
export {
  gpuMemory,
  machineFor,
  MEMORY_BANDWIDTH,
  modelMemory,
  tokensPerSecond,
  type ModelLoad,
  type ModelMemory,
} from './model-memory';
export { quantizationOf, weightBytes, type Quantization, type WeightBytes } from './model-weights';
export { metalLimit, trainingMemory, type TrainingMemory } from './training-memory';
export {
  byTarget,
  clientLoginOf,
  envPrefixOf,
  fallbackOf,
  givenBy,
  isOwn,
  targetOf,
  variablesOf,
  type ByTarget,
  type Connection,
  type Given,
} from './connections';
export { Env, type EnvFromOptions, type PodEnv, type PodField } from '../values/env';
export type { OutsidePort } from '../values/ways-out';
export { diskTaken, machinesOf, memoryTaken, SHARE_OF_STORAGE } from './capacity';
export { defineHomelab, HomelabError } from './define';
export {
  allocatableCpu,
  allocatableMemory,
  apiServerAddresses,
  API_SERVER_PORT,
  clusterNetworks,
  databasePods,
  diskSize,
  downSeconds,
  hostOf,
  machineOfDisk,
  nodes,
  proxmoxSettings,
  revisionOf,
  servers,
  SYSTEM_MILLICORES,
  systemNodes,
  workers,
} from './derived';
export { certificateNames, hostNames, routesOf, type HostedRoute } from './routes';
export { Tls, type AcmeIssuer } from '../values/tls';
export type { RouteOptions } from '../values/routes';
export { FOLDERS, NAMESPACES, reservedNames } from './names';
export { Secret, type KeyPairKind } from '../values/secret';
export type { MountedFiles } from '../values/mounted-files';
export { neededDisks, type NeededDisk } from './disks';
export { volumeOwners, volumesOf, type OwnedVolume, type ServiceVolume, type VolumeOwner } from './volumes';
export type { MemberOptions } from '../values/members';
export type { MongoAccess, MongoOutsideRole, MongoRole } from '../values/mongo-roles';
export type { Scratch, ScratchSize, VolumeMount } from '../values/volumes';
export {
  Probes,
  type ExecProbeProps,
  type GrpcProbeProps,
  type HttpProbeProps,
  type ProbeAction,
  type TcpProbeProps,
} from '../values/probes';
export { portsOf, type PortOptions, type PortProtocol, type Ports, type ServicePort } from '../values/ports';
export type { BeforeRollout } from '../values/before-rollout';
export type { ExtraContainer, ExtraContainers } from '../values/containers';
export { podSecurityOf, type Allow, type Capabilities, type Devices, type On } from '../values/privileges';
export type { Autoscaling } from '../values/scale';
export type { SharedVolume, SharedVolumes } from '../values/shared-volumes';
export type { ScheduleOptions } from '../values/schedule';
export type { ServiceKind } from '../values/service-kinds';
export type { ServiceOptions } from '../values/service-options';
export { linuxOf, MONGOD_STOPS, MONGOD_WAY_OUT, mongodStarts } from './talos-linux';
