import { BEFORE_ROLLOUT, NAME_LABEL } from '../../values/labels';
import { bad, good, warning, type Check, type Finding } from '../engine/findings';
import { manifests, type Context } from '../clients/context';
import type { Kubernetes } from '../clients/kubernetes';

/** The last run of every CronJob, and every job before a rollout. Argo CD shows the first as healthy whatever its runs do. */
export function jobChecks({ kubernetes }: Pick<Context, 'kubernetes'>): Record<string, Check> {
  const all = manifests().map(({ object }) => object);
  // One that is rendered as suspended is a template that a command runs, such as a restore.
  const scheduled = all.filter((object) => object?.kind === 'CronJob' && object.spec?.suspend !== true);
  const before = all.filter(
    (object) => object?.kind === 'Job' && object.metadata.labels?.[NAME_LABEL] === BEFORE_ROLLOUT,
  );
  return {
    ...(scheduled.length > 0 && { 'scheduled jobs': () => scheduledFindings(kubernetes, scheduled) }),
    ...(before.length > 0 && { 'jobs before a rollout': () => beforeFindings(kubernetes, before) }),
  };
}

async function scheduledFindings(kubernetes: Kubernetes, wanted: readonly any[]): Promise<Finding[]> {
  const cronJobs = await kubernetes.list(['cronjobs', '-A']);
  const jobs = await kubernetes.list(['jobs', '-A']);
  return wanted.map(({ metadata: { name, namespace } }) => {
    const what = `scheduled job ${namespace}/${name}`;
    const found = cronJobs.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
    if (found === undefined) return missing(what);
    if (found.spec?.suspend === true)
      return warning(
        what,
        'it is suspended',
        `kubectl -n ${namespace} patch cronjob ${name} -p '{"spec":{"suspend":false}}'`,
      );
    const runs = jobs
      .filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }: any) => uid === found.metadata.uid))
      .sort((a, b) => time(b) - time(a));
    const last = runs[0];
    if (last === undefined) return good(what, `no run yet; its schedule is ${found.spec?.schedule}`);
    // A run that goes on says nothing of those before it.
    const ended = runs.find((run) => isSo(run, 'Complete') || isSo(run, 'Failed'));
    if (ended !== undefined && isSo(ended, 'Failed')) return failed(what, ended);
    const saw = ended === last ? `${last.metadata.name} succeeded` : `${last.metadata.name} runs`;
    return good(what, `${saw}, ${last.status?.completionTime ?? last.metadata.creationTimestamp}`);
  });
}

async function beforeFindings(kubernetes: Kubernetes, wanted: readonly any[]): Promise<Finding[]> {
  const jobs = await kubernetes.list(['jobs', '-A', '-l', `${NAME_LABEL}=${BEFORE_ROLLOUT}`]);
  return wanted.map(({ metadata: { name, namespace } }) => {
    const what = `job ${namespace}/${name}`;
    const job = jobs.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
    if (job === undefined) return missing(what);
    if (isSo(job, 'Complete')) return good(what, `succeeded, ${job.status.completionTime}`);
    if (isSo(job, 'Failed')) {
      const finding = failed(what, job);
      return { ...finding, saw: `${finding.saw}; the pods of the service stay as they were` };
    }
    return warning(what, 'it has not ended yet, and the pods of the service wait for it', log(job));
  });
}

function missing(what: string): Finding {
  return bad(what, 'it is not in the cluster', 'kubectl -n argocd get applications');
}

function failed(what: string, job: any): Finding {
  const { reason, message } = condition(job, 'Failed');
  return bad(what, `${job.metadata.name} failed: ${message ?? reason ?? 'without a reason'}`, log(job));
}

function log({ metadata: { name, namespace } }: any): string {
  return `kubectl -n ${namespace} logs job/${name}`;
}

function condition(job: any, type: string): any {
  return job.status?.conditions?.find((each: any) => each.type === type && each.status === 'True');
}

function isSo(job: any, type: string): boolean {
  return condition(job, type) !== undefined;
}

function time(job: any): number {
  return Date.parse(job.metadata.creationTimestamp) || 0;
}
