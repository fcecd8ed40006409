import { jobOf } from '../../../cli/restore';
import type { Json } from './client';
import { failures, type Ground } from './points';
import { until } from './processes';

/**
 * A Job of each CronJob, as the commands make them: no policy refuses its pod, the quota has room for it, and it runs on the
 * node of the disk that it mounts.
 */
export async function cronJobsRun({ client, tally, manifests }: Ground): Promise<void> {
  const cronJobs = manifests.map(({ object }) => object as Json).filter(({ kind }) => kind === 'CronJob');
  for (const cronJob of cronJobs) {
    const { name, namespace } = cronJob.metadata;
    const job = jobOf(cronJob, `${name}-tried`, {});
    await client.apply(job, 'kubectl-create');
    const pod = async () =>
      (await client.list('v1', 'Pod', namespace)).find(
        ({ metadata }) => metadata.labels?.['batch.kubernetes.io/job-name'] === job.metadata.name,
      );
    await until(
      `a pod of ${name} runs`,
      30,
      async () => ['Running', 'Succeeded'].includes((await pod())?.status.phase),
      async () => JSON.stringify((await pod())?.status ?? (await failures(client))),
    );
    tally.check(`${namespace}/${name}: a Job of it is let in and runs`, true);
    await client.delete(job, { propagationPolicy: 'Background' });
  }
}
