import { Size, type Chart } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import {
  BackupTarget,
  CassandraStatefulSet,
  DataStorage,
  DeclaredSecret,
  DeclaredVolume,
  MongoReplicaSet,
  RetiredCassandra,
  RetiredMongoDb,
  type CassandraStatefulSetProps,
} from '../../constructs';
import { chartIn, objectOf, objects, withVolumes } from './render';

const props: CassandraStatefulSetProps = {
  clusterName: 'collab',
  storage: DataStorage.localDisks(Size.gibibytes(1), { nodeOf: () => 'worker-1' }),
  resources: { memory: Size.gibibytes(5), cpu: Cpu.units(1) },
  exporter: {
    image: 'exporter:1.0.0',
    port: 9216,
    resources: { memory: Size.mebibytes(64), cpu: Cpu.millis(10) },
    scrapedBy: { namespace: 'monitoring', labels: {} },
  },
  backup: { target: BackupTarget.claim('backup') },
};

/** A database that runs, and the same one retired. */
const databases = [
  { name: 'cassandra', run: CassandraStatefulSet, retire: RetiredCassandra },
  { name: 'mongodb', run: MongoReplicaSet, retire: RetiredMongoDb },
] as const;

describe.each(databases)('a retired $name', ({ name, run, retire }) => {
  const made = (kind: typeof run | typeof retire): Chart => {
    const chart = chartIn('db');
    new kind(chart, name, props);
    return withVolumes(chart);
  };
  const volumes = (chart: Chart) => DeclaredVolume.all(chart).map((volume) => volume.props);
  const secrets = (chart: Chart) => DeclaredSecret.all(chart).map(({ name }) => name);

  test('renders only its policy, with the values on the disks and without ingress rules', () => {
    const [policy, ...others] = objects(made(retire));
    expect(others).toEqual([]);
    const running = objectOf(made(run), 'NetworkPolicy', name);
    expect(policy!.metadata).toEqual(running.metadata);
    expect(policy!.spec.podSelector).toEqual(running.spec.podSelector);
    expect(policy!.spec.ingress).toBeUndefined();
  });

  test('keeps the volumes of its pods, and the logins stored on the disks', () => {
    expect(volumes(made(retire))).toEqual(volumes(made(run)));
    expect(volumes(made(retire))).toHaveLength(3);
    const kept = secrets(made(retire));
    expect(kept).toEqual(name === 'cassandra' ? ['cassandra-admin'] : ['mongodb-keyfile', 'mongodb-root']);
    expect(secrets(made(run))).toEqual(expect.arrayContaining(kept));
  });

  test('rejects the same invalid values as a running one', () => {
    expect(() => new retire(chartIn('db'), name, { ...props, image: `${name}:latest` })).toThrow('image must');
  });
});
