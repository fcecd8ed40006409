import { ApiObject, Duration } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { BEFORE_ROLLOUT } from '../values/labels';
import type { BeforeRollout } from '../values/before-rollout';
import { dnsLabelProblem } from '../values/names';
import { syncWave } from './argo-cd';
import { Connections, type Client } from './connections';
import { labels, selectorLabels } from './labels';
import { late } from './late';
import { filled, jsonOf, nameByHash, onRender } from './rendering';
import type { ServicePod } from './service-pod';
import { assertValid } from './validation';

/** The job runs in the first wave after what it needs, and what it holds back follows in the next. */
const WAVES = { job: 1, rollout: 2 } as const;
/** What changes the pods that run. Services, policies and accounts stay in wave 0, because the job needs them too. */
const HELD_BACK: ReadonlySet<string> = new Set([
  'ConfigMap',
  'Deployment',
  'HorizontalPodAutoscaler',
  // A claim of a class that waits for its first pod is not healthy before, and the next wave would never come.
  'PersistentVolumeClaim',
  'PodDisruptionBudget',
  'StatefulSet',
]);

/**
 * Adds the job before the rollout of a service, and moves what it holds back behind it. The name of the Job ends in a hash over
 * its spec and its files, because a Job's pod template is immutable. Call after all objects of the service exist.
 */
export function addBeforeRollout(
  service: Client & { readonly configMap?: k8s.KubeConfigMap },
  pod: ServicePod,
  before: BeforeRollout | undefined,
): k8s.KubeJob | undefined {
  if (before === undefined) return undefined;
  // The suffix and the hash take 18 of the 63 characters.
  assertValid(service, dnsLabelProblem(service.name, 'the name of a service with beforeRollout', 45));
  const identity = { app: BEFORE_ROLLOUT, instance: service.name, component: 'job' };
  const name = `${service.name}-before`;
  const metadata = { name, namespace: service.namespace, labels: { ...labels(identity) } };
  const files = service.configMap;
  // Its own copy: pods that run must not see the new files before it has succeeded.
  const copy = files && new k8s.KubeConfigMap(service, 'files-before', { metadata });
  if (files && copy)
    onRender(copy, (json) => {
      const { data, binaryData } = jsonOf(files);
      return { ...json, ...(data && { data }), ...(binaryData && { binaryData }) };
    });
  service.connections.shareWith(selectorLabels(identity));
  new Connections(service, 'connections-before', {
    ...metadata,
    selector: selectorLabels(identity),
    egressOf: service.connections,
  });
  for (const object of service.node.findAll())
    if (ApiObject.isApiObject(object) && HELD_BACK.has(object.kind) && object !== copy) inWave(object, WAVES.rollout);
  const job = new k8s.KubeJob(service, 'before', {
    metadata: { ...metadata, annotations: syncWave(WAVES.job) },
    spec: late((): k8s.JobSpec => ({
      backoffLimit: before.retries ?? 2,
      activeDeadlineSeconds: (before.deadline ?? Duration.minutes(15)).toSeconds(),
      template: { metadata: { labels: metadata.labels }, spec: podSpec(pod, before, files && [files.name, name]) },
    })),
  });
  nameByHash(job, name, () => files && [jsonOf(files).data, jsonOf(files).binaryData]);
  return job;
}

/** The pod of the service with another command: no probes, no ports, and none of its disks, which its pods use. */
function podSpec(
  pod: ServicePod,
  { image, command, args }: BeforeRollout,
  renamed: readonly [from: string, to: string] | undefined,
): k8s.PodSpec {
  // Each try is a pod of its own, so that the log of a failed one stays.
  const { spec } = pod.render({ restartPolicy: 'Never' });
  const volumes = (spec.volumes ?? [])
    .filter(({ persistentVolumeClaim }) => persistentVolumeClaim === undefined)
    .map((volume) =>
      renamed && volume.configMap?.name === renamed[0]
        ? { ...volume, configMap: { ...volume.configMap, name: renamed[1] } }
        : volume,
    );
  const [own] = spec.containers;
  const { ports: _, startupProbe: _s, livenessProbe: _l, readinessProbe: _r, lifecycle: _c, ...container } = own!;
  return {
    ...spec,
    topologySpreadConstraints: undefined,
    initContainers: undefined,
    containers: [
      {
        ...container,
        image: image ?? container.image,
        command: [...command],
        args: filled(args),
        volumeMounts: container.volumeMounts?.filter(({ name }) => volumes.some((volume) => volume.name === name)),
      },
    ],
    volumes,
  };
}

function inWave(object: ApiObject, wave: number): void {
  onRender(object, (json) => ({
    ...json,
    metadata: { ...json.metadata, annotations: { ...json.metadata.annotations, ...syncWave(wave) } },
  }));
}
