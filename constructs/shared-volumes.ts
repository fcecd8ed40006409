import type { Client } from './connections';
import type { ServicePod } from './service-pod';
import type { ServiceVolumes } from './service-volumes';
import { fail } from './validation';

/** Which volume of another service, and where. */
export interface VolumeMountOptions {
  /** Name of the volume in `volumes` of its service. */
  readonly volume: string;
  /** Absolute path of the folder, in every container of the pod. */
  readonly path: string;
  /** Whether the mount refuses writes. SQLite needs writes also to read a database that is in use. @default false */
  readonly readOnly?: boolean;
}

/** A service that has volumes: a MicroserviceDeployment. */
export interface VolumeOwner {
  /** Name of the service. */
  readonly name: string;
  /** Namespace in which it runs. */
  readonly namespace: string;
  /** Its volumes; undefined without any. */
  readonly volumes?: ServiceVolumes;
}

/** Mounts a volume of another service into the pods of a client. The disk ties them to its node. */
export function mountVolumeOf(
  client: Client,
  pod: ServicePod,
  { name, namespace, volumes }: VolumeOwner,
  options: VolumeMountOptions,
): void {
  if (namespace !== client.namespace)
    fail(client, {
      what: `a volume of ${name} must be mounted in the namespace of its claim, ${namespace}`,
      got: client.namespace,
      fix: `create ${client.name} in that namespace`,
    });
  if (volumes === undefined)
    return fail(client, {
      what: `${name} must have volumes, of which ${client.name} mounts one`,
      got: 'none',
      fix: `write volumes: { ${options.volume}: { path: '${options.path}', storage: ... } } for ${name}`,
    });
  volumes.shareWith(client, pod, options);
}
