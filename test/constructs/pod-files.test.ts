import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Chart, Testing } from 'cdk8s';
import { parse } from 'yaml';
import { TraefikIngress } from '../../constructs';
import { scriptFile } from '../../constructs/script-file';

const folder = fs.mkdtempSync(join(tmpdir(), 'pod-files-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** Runs a script as its container does, with the folders of the pod below a folder of the test. */
function sh(script: string, ...args: string[]) {
  const below = script.replace(/(^|\s)(\/(?:etc|conf|config|tmp)\/)/g, `$1${folder}$2`);
  const { status, stderr } = spawnSync('sh', ['-ec', below, 'script', ...args], { encoding: 'utf8' });
  return { status, stderr };
}

test('reads a file once per process, and requires a value for each placeholder', () => {
  const reads = jest.spyOn(jest.requireActual<typeof fs>('node:fs'), 'readFileSync');
  expect(scriptFile('llm-proxy-nginx.conf', { ADDRESS: '192.0.2.7', PORT: '11434' })).toContain(
    'listen 11434;\n    proxy_pass 192.0.2.7:11434;',
  );
  expect(() => scriptFile('llm-proxy-nginx.conf', { ADDRESS: '192.0.2.7' })).toThrow(
    'llm-proxy-nginx.conf: @PORT@ must have a value',
  );
  expect(reads.mock.calls.filter(([path]) => String(path).endsWith('llm-proxy-nginx.conf'))).toHaveLength(1);
  reads.mockRestore();
});

test('the configuration of a rack is laid over a copy of the folder of the image', () => {
  const write = (path: string, text: string) => {
    fs.mkdirSync(join(folder, path, '..'), { recursive: true });
    fs.writeFileSync(join(folder, path), text);
  };
  fs.mkdirSync(join(folder, 'conf'));
  for (const name of ['cassandra.yaml', 'cassandra-env.sh', 'triggers/README.txt'])
    write(`etc/cassandra/${name}`, 'image');
  for (const name of ['cassandra.yaml', 'jvm-server.options', 'logback.xml']) write(`config/${name}`, 'ours');
  for (const rack of ['r1', 'r2']) write(`config/cassandra-rackdc-${rack}.properties`, rack);
  const script = scriptFile('cassandra-conf.sh', { RACK: 'r2' });
  expect(sh(script)).toEqual({ status: 0, stderr: '' });
  const made = (name: string) => fs.readFileSync(join(folder, 'conf', name), 'utf8');
  expect(['cassandra.yaml', 'jvm-server.options', 'logback.xml'].map(made)).toEqual(['ours', 'ours', 'ours']);
  expect(['cassandra-env.sh', 'triggers/README.txt'].map(made)).toEqual(['image', 'image']);
  expect(made('cassandra-rackdc.properties')).toBe('r2');
  expect(sh(script.replaceAll('r2', 'r9')).status).not.toBe(0);
});

test('a member is ready while it has served within the last minute', () => {
  const serves = (secondsAgo: number) => {
    fs.mkdirSync(join(folder, 'tmp'), { recursive: true });
    fs.writeFileSync(join(folder, 'tmp/serves'), String(Math.floor(Date.now() / 1000) - secondsAgo));
    return sh(scriptFile('mongo-serves.sh')).status;
  };
  expect(sh(scriptFile('mongo-serves.sh')).status).not.toBe(0);
  expect([0, 50, 61, 3600].map(serves)).toEqual([0, 0, 1, 1]);
});

test('a data disk must be mounted where the database looks for it', () => {
  const check = scriptFile('check-data-mount.sh');
  expect(sh(check, '/proc')).toEqual({ status: 0, stderr: '' });
  const missing = sh(check, folder);
  expect(missing.status).toBe(1);
  expect(missing.stderr).toContain(`the data disk is not mounted: ${folder} is the folder`);
});

test('the default certificate of Traefik lies where its pod mounts it', () => {
  const chart = new Chart(Testing.app(), 'ingress', { namespace: 'ingress' });
  const { daemonSet } = new TraefikIngress(chart, 'traefik', {
    watchNamespaces: ['services'],
    statusAddress: '192.168.1.21',
    dnsNames: ['*.collab.home.arpa'],
    apiServer: { cidrs: ['192.168.1.20/32'], port: 6443 },
  });
  const { volumeMounts } = daemonSet.toJson().spec.template.spec.containers[0];
  const { mountPath } = volumeMounts.find(({ name }: { name: string }) => name === 'certificates');
  const { certFile, keyFile } = parse(scriptFile('traefik-tls.yaml')).tls.stores.default.defaultCertificate;
  expect([certFile, keyFile]).toEqual([`${mountPath}/tls.crt`, `${mountPath}/tls.key`]);
});
