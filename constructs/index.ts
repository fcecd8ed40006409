export { KEEP, syncWave } from './argo-cd';
export type { BackupKeep, BackupProps } from './backup';
export { BackupTarget, type NfsTarget, type S3Target, type SftpTarget } from './backup-target';
export type { CassandraMemory } from './cassandra-config';
export type { CassandraOps } from './cassandra-ops';
export {
  CassandraStatefulSet,
  type CassandraConnection,
  type CassandraStatefulSetProps,
} from './cassandra-stateful-set';
export type { ConnectionField, ConnectionKind } from '../values/connection-fields';
export {
  BECAUSE,
  Client,
  Connections,
  type Connectable,
  type ConnectionEnv,
  type ConnectionName,
  type ConnectionsProps,
  type OptionsOf,
  type Peer,
  type Port,
} from './connections';
export type { Setting, Settings } from '../values/database-settings';
export type { DataAccess } from './database-logins';
export { Env, type EnvFromOptions, type PodEnv, type PodField } from '../values/env';
export type { EnvValue } from './env';
export type { Exporter } from './exporter';
export * from './external-llm-service';
export {
  containerRequest,
  footprint,
  limitRangesOf,
  POD_KINDS,
  podRequests,
  podSpecOf,
  withDefaults,
} from './footprint';
export { HashNamedJob, type HashNamedJobProps } from './hash-named-job';
export { IDENTITY } from './identity';
export { images } from './images';
export type { DatabaseProps } from './database';
export {
  IsolatedNamespace,
  type IsolatedNamespaceProps,
  type NamespaceQuota,
  type PodSecurityLevel,
} from './isolated-namespace';
export { groupOf, RENDERED_KINDS, type Kind } from './kinds';
export type { Labels } from './labels';
export { late } from './late';
export { LlmAvailability, type LlmAvailabilityProps } from './llm-availability';
export * from './llm-endpoint';
export { LlmProof, type LlmProofProps } from './llm-proof';
export * from './microservice-deployment';
export type { MemberOptions } from '../values/members';
export type { MongoAccess, MongoOutsideRole, MongoRole } from '../values/mongo-roles';
export { MongoReplicaSet, type MongoConnection, type MongoReplicaSetProps } from './mongo-replica-set';
export {
  OutsideRoute,
  type GatewayRouteProps,
  type IngressController,
  type IngressRouteProps,
  type PortRouteProps,
  type RouteTarget,
} from './outside-route';
export { Placement } from './placement';
export {
  Probes,
  type ExecProbeProps,
  type GrpcProbeProps,
  type HttpProbeProps,
  type ProbeAction,
  type TcpProbeProps,
} from '../values/probes';
export { RenderedService, type RenderedServiceConnection } from './rendered-service';
export { clusterScoped, isClusterScoped, jsonOf, renderOnce, type Json, type ManifestOverride } from './rendering';
export type { Resources } from './resources';
export { RetiredCassandra } from './retired-cassandra';
export { RetiredMicroservice } from './retired-microservice';
export { RetiredMongoDb } from './retired-mongo-db';
export { ScheduledJob, type ScheduledJobProps } from './scheduled-job';
export type { ScheduleOptions } from '../values/schedule';
export type { PortOptions, PortProtocol, Ports, ServicePort } from '../values/ports';
export type { BeforeRollout } from '../values/before-rollout';
export type { ExtraContainer, ExtraContainers } from '../values/containers';
export type { Allow, Capabilities, Devices, On } from '../values/privileges';
export type { Autoscaling } from '../values/scale';
export type { ServiceKind } from '../values/service-kinds';
export { Secret, type KeyPairKind } from '../values/secret';
export type { MountedFiles } from '../values/mounted-files';
export * from './secrets';
export type { SecretFile, ServiceSecret } from './service-secrets';
export type { ServiceOptions } from '../values/service-options';
export type { ExtendedRoute, OpenPort, RouteAnnotations, RouteExtensions } from './route-extensions';
export type { PublishedPort, PublishedProtocol } from '../values/published-ports';
export type { RouteOptions } from '../values/routes';
export { Tls, type AcmeIssuer } from '../values/tls';
export type { PodProps } from './service-pod';
export { TraefikIngress, type ApiServerAddress, type TraefikIngressProps } from './traefik-ingress';
export type { ServiceVolume, ServiceVolumes, ServiceVolumesProps } from './service-volumes';
export type { VolumeMountOptions, VolumeOwner } from './shared-volumes';
export { LOCAL_STORAGE_CLASS, type Scratch, type ScratchSize, type VolumeMount } from '../values/volumes';
export {
  DataStorage,
  DeclaredVolume,
  PersistentVolumes,
  type DeclaredVolumeProps,
  type LocalDisksProps,
} from './volumes';
export type { OutsidePort } from '../values/ways-out';
export { InternetAccess, OutsideAddress, type InternetAccessProps, type OutsideAddressProps } from './ways-out';
