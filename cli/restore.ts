import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline/promises';
import { databasePods, type Homelab } from '../inventory';
import { INSTANCE_LABEL } from '../values/labels';
import { suggested } from '../values/nearest';
import { sentence } from '../values/problem';
import { runKubectl } from './kubectl';
import { options, Usage } from './usage';

type Json = any;

const HOW = {
  backup: 'npm run homelab -- backup NAME [--kubeconfig=FILE]',
  restore:
    'npm run homelab -- restore NAME [--at=TIME] [--only=DATABASE] [--from=NAME] [--hosts=POD,POD] [--replace] [--yes] [--kubeconfig=FILE]',
  'restore-drill': 'npm run homelab -- restore-drill NAME [--at=TIME] [--from=NAME] [--kubeconfig=FILE]',
} as const;

/** Makes a backup now, in addition to the schedule. */
export async function backup(args: readonly string[]): Promise<void> {
  const { name, homelab, kubectl } = await called('backup', args, {});
  const pods = databasePods(name, homelab.databases[name]!);
  for (const pod of pods) kubectl('exec', pod, '-n', name, '-c', 'backup', '--', 'touch', '/tmp/now');
  console.log(`asked ${pods.join(', ')} for a backup; to follow it: npm run homelab -- status`);
}

/** Loads a database from its backups. */
export async function restore(args: readonly string[]): Promise<void> {
  const { name, given, kubectl, kubeconfig } = await called('restore', args, {
    at: 'value',
    only: 'value',
    from: 'value',
    hosts: 'value',
    replace: 'flag',
    yes: 'flag',
  });
  const replaces = given.has('replace');
  if (replaces && !given.has('yes')) {
    const what = given.get('only') ?? `everything in ${name}`;
    if (
      !(await agrees(
        `this removes the present content of ${what} and loads the backup. Type ${name} to continue:`,
        name,
      ))
    )
      return console.log('nothing was changed');
  }
  await run('restore', name, requested(given), kubectl, kubeconfig);
}

/** Tests whether a database can be restored from its backups, and restores nothing. */
export async function restoreDrill(args: readonly string[]): Promise<void> {
  const { name, given, kubectl, kubeconfig } = await called('restore-drill', args, { at: 'value', from: 'value' });
  await run('restore-drill', name, { ...requested(given), RESTORE_DRILL: 'yes' }, kubectl, kubeconfig);
}

type Kubectl = (...command: string[]) => string;

async function called(
  command: keyof typeof HOW,
  args: readonly string[],
  known: Readonly<Record<string, 'value' | 'flag'>>,
) {
  const { default: homelab } = (await import('../homelab')) as { default: Homelab };
  const [name, ...rest] = args;
  const names = Object.entries(homelab.databases)
    .filter(([, { state, backup: own }]) => state !== 'retired' && own !== false && (own ?? homelab.backup))
    .map(([each]) => each);
  if (name === undefined || !names.includes(name))
    throw new Usage(
      sentence({
        what: `${command} needs an active database with a backup`,
        got: name,
        allowed: names.join(', ') || 'there is none',
        fix: suggested(name ?? '', names, HOW[command]),
      }),
    );
  const given = options(rest, { ...known, kubeconfig: 'value' });
  const at = given.get('at');
  if (at !== undefined && !/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z$/.test(at))
    throw new Usage(
      sentence({ what: '--at must be a time in UTC', got: at, fix: 'write it like 2026-11-28T02:30:00Z' }),
    );
  const kubeconfig = given.get('kubeconfig');
  const kubectl: Kubectl = (...words) => runKubectl(command, kubeconfig, words);
  return { name, homelab, given, kubectl, kubeconfig };
}

/** Environment variables of the Job's containers. */
export function requested(given: ReadonlyMap<string, string>): Record<string, string> {
  const at = given.get('at');
  return {
    ...(at !== undefined && { RESTORE_AT: at.replace(/T(\d\d:\d\d)Z$/, 'T$1:00Z') }),
    ...(given.has('only') && { RESTORE_ONLY: given.get('only')! }),
    ...(given.has('from') && { RESTORE_FROM: given.get('from')! }),
    ...(given.has('hosts') && { RESTORE_HOSTS: given.get('hosts')!.split(',').join(' ') }),
    ...(given.has('replace') && { RESTORE_REPLACE: 'yes' }),
  };
}

/** A Job from the rendered CronJob, with the options of the command. */
export function jobOf(cronJob: Json, name: string, asked: Readonly<Record<string, string>>): Json {
  const spec = structuredClone(cronJob.spec.jobTemplate.spec);
  const { initContainers = [], containers } = spec.template.spec;
  for (const { env = [] } of [...initContainers, ...containers])
    for (const variable of env) if (Object.hasOwn(asked, variable.name)) variable.value = asked[variable.name];
  const { namespace } = cronJob.metadata;
  const { labels } = cronJob.spec.jobTemplate.metadata;
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: { name, namespace, labels }, spec };
}

async function run(
  command: 'restore' | 'restore-drill',
  name: string,
  asked: Readonly<Record<string, string>>,
  kubectl: Kubectl,
  kubeconfig: string | undefined,
): Promise<void> {
  const cronJob = JSON.parse(kubectl('get', 'cronjob', `${name}-restore`, '-n', name, '-o', 'json'));
  const running = JSON.parse(
    kubectl('get', 'job', '-n', name, '-l', `${INSTANCE_LABEL}=${name}-restore`, '-o', 'json'),
  ).items.find(({ status }: Json) => status?.active > 0);
  const job = running?.metadata.name ?? `${name}-${command}-${Date.now().toString(36)}`;
  if (running) console.log(`${job} already runs; following it (to end it: kubectl delete job ${job} -n ${name})`);
  else await created(jobOf(cronJob, job, asked), kubeconfig);
  await followed(job, name, kubectl);
}

function created(job: Json, kubeconfig: string | undefined): Promise<void> {
  const child = spawn('kubectl', [...of(kubeconfig), 'create', '-f', '-'], { stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin.end(JSON.stringify(job));
  return new Promise((resolve, reject) =>
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`the Job ${job.metadata.name} was not created`)),
    ),
  );
}

const of = (kubeconfig: string | undefined) => (kubeconfig === undefined ? [] : ['--kubeconfig', kubeconfig]);

/** Prints the logs of the Job's pods until it ends. @throws if it failed */
async function followed(job: string, namespace: string, kubectl: Kubectl): Promise<void> {
  console.log(`following ${namespace}/${job}; Ctrl-C does not stop the Job, and the same command follows it again`);
  const shown = new Map<string, number>();
  for (;;) {
    const { status = {} } = JSON.parse(kubectl('get', 'job', job, '-n', namespace, '-o', 'json'));
    const pods = JSON.parse(
      kubectl('get', 'pod', '-n', namespace, '-l', `batch.kubernetes.io/job-name=${job}`, '-o', 'json'),
    ).items as Json[];
    for (const pod of pods) show(pod, namespace, shown, kubectl);
    const ended = (status.conditions ?? []).find(
      ({ type, status: is }: Json) => is === 'True' && ['Complete', 'Failed'].includes(type),
    );
    if (ended?.type === 'Complete') return;
    if (ended) throw new Error(`${job} failed: ${ended.message}; its log is above`);
    await new Promise((resolve) => setTimeout(resolve, 3000));
  }
}

/** New log lines of a pod. */
function show({ metadata, spec, status }: Json, namespace: string, shown: Map<string, number>, kubectl: Kubectl): void {
  const states = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  for (const { name } of [...spec.initContainers, ...spec.containers]) {
    const { state = {} } = states.find((each: Json) => each.name === name) ?? {};
    if (!state.running && !state.terminated) continue;
    const key = `${metadata.name} ${name}`;
    const lines = kubectl('logs', metadata.name, '-n', namespace, '-c', name).split('\n').filter(Boolean);
    for (const line of lines.slice(shown.get(key) ?? 0)) console.log(told(line));
    shown.set(key, lines.length);
  }
}

/** The JSON result line as a sentence. */
export function told(line: string): string {
  if (!line.startsWith('{')) return line;
  let result: Json;
  try {
    result = JSON.parse(line);
  } catch {
    return line;
  }
  const [kind] = Object.keys(result);
  if (kind !== 'restored' && kind !== 'drill') return line;
  const { snapshot, snapshots, seconds, ...rest } = result[kind];
  const what = Object.entries(rest)
    .filter(([name, value]) => name !== 'ok' && (!Array.isArray(value) || value.length > 0))
    .map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
      Array.isArray(value) ? value.join(', ') : String(value),
    ])
    .map((pair) => pair.join(' '));
  const done = kind === 'drill' ? 'the backup is complete and can be restored' : 'restored';
  // Each node of Cassandra has a backup of its own.
  const each = Object.entries(snapshots ?? {}).map(([pod, taken]) => `${pod} of ${String(taken)}`);
  const source = each.length > 0 ? `the backups of ${each.join(', ')}` : `the backup of ${snapshot}`;
  return `${done}: ${source}, in ${seconds} s; ${what.join('; ')}`;
}

async function agrees(question: string, word: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`${question} `);
  terminal.close();
  return answer.trim() === word;
}
