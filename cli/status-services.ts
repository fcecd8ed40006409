import { NAMESPACES, type Homelab } from '../inventory';
import { BEFORE_ROLLOUT, INSTANCE_LABEL, NAME_LABEL } from '../values/labels';
import type { Status } from './status-pod';

type Json = any;
type Ask = (...command: readonly string[]) => string;

/** Lines of a log that are read for the reason of a crash: the last ones name it. */
const TAIL = 30;

/** The services and web apps: what crashes and why, and jobs that have failed. */
export function servicesStatus(homelab: Homelab, ask: Ask): Pick<Status, 'summary' | 'problems'> {
  const namespaces = [NAMESPACES.services, ...(Object.keys(homelab.webApps).length > 0 ? [NAMESPACES.web] : [])];
  const items = (namespace: string, kind: string): Json[] =>
    JSON.parse(ask('get', kind, '-n', namespace, '-o', 'json')).items;
  const pods = namespaces.flatMap((namespace) => items(namespace, 'pods'));
  const problems = [
    ...pods.flatMap((pod) => crashes(pod, ask)),
    ...namespaces.flatMap((namespace) => failedJobs(items(namespace, 'jobs'))),
  ];
  // Pods of jobs come and go.
  const lasting = pods.filter(({ metadata }) => metadata.labels?.[NAME_LABEL] === 'microservice');
  const ready = lasting.filter(({ status }) =>
    status?.conditions?.some((each: Json) => each.type === 'Ready' && each.status === 'True'),
  );
  return { summary: `services: ${ready.length} of ${lasting.length} pods are ready`, problems };
}

function crashes({ metadata, spec, status = {} }: Json, ask: Ask): string[] {
  const { namespace, name } = metadata;
  const owned = metadata.ownerReferences?.[0]?.kind;
  return [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].flatMap((container: Json) => {
    const { waiting, terminated } = container.state ?? {};
    const place = `${namespace}/${name}, container ${container.name}`;
    if (waiting && /^(ErrImagePull|ImagePullBackOff|InvalidImageName|CreateContainer\w*Error)$/.test(waiting.reason))
      return [`${place}: ${waiting.reason}: ${waiting.message ?? 'no message'}`];
    // What failed in a job is reported with the job.
    const ended = waiting?.reason === 'CrashLoopBackOff' ? container.lastState?.terminated : terminated;
    if (!ended || ended.exitCode === 0 || owned === 'Job') return [];
    const isMain = spec.containers.some((each: Json) => each.name === container.name);
    const log = lastLines(ask, namespace, name, container.name, waiting !== undefined);
    const saw = ended.reason === 'OOMKilled' ? 'took more memory than its limit' : `ended with ${ended.exitCode}`;
    const line = log.trim().split('\n').at(-1) ?? '';
    const fix = adviceFor(log, ended, isMain);
    return [`${place} ${saw}${line && `: ${line.slice(0, 200)}`}${fix === undefined ? '' : `\n    ${fix}`}`];
  });
}

function lastLines(ask: Ask, namespace: string, pod: string, container: string, previous: boolean): string {
  const before = previous ? ['--previous'] : [];
  try {
    return ask('logs', '-n', namespace, pod, '-c', container, `--tail=${TAIL}`, ...before);
  } catch {
    // The log of a container that never ran does not exist.
    return '';
  }
}

/** The setting of homelab.ts that fixes a crash, by the last lines of its log. */
export function adviceFor(
  log: string,
  { exitCode, reason }: { readonly exitCode: number; readonly reason?: string },
  isMain = true,
): string | undefined {
  if (reason === 'OOMKilled' || exitCode === 137)
    return reason === 'OOMKilled'
      ? 'raise its memory'
      : 'it was killed: raise terminationGracePeriod if it was stopping, or the startup time of its probes if it was starting';
  const path = /['" ](\/[\w./-]+)['":]?.*read-only file system/i.exec(log)?.[1];
  if (/read-only file system/i.test(log)) {
    const folder = path?.slice(0, path.lastIndexOf('/')) || '/var/cache/app';
    return `give it a folder to write, as scratch: { '${folder}': Size.mebibytes(200) }; if it writes all over its root: allow: { writableRoot: 'why' }`;
  }
  if (
    /(must|needs? to|should) be (run|started) (as|with) root|are you root|you need to be root|requires root/i.test(log)
  )
    return "allow: { root: 'why' }, if no variant of the image runs without root (look for -rootless or -unprivileged)";
  if (
    /(chown|setuid|setgid|setgroups|set_?u?id|initgroups|seteuid|setegid)[^\n]*(operation not permitted|permission denied)/i.test(
      log,
    )
  )
    return "it changes users as root does: allow: { root: 'why' } and capabilities: { CHOWN: 'why', SETUID: 'why', SETGID: 'why' }, or a -rootless variant of the image";
  if (/(bind|listen)[^\n]*permission denied|permission denied[^\n]*(bind|listen)/i.test(log))
    return 'let it listen on a port from 1024 on, and say that as port';
  if (/(EACCES|permission denied)/i.test(log))
    return "its files belong to another user: write the image's as user: 1000, or give the folder a volume";
  if (/exec format error/i.test(log))
    return 'build the image for the nodes: docker buildx build --platform linux/amd64';
  if (exitCode === 127 || /(executable file )?not found in \$?PATH|no such file or directory/i.test(log))
    return isMain ? 'correct its command: the image has no such program' : 'correct the command of that container';
  return undefined;
}

/** Of each job before a rollout the current one, and of each schedule the last run. */
function failedJobs(jobs: readonly Json[]): string[] {
  const newest = new Map<string, Json>();
  for (const job of jobs) {
    const { labels = {}, namespace, ownerReferences = [], creationTimestamp } = job.metadata;
    const isScheduled = ownerReferences.some(({ kind }: Json) => kind === 'CronJob');
    if (!isScheduled && labels[NAME_LABEL] !== BEFORE_ROLLOUT) continue;
    const key = `${labels[NAME_LABEL]} ${namespace}/${labels[INSTANCE_LABEL]}`;
    const known = newest.get(key);
    if (known === undefined || known.metadata.creationTimestamp < creationTimestamp) newest.set(key, job);
  }
  return [...newest.values()].flatMap(({ metadata, status }) => {
    const failed = status?.conditions?.find((each: Json) => each.type === 'Failed' && each.status === 'True');
    if (!failed) return [];
    const { namespace, name, labels } = metadata;
    const what =
      labels[NAME_LABEL] === BEFORE_ROLLOUT
        ? `the job before the rollout of ${labels[INSTANCE_LABEL]} failed, so its old pods stay`
        : `the last run of ${labels[INSTANCE_LABEL]} failed`;
    return [`${what} (${failed.reason}); its log:\n    kubectl -n ${namespace} logs job/${name} --all-pods --prefix`];
  });
}
