import { Size } from 'cdk8s';
import { DataStorage, MicroserviceDeployment, PersistentVolumes } from '../../../constructs';
import { until } from '../cluster/processes';
import type { Tally } from '../tally';
import { Bench } from './bench';
import { HTTP_APP } from './programs';

const storage = DataStorage.localDisks(Size.gibibytes(1), { nodeOf: () => 'node' });

/** Folders that outlive a pod, folders that do not, and a disk that is not mounted. */
export function volumes(tally: Tally): Promise<void> {
  return Bench.with(
    tally,
    (chart) => {
      new MicroserviceDeployment(chart, 'uploads', {
        image: HTTP_APP,
        volumes: { kept: { path: '/uploads', storage } },
        scratch: { '/var/cache/app': Size.mebibytes(8), '/dev/shm': { memory: Size.mebibytes(4) } },
      });
      new MicroserviceDeployment(chart, 'in-folder', {
        image: HTTP_APP,
        user: 999,
        volumes: { data: { path: '/var/lib/data', folder: 'pgdata', storage } },
      });
      new MicroserviceDeployment(chart, 'index', {
        image: HTTP_APP,
        replicas: 2,
        volumes: { index: { path: '/index', perReplica: true, storage } },
      });
      new MicroserviceDeployment(chart, 'unmounted', {
        image: HTTP_APP,
        volumes: { data: { path: '/data', storage } },
      });
      new PersistentVolumes(chart, 'volumes');
    },
    async (bench) => {
      bench.node.claims.missing.add('unmounted-data');
      const unmounted = bench.run('unmounted');
      const [first, inFolder] = await bench.ready('uploads', 'in-folder');
      const write = (path: string) => bench.ask(first!, `/write?path=${path}`);
      for (const path of ['/uploads/one', '/var/cache/app/one', '/dev/shm/one']) {
        const { code, text } = await write(path);
        bench.check(`${path} can be written`, code === 200, text);
      }
      await first!.stop();
      const [second] = await bench.ready('uploads');
      const read = async (path: string) => (await bench.ask(second!, `/files?path=${path}`)).text;
      bench.check('a volume keeps its files for the next pod', (await read('/uploads/one')) === 'written');
      bench.check('scratch folders do not', !(await read('/var/cache/app/one')).includes('written'));

      const listed = await bench.ask(inFolder!, '/list?path=/var/lib/data');
      bench.check('a folder of a volume is empty', listed.code === 200 && listed.text === '', listed.text);
      const owner = await inFolder!.container('in-folder').exec(['stat', '-c', '%u', '/var/lib/data']);
      bench.check('and belongs to the user', owner.output.trim() === '999', owner.output);

      const set = bench.object('StatefulSet', 'index');
      const replicas = bench.rendered.runSet(bench.node, set);
      await until(
        'both replicas',
        40,
        async () => replicas.every(({ ready }) => ready),
        () => bench.logs(),
      );
      await bench.ask(replicas[0]!, '/write?path=/index/of-the-first');
      const other = await bench.ask(replicas[1]!, '/list?path=/index');
      bench.check('each replica has a volume of its own', other.text === '', other.text);
      const init = () => unmounted.initContainers.map(({ name }) => unmounted.log(name)).join('\n');
      await until(
        'the check of the mount fails',
        30,
        async () => init().includes('not mounted'),
        () => bench.logs(),
      );
      bench.check('a pod whose disk is not mounted does not start', unmounted.containers.length === 0, bench.logs());
    },
  );
}
