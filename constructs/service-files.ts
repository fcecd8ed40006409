import { type ApiObjectMetadata } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import { configMapData, fileKey, type MountedFiles } from '../values/mounted-files';
import type { ServicePod } from './service-pod';

/**
 * Mounts files of a service into its pod. Each is mounted alone (subPath), so that other files of its folder stay. Such a file
 * never changes in a pod that runs: a change replaces the pods.
 */
export function mountFiles(
  scope: Construct,
  pod: ServicePod,
  metadata: ApiObjectMetadata & { readonly name: string },
  files: MountedFiles = {},
): k8s.KubeConfigMap | undefined {
  if (Object.keys(files).length === 0) return undefined;
  const data = configMapData(files);
  for (const path of Object.keys(files))
    pod.addVolume(
      { name: 'files', configMap: { name: metadata.name } },
      { mountPath: path, subPath: fileKey(path), readOnly: true },
    );
  pod.rollsWith('files', data);
  return new k8s.KubeConfigMap(scope, 'files', { metadata, ...data });
}
