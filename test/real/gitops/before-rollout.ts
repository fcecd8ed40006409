import * as fs from 'node:fs';
import { join } from 'node:path';
import { Duration } from 'cdk8s';
import { parse } from 'yaml';
import { printYaml } from '../../../synth';
import type { Json } from '../cluster/client';
import { until } from '../cluster/processes';
import type { Report } from './report';
import type { Site } from './site';

/** A job before a rollout holds back the new pods until it has succeeded, and the next commit mends one that fails. */
export async function beforeRollouts(site: Site, { tally, lap }: Report): Promise<void> {
  const { client } = site;
  const deployment = (name: string) => client.ask('GET', `/apis/apps/v1/namespaces/services/deployments/${name}`);
  const imageOf = async (name: string) => (await deployment(name)).spec.template.spec.containers[0].image as string;
  const version = (number: string) => (h: Json) =>
    Object.assign(h.services.presence, {
      image: `ghcr.io/owner/presence:${number}`,
      port: 9898,
      beforeRollout: { command: ['/app', 'migrate'], deadline: Duration.seconds(10), retries: 0 },
    });
  const jobs = async (): Promise<Json[]> =>
    (await client.ask('GET', '/apis/batch/v1/namespaces/services/jobs')).items.filter(({ metadata }: Json) =>
      metadata.name.startsWith('presence-'),
    );
  const isIn = (job: Json, type: string) =>
    (job.status?.conditions ?? []).some((each: Json) => each.type === type && each.status === 'True');

  await site.commit('migrations', version('1.0.0'));
  await site.argo.refresh('hard');
  await site.settled();
  const first = await jobs();
  const [job] = first as [Json];
  const made = Date.parse(
    (await deployment('presence')).status.conditions.find(({ type }: Json) => type === 'Progressing').lastUpdateTime,
  );
  tally.check(
    'the job ran',
    first.length === 1 && isIn(job, 'Complete'),
    JSON.stringify(first.map(({ status }) => status)),
  );
  tally.check('before the new pods', Date.parse(job.status.completionTime) <= made, JSON.stringify(job.status));
  lap('a job ran before a rollout');

  // No node takes its pod, so it fails by its deadline. kwok lets every pod that runs succeed.
  site.edits.push(withoutNode);
  await site.commit('a migration that fails', (h) => {
    version('1.0.1')(h);
    h.services.identity.env = { LATER: 'yes' };
  });
  site.edits.pop();
  await site.argo.refresh('hard');
  await until('the job fails', 120, async () => (await jobs()).some((each) => isIn(each, 'Failed')));
  await until('another service of that commit is updated', 60, async () =>
    ((await deployment('identity')).spec.template.spec.containers[0].env ?? []).some(
      ({ name }: Json) => name === 'LATER',
    ),
  );
  tally.check(
    'the old pods stay',
    (await imageOf('presence')) === 'ghcr.io/owner/presence:1.0.0',
    await imageOf('presence'),
  );
  lap('a job that failed kept the old pods');

  await site.commit('the migration is mended', version('1.0.2'));
  await site.argo.refresh('hard');
  await until(
    'the mended commit takes over',
    240,
    async () => (await imageOf('presence')) === 'ghcr.io/owner/presence:1.0.2',
  );
  await site.settled(180);
  const left = await jobs();
  tally.check(
    'only the job of the last commit stays',
    left.length === 1 && isIn(left[0]!, 'Complete'),
    JSON.stringify(left.map(({ metadata }) => metadata.name)),
  );
  lap('the next commit mended it');
}

function withoutNode(dist: string): void {
  const folder = join(dist, 'services');
  for (const name of fs.readdirSync(folder).filter((each) => each.startsWith('job.presence-'))) {
    const file = join(folder, name);
    const job = parse(fs.readFileSync(file, 'utf8'));
    job.spec.template.spec.nodeSelector = { nowhere: 'true' };
    fs.writeFileSync(file, printYaml(job));
  }
}
