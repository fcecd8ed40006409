import { Duration, Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { MicroserviceDeployment, Probes } from '../../../constructs';
import { until } from '../cluster/processes';
import { pause } from '../node/processes';
import type { Tally } from '../tally';
import { Bench } from './bench';
import { HTTP_APP, WORKER } from './programs';

/** What a process of a service may do: its user, its folders, its limits, and how it ends. */
export function processes(tally: Tally): Promise<void> {
  return Bench.with(
    tally,
    (chart) => {
      new MicroserviceDeployment(chart, 'plain', {
        image: HTTP_APP,
        env: { GREETING: 'hello $(NAME)', NAME: 'you', PRICE: '5$$' },
      });
      new MicroserviceDeployment(chart, 'small', {
        image: HTTP_APP,
        resources: { memory: Size.mebibytes(64), cpu: Cpu.millis(10) },
      });
      new MicroserviceDeployment(chart, 'hooked', {
        image: HTTP_APP,
        preStop: ['/usr/local/bin/node', '-e', 'setTimeout(() => {}, 1500)'],
      });
      new MicroserviceDeployment(chart, 'draining', { image: HTTP_APP });
      new MicroserviceDeployment(chart, 'deaf', {
        image: WORKER,
        command: ['/usr/local/bin/node', '-e', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"],
        probes: Probes.exec({ live: ['/usr/bin/true'] }),
        drain: Duration.seconds(1),
        terminationGracePeriod: Duration.seconds(3),
      });
    },
    async (bench) => {
      const [plain, small, hooked, draining, deaf] = await bench.ready('plain', 'small', 'hooked', 'draining', 'deaf');
      const env = await bench.env(plain!);
      bench.check('a variable refers to one that stands behind it', env.GREETING === 'hello you', env.GREETING);
      bench.check('a doubled dollar stays', env.PRICE === '5$$', env.PRICE);
      const written = await bench.ask(plain!, '/write?path=/tmp/file');
      bench.check('/tmp can be written', written.code === 200, written.text);
      const refused = await bench.ask(plain!, '/write?path=/file');
      bench.check(
        'the root file system cannot',
        refused.code === 500 && /EROFS|read-only/.test(refused.text),
        refused.text,
      );
      const user = await plain!.container('plain').exec(['id', '-u']);
      bench.check('its user is 10001', user.output.trim() === '10001', user.output);
      await bench.ask(small!, '/eat?bytes=200000000');
      await until(
        'a process over its limit is killed',
        10,
        async () => small!.restarts > 0,
        () => bench.logs(),
      );
      bench.check('by the kernel', small!.container('small').lastCode === 137, `${small!.container('small').lastCode}`);

      const begin = Date.now();
      await hooked!.stop();
      const log = hooked!.log('hooked');
      bench.check('a preStop command runs before SIGTERM', Date.now() - begin > 1400 && log.includes('SIGTERM'), log);
      const stopping = draining!.stop();
      await pause(3);
      const late = await bench.ask(draining!, '/healthz');
      bench.check('a pod that leaves answers until everybody knows', late.code === 200, `${late.code}`);
      await stopping;
      bench.check('then it gets SIGTERM', draining!.log('draining').includes('SIGTERM'), draining!.log('draining'));
      const second = Date.now();
      await deaf!.stop();
      bench.check('a process that ignores SIGTERM is killed after its time', Date.now() - second < 6000);
      await until('the others go on', 5, async () => (await bench.ask(plain!, '/healthz')).code === 200);
    },
  );
}
