import { databasePods, type Homelab } from '../inventory';
import { INSTANCE_LABEL } from '../values/labels';
import { runKubectl } from './kubectl';
import { cassandraStatus } from './status-cassandra';
import { drillOf } from './status-drill';
import { mongodbStatus } from './status-mongodb';
import { servicesStatus } from './status-services';
import { table, type PodStatus, type Status } from './status-pod';
import { options } from './usage';

type Json = any;

/** Timeouts: the command must end even if the cluster does not answer. */
const SECONDS = { each: 15, all: 90 };
/** The container that reports on a pod. */
const REPORTER = { cassandra: 'ops', mongodb: 'reconcile' } as const;
const READ =
  'for file in /tmp/status.json /handover/status.json; do cat "$file" 2>/dev/null || printf null; echo; done';

/** Prints the state of each database, and which services crash or have failed jobs. Exit code 1 if something is late or broken. */
export async function status(args: readonly string[]): Promise<void> {
  const kubeconfig = options(args, { kubeconfig: 'value' }).get('kubeconfig');
  const { default: homelab } = await import('../homelab');
  const problems = Object.keys(homelab.databases).flatMap((name) => {
    const { lines, problems: found } = databaseStatus(homelab, name, kubeconfig);
    console.log(`${lines.join('\n')}\n`);
    return found.map((problem) => `${name}: ${problem}`);
  });
  const services = servicesStatus(homelab, askOf(kubeconfig));
  console.log(`${services.summary}\n`);
  problems.push(...services.problems);
  if (problems.length === 0) return console.log('nothing is late or broken');
  console.log(['late or broken:', ...problems.map((problem) => `  ${problem}`)].join('\n'));
  process.exitCode = 1;
}

/** The table of one database, and what is late or broken. */
export function databaseStatus(
  homelab: Homelab,
  name: string,
  kubeconfig: string | undefined,
  now = Date.now(),
): { lines: string[]; problems: string[] } {
  const database = homelab.databases[name]!;
  if (database.state === 'retired') return { lines: [`${name}: retired, runs no pods`], problems: [] };
  const ask = askOf(kubeconfig);
  const pods = podsOf(name, databasePods(name, database), REPORTER[database.kind], ask, now);
  const status: Status =
    database.kind === 'cassandra' ? cassandraStatus(database, pods, now) : mongodbStatus(database, pods, now);
  const drill = pods.some(({ backupEvery }) => backupEvery !== undefined) && lastDrill(name, ask, now);
  const up = pods.filter(({ ready }) => ready).length;
  return {
    lines: [
      `${name}: ${up} of ${pods.length} pods are ready, ${status.summary}`,
      ...table(status.rows),
      ...(drill ? [`  ${drill.line}`] : []),
    ],
    problems: [...status.problems, ...(drill ? drill.problems : [])],
  };
}

type Ask = (...command: readonly string[]) => string;

function askOf(kubeconfig: string | undefined): Ask {
  return (...command) =>
    runKubectl('status', kubeconfig, [`--request-timeout=${SECONDS.each}s`, ...command], SECONDS.each);
}

function lastDrill(name: string, ask: Ask, now: number) {
  const ofRestores = `${INSTANCE_LABEL}=${name}-restore`;
  return drillOf(name, JSON.parse(ask('get', 'jobs', '-n', name, '-l', ofRestores, '-o', 'json')).items, now);
}

function podsOf(namespace: string, expected: readonly string[], container: string, ask: Ask, now: number): PodStatus[] {
  const { items } = JSON.parse(ask('get', 'pods', '-n', namespace, '-o', 'json'));
  const live = new Map<string, Json>(items.map((pod: Json) => [pod.metadata.name, pod]));
  return expected.map((pod): PodStatus => {
    const found = live.get(pod);
    if (!found) return { pod, ready: false, problem: 'does not exist' };
    const { phase, conditions = [] } = found.status ?? {};
    const ready = conditions.some((each: Json) => each.type === 'Ready' && each.status === 'True');
    const every = Number(
      found.spec.containers
        .find((each: Json) => each.name === 'backup')
        ?.env?.find((each: Json) => each.name === 'BACKUP_EVERY_SECONDS')?.value,
    );
    const about = { pod, ready, backupEvery: Number.isNaN(every) ? undefined : every };
    if (phase !== 'Running') return { ...about, problem: `is ${phase ?? 'unknown'}` };
    if (Date.now() - now > SECONDS.all * 1000)
      return { ...about, problem: `was skipped: the pods before it took ${SECONDS.all} s` };
    try {
      const [own, backup] = ask('exec', '-n', namespace, pod, '-c', container, '--', 'sh', '-c', READ)
        .split('\n')
        .map((line) => JSON.parse(line || 'null'));
      return { ...about, own: own ?? undefined, backup: backup ?? undefined };
    } catch (error) {
      return { ...about, problem: (error as Error).message };
    }
  });
}
