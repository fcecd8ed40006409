import { databasePods, type Homelab } from '../../inventory';
import type { Kubernetes } from '../clients/kubernetes';
import { manifests } from '../clients/context';
import { BEFORE_ROLLOUT, NAME_LABEL } from '../../values/labels';
import { ENCRYPTED_SECRETS, type ListedSecret } from '../../values/secrets';

/** A workload of dist/ that reads a secret when it starts. */
export interface Reader {
  readonly kind: 'Deployment' | 'StatefulSet' | 'DaemonSet' | 'Job' | 'CronJob';
  readonly namespace: string;
  readonly name: string;
  /** What its pods are selected by; a job's by its name. */
  readonly selector: string;
  /**
   * How a new value reaches it:
   *   restart      its pods are replaced
   *   run-again    a job that brings the value into a database, or that is all that uses it, is made again
   *   next-start   another job reads it when it starts the next time; only a pod that still runs has the old one
   *   by-itself    its pods read it again and again
   */
  readonly gets: 'restart' | 'run-again' | 'next-start' | 'by-itself';
}

/** As the constructs say it (constructs/secrets.ts). */
const READS_AGAIN = 'collab-homelab/reads-again';

const KINDS = ['Deployment', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob'];

/** Who reads a secret, from dist/ alone. A login for a registry counts nowhere: kubelet reads it at each pull. */
export function readersOf({ name, namespaces }: ListedSecret, objects = manifests()): Reader[] {
  const found = objects
    .map(({ object }) => object)
    .filter(
      (object) =>
        KINDS.includes(object?.kind) &&
        object.metadata.labels?.[NAME_LABEL] !== BEFORE_ROLLOUT &&
        namespaces.includes(object.metadata.namespace) &&
        secretsRead(podOf(object)).has(name),
    );
  const onlyJobs = found.every(({ kind }) => kind === 'Job');
  return found.map((object) => ({
    kind: object.kind,
    namespace: object.metadata.namespace,
    name: object.metadata.name,
    gets: wayOf(object, name, onlyJobs),
    selector: selectorOf(object),
  }));
}

function podOf({ spec }: any): any {
  return (spec.jobTemplate?.spec ?? spec).template.spec;
}

function wayOf(object: any, name: string, onlyJobs: boolean): Reader['gets'] {
  if (object.metadata.annotations?.[READS_AGAIN] === name) return 'by-itself';
  if (object.kind === 'CronJob') return 'next-start';
  if (object.kind !== 'Job') return 'restart';
  const readsPrevious = containersOf(podOf(object)).some(({ env = [] }) =>
    env.some(
      ({ valueFrom }: any) => valueFrom?.secretKeyRef?.name === name && valueFrom.secretKeyRef.key.startsWith(PREVIOUS),
    ),
  );
  return onlyJobs || readsPrevious ? 'run-again' : 'next-start';
}

function selectorOf({ kind, metadata, spec }: any): string {
  if (kind === 'Job') return `batch.kubernetes.io/job-name=${metadata.name}`;
  const labels = kind === 'CronJob' ? spec.jobTemplate.spec.template.metadata.labels : spec.selector.matchLabels;
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(',');
}

/** What the keys of previous values begin with. */
export const PREVIOUS = 'previous-';

function containersOf(pod: any): any[] {
  return [...(pod.initContainers ?? []), ...pod.containers];
}

function secretsRead(pod: any): Set<string> {
  const found = [
    ...containersOf(pod).flatMap(({ env = [], envFrom = [] }: any) => [
      ...env.map(({ valueFrom }: any) => valueFrom?.secretKeyRef?.name),
      ...envFrom.map(({ secretRef }: any) => secretRef?.name),
    ]),
    ...(pod.volumes ?? []).flatMap(({ secret, projected }: any) => [
      secret?.secretName,
      ...(projected?.sources ?? []).map((source: any) => source.secret?.name),
    ]),
  ];
  return new Set(found.filter((each) => each !== undefined));
}

/** Pods of a reader that started before a moment, and so hold what the secret was then. */
export async function stalePods(kubernetes: Kubernetes, reader: Reader, since: number): Promise<string[]> {
  const items: any[] = (await kubernetes.get(['pod', '-n', reader.namespace, '-l', reader.selector]))?.items ?? [];
  return items
    .filter(({ status }) => !['Succeeded', 'Failed'].includes(status?.phase))
    .filter(({ metadata, status }) => Date.parse(status?.startTime ?? metadata.creationTimestamp) < since)
    .map(({ metadata }) => metadata.name)
    .sort();
}

/**
 * Why a secret must not be changed by a command, and how it is changed by hand; undefined where the jobs and restarts that
 * there are make everyone use a new value.
 */
export function byHand({ databases }: Homelab, secret: ListedSecret): string | undefined {
  const namespace = secret.namespaces.find((each) => each in databases);
  const database = namespace === undefined ? undefined : databases[namespace];
  if (database === undefined) return undefined;
  const why = (reason: string, ...steps: string[]) =>
    [`${secret.name} cannot be rotated by this command: ${reason}. By hand, in this order:`, ...steps].join('\n  ');
  if (database.state === 'retired')
    return why(
      `${namespace} is retired: its pods do not run, so they cannot get a new password`,
      '1. set it to active, then rotate',
    );
  const edit = (keys: string) =>
    `sops ${ENCRYPTED_SECRETS}: put the new ${keys} below secrets.${namespace}.${secret.name}`;
  const replace = `kubectl -n ${namespace} delete secret ${secret.name}, then npm run bootstrap -- apply secrets`;
  if (secret.name === `${namespace}-backup`)
    return why(
      'what is stored was encrypted with its password, and the target lets its key in, so both must know the new one before the secret does',
      `1. the password: kubectl -n ${namespace} exec -it ${databasePods(namespace!, database)[0]} -c backup -- sh -c 'restic \${BACKUP_SSH_CONFIG:+-o} \${BACKUP_SSH_CONFIG:+"sftp.command=ssh -F $BACKUP_SSH_CONFIG target -s sftp"} key passwd' (it asks for the new one)`,
      '   the key: remove ssh-key below that name in the file; npm run bootstrap -- apply secrets shows the new public half for authorized_keys',
      `2. ${edit('password')}`,
      `3. ${replace}`,
      `4. kubectl -n ${namespace} rollout restart statefulset`,
    );
  return undefined;
}
