import { configMapData, fileKey, mountedFilesProblem } from '../../values/mounted-files';
import { dataKeyProblem } from '../../values/files';

const wrong: [string, unknown, string][] = [
  ['a relative path', { 'app.yaml': 'a' }, 'files["app.yaml"] must be the absolute path of a file, got "app.yaml"'],
  ['a folder', { '/etc/app/': 'a' }, 'name the file: a folder cannot be mounted from text'],
  ['a path with ..', { '/etc/../app': 'a' }, 'write the path without //, . and ..'],
  ['a path with a colon', { '/etc/a:b': 'a' }, 'without : and ..'],
  ['a line break in a path', { '/etc/a\nb': 'a' }, 'remove the control character'],
  ['a folder of the image', { '/etc': 'a' }, 'a mount would hide the files of the image'],
  ['a file of the kernel', { '/proc/sys/vm/swappiness': '0' }, 'a mount would hide the files of the image'],
  ['a file of the kubelet', { '/etc/resolv.conf': 'a' }, 'choose another path: the kubelet writes this file'],
  ['a file inside a file', { '/app/a': 'a', '/app/a/b': 'b' }, 'got "/app/a/b, which is inside or contains /app/a"'],
  ['a number', { '/app/a': 5 }, 'files["/app/a"] must be text or bytes, got 5'],
  ['an object', { '/app/a': { level: 'info' } }, 'must be text or bytes, got {"level":"info"}'],
  ['a NUL in text', { '/app/a': 'a\0' }, 'remove the NUL character'],
  ['a list', [], 'files must be an object of files by path, got []'],
  [
    'more than a ConfigMap holds',
    { '/app/a': 'x'.repeat(1024 ** 2), '/app/b': new Uint8Array(1) },
    'files must hold at most 1 MiB, got "1048577 bytes"',
  ],
];

test.each(wrong)('refuses %s', (_what, files, message) => {
  expect(mountedFilesProblem(files, 'files')).toContain(message);
});

test('accepts files beside each other, and as much as a ConfigMap holds', () => {
  const files = { '/etc/app/a.yaml': 'x'.repeat(1024 ** 2 - 3), '/etc/app/.b': Buffer.from([0, 255, 1]) };
  expect(mountedFilesProblem(files, 'files')).toBeUndefined();
});

test('text is text, also in bytes, and other bytes are base64', () => {
  const files = {
    ...{ '/app/a': 'grün\n', '/app/b': new Uint8Array([0, 255]), '/app/c': Buffer.from('ü\r\n') },
    ...{ '/app/d': Buffer.from('a\0'), '/app/e': Buffer.from([0xc3]) },
  };
  expect(configMapData(files)).toEqual({
    data: { app_a: 'grün\n', app_c: 'ü\r\n' },
    binaryData: { app_b: 'AP8=', app_d: 'YQA=', app_e: 'ww==' },
  });
  expect(configMapData({ '/app/a': '' })).toEqual({ data: { app_a: '' } });
});

test('characters that YAML 1.1 does not keep are base64, so that no apply changes them', () => {
  const { data, binaryData } = configMapData({ '/a': 'a\u0085b', '/b': 'a\u007f', '/c': Buffer.from('\u0080') });
  expect(data).toBeUndefined();
  expect(Object.values(binaryData!).map((text) => Buffer.from(text, 'base64').toString())).toEqual([
    'a\u0085b',
    'a\u007f',
    '\u0080',
  ]);
  expect(mountedFilesProblem({ '/a': 'a\u0085b' }, 'files')).toBeUndefined();
});

test('a file named as a property of every object has a key of its own', () => {
  expect(fileKey('/constructor')).toMatch(/^constructor__[0-9a-f]{10}$/);
});

test('the key of a file is readable, valid, and its own', () => {
  expect(fileKey('/etc/app/config.yaml')).toBe('etc_app_config.yaml');
  const paths = ['/a/b', '/a_b', '/a.b', '/a-b', '/a b', '/a/_b', '/a_/b', '/a__b', '/..a', '/.a', '/a', '/ä', '/ö'];
  const long = [`/${'x/'.repeat(400)}a`, `/${'x/'.repeat(400)}b`];
  const keys = [...paths, ...long].map(fileKey);
  expect(new Set(keys).size).toBe(keys.length);
  expect(keys.map((key) => dataKeyProblem(key, 'key')).filter((problem) => problem !== undefined)).toEqual([]);
  expect(fileKey('/a_b')).toMatch(/^a_b__[0-9a-f]{10}$/);
});
