import type { Manifest } from '../objects';

/** Kinds of workloads, and where their pod template is. */
const TEMPLATES: Readonly<Record<string, (object: Manifest) => Manifest | undefined>> = {
  Pod: (object) => object.spec,
  Deployment: (object) => object.spec?.template?.spec,
  ReplicaSet: (object) => object.spec?.template?.spec,
  ReplicationController: (object) => object.spec?.template?.spec,
  StatefulSet: (object) => object.spec?.template?.spec,
  DaemonSet: (object) => object.spec?.template?.spec,
  Job: (object) => object.spec?.template?.spec,
  CronJob: (object) => object.spec?.jobTemplate?.spec?.template?.spec,
};

/** The pod template of a workload; undefined if it runs no pods. */
export function podOf(object: Manifest): Manifest | undefined {
  return TEMPLATES[object.kind]?.(object);
}

/** Containers of a pod without init containers. */
export function containersOf(pod: Manifest | undefined): Manifest[] {
  return pod?.containers ?? [];
}

/** The claims that a StatefulSet makes for each of its pods. */
export function claimTemplates(object: Manifest): Manifest[] {
  return object.kind === 'StatefulSet' ? (object.spec?.volumeClaimTemplates ?? []) : [];
}

/** Number of pods of a StatefulSet. */
export function replicasOf({ spec }: Manifest): number {
  return spec?.replicas ?? 1;
}

/** Names of a StatefulSet's pods. */
export function podNames(object: Manifest): string[] {
  const first = object.spec?.ordinals?.start ?? 0;
  return Array.from({ length: replicasOf(object) }, (_, n) => `${object.metadata.name}-${first + n}`);
}

/** Words of a container's command and arguments. */
export function wordsOf({ command = [], args = [] }: Manifest): string[] {
  return [...command, ...args].map(String);
}

/** The value of an option on a command line: --name=value or --name value. */
export function option(words: readonly string[], name: string): string | undefined {
  const joined = words.find((word) => word.startsWith(`${name}=`));
  if (joined !== undefined) return joined.slice(name.length + 1);
  const at = words.indexOf(name);
  return at < 0 ? undefined : words[at + 1];
}

/** Namespace and name for messages: cassandra/cassandra-r1. */
export function placeOf({ metadata }: Manifest): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}
