import { MicroserviceDeployment, Probes, ScheduledJob } from '../../../constructs';
import { until } from '../cluster/processes';
import type { Tally } from '../tally';
import { Bench } from './bench';
import { HTTP_APP, WORKER } from './programs';

const NODE = '/usr/local/bin/node';

/** Workers and jobs: what has no port, and what ends. */
export function kinds(tally: Tally): Promise<void> {
  return Bench.with(
    tally,
    (chart) => {
      const server = new MicroserviceDeployment(chart, 'server', { image: HTTP_APP });
      const worker = new MicroserviceDeployment(chart, 'worker', { kind: 'worker', image: WORKER });
      new MicroserviceDeployment(chart, 'watched-worker', {
        kind: 'worker',
        image: WORKER,
        probes: Probes.exec({
          live: [NODE, '-e', 'process.exit(Date.now() - require("fs").readFileSync("/tmp/heartbeat") > 5000 ? 1 : 0)'],
        }),
      });
      const asks = `require('http').get(process.env.SERVER_URL + '/healthz', (r) => process.exit(r.statusCode === 200 ? 0 : 1))`;
      const nightly = new ScheduledJob(chart, 'nightly', {
        image: HTTP_APP,
        command: [NODE, '-e', asks],
        schedule: '30 3 * * *',
      });
      new ScheduledJob(chart, 'fails', {
        image: HTTP_APP,
        command: [NODE, '-e', 'process.exit(3)'],
        schedule: '0 4 * * *',
      });
      for (const client of [worker, nightly]) client.connectTo(server);
    },
    async (bench) => {
      const [server, worker] = await bench.ready('server', 'worker', 'watched-worker');
      await until('the worker works', 10, async () => worker!.log('worker').includes('done 3'));
      const variables = await worker!.container('worker').exec(['printenv', 'SERVER_URL']);
      bench.check(
        'a worker has the variables of its connections',
        /^http:\/\/server\./.test(variables.output),
        variables.output,
      );
      await worker!.stop();
      bench.check('a worker ends by SIGTERM', worker!.log('worker').includes('SIGTERM'), worker!.log('worker'));
      const job = bench.run('nightly', 'CronJob');
      bench.check('a job reaches its target and succeeds', (await job.ended) === 0, bench.logs());
      const failing = bench.run('fails', 'CronJob');
      bench.check('a job that fails says so by its code', (await failing.ended) === 3, bench.logs());
      bench.check('the server noticed nothing', server!.restarts === 0);
    },
  );
}
