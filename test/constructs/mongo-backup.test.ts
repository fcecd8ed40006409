import { EventEmitter } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { BackupTarget } from '../../constructs/backup-target';
import { MongoReplicaSet, type MongoReplicaSetProps } from '../../constructs/mongo-replica-set';
import { scriptFile } from '../../constructs/script-file';
import { DataStorage } from '../../constructs/volumes';
import { chartIn, objectOf, objects, type Json } from './render';

function rendered(props: Partial<MongoReplicaSetProps> = {}) {
  const chart = chartIn('mongodb');
  const target = BackupTarget.sftp({
    host: '192.168.1.50',
    user: 'backup',
    path: '/Users/backup/homelab',
    hostKeys: ['ssh-ed25519 AAAA'],
  });
  new MongoReplicaSet(chart, 'mongodb', {
    storage: DataStorage.storageClass(Size.gibibytes(10), 'standard'),
    resources: { memory: Size.gibibytes(2), cpu: Cpu.millis(500) },
    backup: { target },
    ...props,
  });
  return chart;
}

const named = (containers: Json[], name: string) => containers.find((each) => each.name === name)!;

test('beside each member, a container stores the copy that the reconciler prepares', () => {
  const { template } = objectOf(rendered(), 'StatefulSet').spec;
  const { containers, volumes } = template.spec;
  expect(named(containers, 'backup').env).toContainEqual({ name: 'BACKUP_KEEPER', value: 'mongodb-0' });
  expect(named(containers, 'reconcile').env).toContainEqual({ name: 'HANDOVER', value: '/handover' });
  expect(named(containers, 'reconcile').volumeMounts).toContainEqual({ name: 'data', mountPath: '/data/db' });
  for (const name of ['backup', 'reconcile'])
    for (const mount of named(containers, name).volumeMounts)
      expect([...volumes.map((volume: Json) => volume.name), 'data']).toContain(mount.name);
  expect(template.metadata.annotations['checksum/backup']).toMatch(/^[0-9a-f]{10}$/);
});

test('a restore never runs by itself, and reaches only the set and the target', () => {
  const chart = rendered();
  const { suspend, jobTemplate } = objectOf(chart, 'CronJob').spec;
  expect(suspend).toBe(true);
  const { spec } = jobTemplate.spec.template;
  expect(spec.volumes).toContainEqual({ name: 'data', persistentVolumeClaim: { claimName: 'data-mongodb-2' } });
  expect(named(spec.initContainers, 'fetch').volumeMounts).toContainEqual({
    name: 'data',
    mountPath: '/restore',
    subPath: 'restore',
  });
  const { egress, ingress } = objectOf(chart, 'NetworkPolicy', 'mongodb-restore').spec;
  expect(ingress).toBeUndefined();
  expect(egress.flatMap(({ ports }: Json) => ports.map(({ port }: Json) => port)).sort()).toEqual([22, 27017, 53, 53]);
});

test('a schedule adds a CronJob for a drill, which loads nothing', () => {
  const target = BackupTarget.claim('backup');
  const drill = objectOf(rendered({ backup: { target, drill: '0 4 * * 0' } }), 'CronJob', 'mongodb-drill');
  expect(drill.spec).toMatchObject({ schedule: '0 4 * * 0', suspend: false });
  const [restore] = drill.spec.jobTemplate.spec.template.spec.containers;
  expect(restore.env).toContainEqual({ name: 'RESTORE_DRILL', value: 'yes' });
  expect(() => rendered({ backup: { target, drill: 'sometimes' } })).toThrow('a cron schedule of five fields');
});

test('renders no backup objects without backup', () => {
  expect(objects(rendered({ backup: undefined })).map(({ kind }) => kind)).not.toContain('CronJob');
});

describe('the member that is copied', () => {
  const chosen: (members: object[]) => { state: string; why?: string; primary?: boolean } = runInNewContext(
    `${scriptFile('mongo-snapshot.js')}; chosenMember`,
    {},
  );
  const set = (self: number, ...states: string[]) =>
    states.map((stateStr, index) => ({
      name: `mongodb-${index}.mongodb:27017`,
      stateStr,
      optimeDate: new Date(stateStr === 'LATE' ? 0 : 1e12),
      self: index === self,
      ...(stateStr === 'LATE' && { stateStr: 'SECONDARY' }),
    }));

  test('is the last secondary, so the primary never waits for a backup', () => {
    expect(chosen(set(2, 'PRIMARY', 'SECONDARY', 'SECONDARY'))).toMatchObject({ state: 'ready' });
    expect(chosen(set(1, 'PRIMARY', 'SECONDARY', 'SECONDARY'))).toMatchObject({ state: 'skip' });
    expect(chosen(set(0, 'PRIMARY', 'SECONDARY', 'SECONDARY'))).toMatchObject({ state: 'skip' });
    expect(chosen(set(9, ...Array.from({ length: 11 }, (_, at) => (at === 0 ? 'PRIMARY' : 'SECONDARY')))).state).toBe(
      'skip',
    );
  });

  test('is one that keeps up: what is late would be stored late', () => {
    expect(chosen(set(1, 'PRIMARY', 'SECONDARY', 'LATE'))).toMatchObject({ state: 'ready' });
    expect(chosen(set(1, 'PRIMARY', 'SECONDARY', 'STARTUP2'))).toMatchObject({ state: 'ready' });
  });

  test('is a hidden one before the others, and never a delayed one, also where it is behind by little', () => {
    const three = (self: number, change: object) =>
      set(self, 'PRIMARY', 'SECONDARY', 'SECONDARY').map((each, at) => (at === 1 ? { ...each, ...change } : each));
    expect(chosen(three(1, { hidden: true }))).toMatchObject({ state: 'ready' });
    expect(chosen(three(2, { hidden: true }))).toMatchObject({ state: 'skip' });
    const last = (self: number, ...states: string[]) =>
      set(self, ...states).map((each, at) =>
        at === states.length - 1 ? { ...each, hidden: true, delayed: true } : each,
      );
    expect(chosen(last(2, 'PRIMARY', 'SECONDARY', 'SECONDARY'))).toEqual({
      state: 'skip',
      why: 'this member is delayed, so its data is old',
    });
    expect(chosen(last(1, 'PRIMARY', 'SECONDARY', 'SECONDARY'))).toEqual({ state: 'ready' });
    expect(chosen(last(0, 'PRIMARY', 'SECONDARY'))).toEqual({ state: 'ready', primary: true });
    expect(chosen(last(0, 'PRIMARY', 'STARTUP2', 'SECONDARY'))).toMatchObject({ state: 'failed' });
  });

  test('is the primary only where there is no other member', () => {
    expect(chosen(set(0, 'PRIMARY'))).toEqual({ state: 'ready', primary: true });
    expect(chosen(set(0, 'PRIMARY', 'LATE', 'STARTUP2'))).toMatchObject({ state: 'failed' });
    expect(chosen(set(2, 'PRIMARY', 'LATE', 'STARTUP2'))).toMatchObject({ state: 'skip' });
  });
});

test('what belongs to the running process, or to other copies, is not stored', () => {
  const isData: (name: string) => boolean = runInNewContext(`${scriptFile('mongo-snapshot.js')}; isData`, {});
  const names = ['WiredTiger.wt', 'journal', 'mongod.lock', '.backup', 'restore', 'diagnostic.data', 'sizeStorer.wt'];
  expect(names.filter(isData)).toEqual(['WiredTiger.wt', 'journal', 'sizeStorer.wt']);
});

describe('a copy', () => {
  let folder: string;
  beforeEach(() => {
    folder = fs.mkdtempSync(join(tmpdir(), 'mongo-snapshot-'));
    for (const each of ['data', 'handover']) fs.mkdirSync(join(folder, each));
    fs.writeFileSync(join(folder, 'data/WiredTiger.wt'), 'rows');
    fs.writeFileSync(join(folder, 'handover/request'), '{"id":"1"}');
  });
  afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

  /** The answer, of a mongod that says this when it is unlocked. */
  async function answered(unlock: () => object): Promise<Json> {
    const run = (command: Json) => {
      if (command.fsyncUnlock) return unlock();
      if (command.listDatabases) return { databases: [] };
      if (command.getParameter) return { featureCompatibilityVersion: { version: '8.0' } };
      return { version: '8.0.26' };
    };
    const snapshots = runInNewContext(`${scriptFile('mongo-snapshot.js')}; snapshots`, { require, Date, console });
    const copies = snapshots({ data: join(folder, 'data'), handover: join(folder, 'handover'), run, say: () => 0 });
    const members = () => [
      { name: 'mongodb-0.mongodb:27017', stateStr: 'PRIMARY', optimeDate: new Date(), self: true },
    ];
    for (let round = 0; round < 100 && !fs.existsSync(join(folder, 'handover/answer')); round++) {
      copies.round(members);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(copies.locked()).toBe(false);
    return JSON.parse(fs.readFileSync(join(folder, 'handover/answer'), 'utf8'));
  }

  test('is ready once the member is unlocked', async () => {
    const { state, paths } = await answered(() => ({ lockCount: 0 }));
    expect(state).toBe('ready');
    expect(fs.readFileSync(join(paths[0], 'WiredTiger.wt'), 'utf8')).toBe('rows');
    expect(JSON.parse(fs.readFileSync(join(paths[0], 'manifest.json'), 'utf8')).kind).toBe('mongodb');
  });

  test('that was dropped ends in silence, and is no other one that was begun meanwhile', () => {
    const children: EventEmitter[] = [];
    const spawn = () => {
      children.push(Object.assign(new EventEmitter(), { kill: () => true }));
      return children.at(-1);
    };
    const noClones = () => {
      throw Object.assign(new Error('no clones'), { code: 'ENOTSUP' });
    };
    const modules: Json = { child_process: { spawn }, fs: { ...fs, copyFileSync: noClones } };
    const snapshots = runInNewContext(`${scriptFile('mongo-snapshot.js')}; snapshots`, {
      require: (name: string) => modules[name] ?? jest.requireActual(name),
    });
    let dies = true;
    const run = (command: Json) => {
      if (command.buildInfo && dies) throw new Error('connection closed');
      if (command.listDatabases) return { databases: [] };
      return { version: '8.0.26', lockCount: 0, featureCompatibilityVersion: { version: '8.0' } };
    };
    const copies = snapshots({ data: join(folder, 'data'), handover: join(folder, 'handover'), run, say: () => 0 });
    const round = () =>
      copies.round(() => [
        { name: 'mongodb-0.mongodb:27017', stateStr: 'PRIMARY', optimeDate: new Date(), self: true },
      ]);
    const answer = () => JSON.parse(fs.readFileSync(join(folder, 'handover/answer'), 'utf8'));
    round();
    expect(answer()).toMatchObject({ id: '1', state: 'failed', why: 'connection closed' });
    dies = false;
    fs.writeFileSync(join(folder, 'handover/request'), '{"id":"2"}');
    round();
    children[0]!.emit('exit', null);
    round();
    expect(fs.existsSync(join(folder, 'handover/answer'))).toBe(false);
    children[1]!.emit('exit', 0);
    round();
    expect(answer()).toMatchObject({ id: '2', state: 'ready' });
  });

  test('of a member that lost its lock is none: a mongod that starts again writes to the files', async () => {
    const lost = await answered(() => {
      throw new Error('fsyncUnlock called when not locked');
    });
    expect(lost).toEqual({ id: '1', state: 'failed', why: 'mongod restarted while its files were copied' });
    expect(fs.existsSync(join(folder, 'data/.backup'))).toBe(false);
  });
});
