import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';

/**
 * The order of the disk operations of a publish. After a power cut the new files must be complete if the swap was done, else the old ones.
 * The file system keeps the order of renames; only fsync keeps a write before them.
 */
const real = jest.requireActual<typeof fs>('node:fs');
const said: string[] = [];
const opened = new Map<number, string>();
let root: string;
const short = (path: string) => relative(root, path).replace(String(process.pid), 'PID') || '.';

const recording = {
  ...real,
  openSync(path: string, ...rest: [any]) {
    const file = real.openSync(path, ...rest);
    opened.set(file, short(path));
    return file;
  },
  closeSync(file: number) {
    real.closeSync(file);
    opened.delete(file);
  },
  fsync(file: number, done: fs.NoParamCallback) {
    said.push(`fsync ${opened.get(file)}`);
    real.fsync(file, done);
  },
  fsyncSync(file: number) {
    said.push(`fsync ${opened.get(file)}`);
    real.fsyncSync(file);
  },
  renameSync(from: string, to: string) {
    said.push(`rename ${short(from)} ${short(to)}`);
    real.renameSync(from, to);
  },
  linkSync(from: string, to: string) {
    said.push(`link ${short(to)}`);
    real.linkSync(from, to);
  },
};

/** The module, loaded with a file system that records its calls. */
function publisher(): typeof import('../../synth/publish') {
  let loaded: unknown;
  jest.isolateModules(() => {
    jest.doMock('node:fs', () => recording);
    loaded = jest.requireActual('../../synth/publish');
    jest.dontMock('node:fs');
  });
  return loaded as typeof import('../../synth/publish');
}

beforeEach(() => {
  root = real.mkdtempSync(join(tmpdir(), 'durable-'));
  said.length = 0;
  opened.clear();
});
afterEach(() => real.rmSync(root, { recursive: true }));

const FIRST = new Map([
  ['a/one.yaml', '1'],
  ['b/two.yaml', '2'],
]);

test('syncs every new file and folder before the swap, and each rename before the next step', async () => {
  await publisher().publish(join(root, 'dist'), FIRST);
  const swap = said.indexOf('rename dist.next.PID dist');
  expect(said.slice(0, swap).sort()).toEqual([
    'fsync .',
    'fsync dist.next.PID',
    'fsync dist.next.PID/a',
    'fsync dist.next.PID/a/one.yaml',
    'fsync dist.next.PID/b',
    'fsync dist.next.PID/b/two.yaml',
  ]);
  expect(said.slice(swap + 1)).toEqual(['fsync .']);
});

test('moves the replaced folder first, and removes it last', async () => {
  const { publish } = publisher();
  await publish(join(root, 'dist'), FIRST);
  said.length = 0;
  await publish(join(root, 'dist'), new Map([...FIRST, ['b/two.yaml', 'changed']]));
  const aside = said.indexOf('rename dist dist.old.PID');
  // Unchanged files are already on the disk.
  expect(said.slice(0, aside).sort()).toEqual([
    'fsync dist.next.PID',
    'fsync dist.next.PID/a',
    'fsync dist.next.PID/b',
    'fsync dist.next.PID/b/two.yaml',
    'link dist.next.PID/a/one.yaml',
  ]);
  expect(said.slice(aside)).toEqual([
    'rename dist dist.old.PID',
    'fsync .',
    'rename dist.next.PID dist',
    'fsync .',
    'rename dist.old.PID dist.next.PID',
  ]);
  expect(real.readdirSync(root)).toEqual(['dist']);
});

test('copies files on a file system without hard links', async () => {
  const { publish } = publisher();
  await publish(join(root, 'dist'), FIRST);
  const link = jest.spyOn(recording, 'linkSync').mockImplementation(() => {
    throw new Error('not supported');
  });
  const { publish: again } = publisher();
  await again(join(root, 'dist'), new Map([...FIRST, ['c.yaml', '3']]));
  link.mockRestore();
  expect(
    said
      .filter((line) => line.startsWith('fsync') && line.endsWith('.yaml'))
      .map((line) => basename(line))
      .sort(),
  ).toEqual(['c.yaml', 'one.yaml', 'one.yaml', 'two.yaml', 'two.yaml']);
  expect(real.readFileSync(join(root, 'dist', 'a', 'one.yaml'), 'utf8')).toBe('1');
});

test('restores the old folder if the swap fails', async () => {
  await publisher().publish(join(root, 'dist'), FIRST);
  const rename = jest.spyOn(recording, 'renameSync').mockImplementation((from, to) => {
    if (short(from) === 'dist.next.PID') throw new Error('no space');
    real.renameSync(from, to);
  });
  const { publish, published } = publisher();
  await expect(publish(join(root, 'dist'), new Map([['c.yaml', '3']]))).rejects.toThrow('no space');
  expect([...published(join(root, 'dist'))]).toEqual([...FIRST]);
  // The first publish has nothing to restore, and the error is the reason of the failure.
  rename.mockImplementation(() => {
    throw new Error('no space');
  });
  await expect(publisher().publish(join(root, 'first'), FIRST)).rejects.toThrow('no space');
  rename.mockRestore();
  expect(published(join(root, 'first')).size).toBe(0);
});

test('writes all files of several batches', async () => {
  const many = new Map(Array.from({ length: 250 }, (_, n) => [`a/${n}.yaml`, `${n}`]));
  const { publish, published } = publisher();
  await publish(join(root, 'dist'), many);
  expect([...published(join(root, 'dist'))].sort()).toEqual([...many].sort());
  expect(said.filter((line) => line.endsWith('.yaml'))).toHaveLength(250);
});

describe('what a killed synth left', () => {
  // No process has this ID: it is larger than any system gives.
  const DEAD = 99999999;
  const at = (...path: string[]) => join(root, ...path);
  /** Folders that each hold a file with their own name. */
  const there = (...names: string[]) => {
    for (const name of names) {
      real.mkdirSync(at(name, 'a'), { recursive: true });
      real.writeFileSync(at(name, 'a', 'x.yaml'), name);
    }
  };
  const recovered = () => {
    const { recover, published } = publisher();
    recover(at('dist'));
    return [...published(at('dist')).values()];
  };

  test.each<[string, string[], string[]]>([
    ['before the swap: the old one stays', ['dist', `dist.next.${DEAD}`], ['dist']],
    ['in the middle of it: the new one is whole', [`dist.next.${DEAD}`, `dist.old.${DEAD}`], [`dist.next.${DEAD}`]],
    ['in the middle of it, where the new one is gone: the old one is', [`dist.old.${DEAD}`], [`dist.old.${DEAD}`]],
    ['after it: the new one stays', ['dist', `dist.old.${DEAD}`], ['dist']],
    ['at the first time, before the swap: nothing is there yet', [`dist.next.${DEAD}`], []],
    ['by this process itself', ['dist', `dist.next.${process.pid}`], ['dist']],
  ])('%s', (_, left, stays) => {
    there(...left);
    expect(recovered()).toEqual(stays);
    expect(real.readdirSync(root)).toEqual(stays.length > 0 ? ['dist'] : []);
    expect(said.at(-1)).toBe('fsync .');
  });

  test('is nothing if every folder belongs to another process', () => {
    const others = ['dist.next', 'dist.next.1x', 'dist.older.1', 'dist.old.1.bak', `other.old.${DEAD}`, 'dist.x.old.1'];
    there('dist', ...others);
    expect(recovered()).toEqual(['dist']);
    expect(real.readdirSync(root)).toEqual(['dist', ...others].sort());
    expect(said).toEqual([]);
  });

  test('stays while its process lives, also one of another user', () => {
    there('dist', 'dist.next.1');
    const kill = jest.spyOn(process, 'kill').mockImplementation(() => {
      throw Object.assign(new Error(), { code: 'EPERM' });
    });
    expect(recovered).toThrow('another synth (process 1) is publishing dist/');
    kill.mockRestore();
    expect(real.readdirSync(root)).toEqual(['dist', 'dist.next.1']);
  });
});

test('no file stays open', async () => {
  const { publish } = publisher();
  for (const text of ['1', '2']) await publish(join(root, 'dist'), new Map([['a/one.yaml', text]]));
  expect(said.length).toBeGreaterThan(0);
  expect([...opened.values()]).toEqual([]);
});
