import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { committed, type Committed } from '../../synth/committed';
import { repository, type Repository } from './repository';

const configMap = (name: string, value = '1') =>
  `---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\n  namespace: n\ndata:\n  key: "${value}"\n`;
const secrets = '---\nsecrets:\n  - name: s\n    namespaces: [a, b]\n';

let repo: Repository;
beforeEach(() => void (repo = repository()));
afterEach(() => repo.end());

const read = async (root = repo.folder, ref = 'HEAD', options = {}) =>
  (await committed(root, ref, options)) as Committed & { reason?: string };
const names = ({ state }: Committed) => state.objects.map(({ file, object }) => `${file} ${object.metadata.name}`);

test('reads a commit, not the working folder or the index', async () => {
  repo.commit({ 'dist/a/configmap.x.yaml': configMap('x'), 'dist/secrets.yaml': secrets });
  repo.write({ 'dist/a/configmap.x.yaml': configMap('x', '2'), 'dist/a/configmap.y.yaml': configMap('y') });
  repo.git('add', '-A');
  const found = await read();
  expect(names(found)).toEqual(['a/configmap.x.yaml x']);
  expect(found.state.objects[0]).toMatchObject({ folder: 'a', object: { data: { key: '1' } } });
  expect(found.state.secrets.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)).toEqual(['a/s', 'b/s']);
  expect(found.base).toMatch(/^HEAD \([0-9a-f]{7}\)$/);
  expect(found.state.tree).toBe(repo.git('rev-parse', 'HEAD:dist').trim());
});

test('does not read files with the same text, and keeps the rendered object', async () => {
  repo.commit({ 'dist/a/x.yaml': configMap('x'), 'dist/a/y.yaml': configMap('y'), 'dist/secrets.yaml': secrets });
  const object = { kind: 'ConfigMap', metadata: { name: 'x' } };
  const rendered = {
    files: new Map([
      ['a/x.yaml', configMap('x')],
      ['a/y.yaml', configMap('y', 'other')],
    ]),
    objects: [{ folder: 'a', file: 'a/x.yaml', object }],
  };
  const found = await read(repo.folder, 'HEAD', { rendered });
  expect(found.state.objects[0]!.object).toBe(object);
  expect(found.state.objects[1]!.object.data).toEqual({ key: '1' });
});

test('a folder of the repository, another ref, a worktree, a shallow clone, hashes of SHA-256', async () => {
  repo.commit({ 'home/lab/dist/a/x.yaml': configMap('x'), 'home/lab/scripts/rendered/vm/user-data': 'one\n' });
  repo.git('branch', 'old');
  repo.commit({ 'home/lab/dist/ä b/"y".yaml': configMap('y') });
  const root = join(repo.folder, 'home/lab');
  expect(names(await read(root))).toEqual(['a/x.yaml x', 'ä b/"y".yaml y']);
  expect(names(await read(root, 'old'))).toEqual(['a/x.yaml x']);
  expect([...(await read(root, 'old', { machines: true })).state.machines!]).toEqual([['vm/user-data', 'one\n']]);
  repo.git('worktree', 'add', '-q', 'tree', 'old');
  expect(names(await read(join(repo.folder, 'tree/home/lab')))).toEqual(['a/x.yaml x']);
  execFileSync('git', ['clone', '-q', '--depth=1', `file://${repo.folder}`, join(repo.folder, 'shallow')], {
    stdio: 'ignore',
  });
  expect(names(await read(join(repo.folder, 'shallow/home/lab')))).toHaveLength(2);
  const other = repository('--object-format=sha256');
  other.commit({ 'dist/a/x.yaml': configMap('x') });
  const object = { kind: 'ConfigMap' };
  const rendered = {
    files: new Map([['a/x.yaml', configMap('x')]]),
    objects: [{ folder: 'a', file: 'a/x.yaml', object }],
  };
  expect((await read(other.folder, 'HEAD', { rendered })).state.objects[0]!.object).toBe(object);
  other.end();
});

test('uses the repository of the folder, not that of a running Git hook', async () => {
  const other = repository();
  other.commit({ 'dist/a/other.yaml': configMap('other') });
  repo.commit({ 'dist/a/x.yaml': configMap('x') });
  process.env.GIT_DIR = join(other.folder, '.git');
  process.env.GIT_INDEX_FILE = join(other.folder, '.git/index');
  try {
    expect(names(await read())).toEqual(['a/x.yaml x']);
  } finally {
    delete process.env.GIT_DIR;
    delete process.env.GIT_INDEX_FILE;
    other.end();
  }
});

test('several documents and lists in a file, line ends of Windows, a file that is not YAML', async () => {
  repo.git('config', 'core.autocrlf', 'false');
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [{ kind: 'A', metadata: { name: 'l' } }] });
  repo.commit({
    'dist/a/both.yaml': (configMap('x') + configMap('y')).replaceAll('\n', '\r\n'),
    'dist/a/list.yml': list,
    'dist/a/conflict.yaml': '<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n',
    'dist/README.md': 'text',
  });
  const found = await read();
  expect(names(found)).toEqual(['a/both.yaml x', 'a/both.yaml y', 'a/list.yml l']);
  expect(found.unreadable).toEqual(['a/conflict.yaml']);
});

test('says why there is no base to compare with', async () => {
  expect((await read()).reason).toBe('there is no commit yet');
  repo.commit({ 'README.md': 'text' });
  expect((await read()).reason).toBe('there is no folder dist/ at HEAD');
  expect((await read(repo.folder, 'nowhere')).reason).toBe('Git knows no commit nowhere');
  expect((await read(repo.folder, '--output=x')).reason).toBe('"--output=x" is not the name of a commit');
  fs.rmSync(join(repo.folder, '.git'), { recursive: true });
  expect((await read()).reason).toBe('this folder is not in a Git repository');
  const path = process.env.PATH;
  process.env.PATH = '/nowhere';
  try {
    expect((await read()).reason).toBe('git is not installed, or cannot be started in this folder');
  } finally {
    process.env.PATH = path;
  }
});

test('names a folder of another user, with the command to trust it', async () => {
  repo.commit({ 'dist/a/x.yaml': configMap('x') });
  const variables = { GIT_TEST_ASSUME_DIFFERENT_OWNER: '1', GIT_CONFIG_GLOBAL: '/dev/null' };
  const before = { ...process.env };
  Object.assign(process.env, variables);
  try {
    expect((await read()).reason).toBe(
      `Git does not trust this folder, which belongs to another user: git config --global --add safe.directory ${repo.folder}`,
    );
  } finally {
    process.env = before;
  }
});
