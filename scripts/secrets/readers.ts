import { databasePods, type Homelab } from '../../inventory';
import type { Kubernetes } from '../clients/kubernetes';
import { manifests } from '../clients/context';
import { ENCRYPTED_SECRETS, type ListedSecret } from '../../values/secrets';

/** A workload of dist/ that reads a secret when it starts. */
export interface Reader {
  readonly kind: 'Deployment' | 'StatefulSet' | 'DaemonSet' | 'Job';
  readonly namespace: string;
  readonly name: string;
  /** What its pods are selected by; a job's by its name. */
  readonly selector: string;
  /** Whether its pods read the secret again and again, so that a new value needs no restart. @default false */
  readonly readsAgain?: boolean;
}

/** As the constructs say it (constructs/secrets.ts). */
const READS_AGAIN = 'collab-homelab/reads-again';

const KINDS = ['Deployment', 'StatefulSet', 'DaemonSet', 'Job'];

/** Who reads a secret, from dist/ alone. A login for a registry counts nowhere: kubelet reads it at each pull. */
export function readersOf({ name, namespaces }: ListedSecret, objects = manifests()): Reader[] {
  return objects
    .map(({ object }) => object)
    .filter(
      (object) =>
        KINDS.includes(object?.kind) &&
        namespaces.includes(object.metadata.namespace) &&
        secretsRead(object.spec.template.spec).has(name),
    )
    .map(({ kind, metadata, spec }) => ({
      kind,
      namespace: metadata.namespace,
      name: metadata.name,
      ...(metadata.annotations?.[READS_AGAIN] === name && { readsAgain: true }),
      selector:
        kind === 'Job'
          ? `batch.kubernetes.io/job-name=${metadata.name}`
          : Object.entries(spec.selector.matchLabels)
              .map(([key, value]) => `${key}=${value}`)
              .join(','),
    }));
}

function secretsRead(pod: any): Set<string> {
  const containers = [...(pod.initContainers ?? []), ...pod.containers];
  const found = [
    ...containers.flatMap(({ env = [], envFrom = [] }: any) => [
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
    [`${secret.name} is not changed by a command: ${reason}. By hand, in this order:`, ...steps].join('\n  ');
  if (database.state === 'retired')
    return why(
      `${namespace} is retired: its pods do not run, so they cannot get a new password`,
      '1. set it to active, and rotate then',
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
