import { dataKeyProblem, mountPathsProblem } from '../../values/files';
import { serviceNameProblem } from '../../values/names';

test.each(['a', 'app.yaml', '.env', '_', '-', 'A'.repeat(253), '...a'.slice(2)])(
  'accepts %p as a key of a ConfigMap',
  (key) => {
    expect(dataKeyProblem(key, 'key')).toBeUndefined();
  },
);

test.each(['', '.', '..', '..data', 'a/b', 'a b', 'é', 'a:b', 'a'.repeat(254), 'a\n'])(
  'rejects %p as a key of a ConfigMap',
  (key) => {
    expect(dataKeyProblem(key, 'key')).toContain('key must be the name of a file in a ConfigMap or Secret, got ');
  },
);

test.each([
  [['/tmp', '/etc/config'], undefined],
  [['/tmp', '/tmpfiles'], undefined],
  [['/tmp', '/schema', '/schema-2'], undefined],
  [['/tmp', '/etc/..config'], undefined],
  [['/tmp', 'etc/config'], 'write it like /etc/config, without : and ..'],
  [['/tmp', ''], 'write it like /etc/config'],
  [['/tmp', '/etc/a:b'], 'without : and ..'],
  [['/tmp', '/etc/../tmp'], 'without : and ..'],
  [['/tmp', '/'], 'a mount would hide the files of the image'],
  [['/tmp', '//etc/'], 'a mount would hide the files of the image'],
  [['/tmp', '/proc/a'], 'a mount would hide the files of the image'],
  [['/tmp', '/tmp'], 'got "/tmp, which is /tmp"'],
  [['/tmp', '/tmp/./config/'], 'which is inside or contains /tmp'],
  [['/a/b', '/a'], 'which is inside or contains /a/b'],
  [['/a', '/a//'], 'got "/a//, which is /a"'],
])('validates mounts at %j', (paths, message) => {
  const problem = mountPathsProblem(paths, 'configPath');
  if (message === undefined) expect(problem).toBeUndefined();
  else expect(problem).toContain(message);
});

test('rejects a Service name that starts with a digit, which only Kubernetes 1.34 accepts', () => {
  expect(serviceNameProblem('2048', 'name')).toBe(
    'name must be a DNS label that starts with a letter, got "2048" (allowed: 1 to 63 of a-z, 0-9 and -, first a letter, last no -); choose another name: Kubernetes before 1.34 refuses a Service name that starts with a digit',
  );
  expect(serviceNameProblem('a2048', 'name')).toBeUndefined();
  expect(serviceNameProblem('A', 'name')).toContain('name must be a DNS label');
});
