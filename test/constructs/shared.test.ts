import { Size } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import { Chart, Testing, type App } from 'cdk8s';
import { Connections } from '../../constructs/connections';
import { HashNamedJob } from '../../constructs/hash-named-job';
import { DeclaredSecret } from '../../constructs/secrets';
import { MicroserviceDeployment } from '../../constructs/microservice-deployment';
import { DataStorage, mountCheck, PersistentVolumes } from '../../constructs/volumes';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chartIn, objectOf } from './render';

describe('HashNamedJob', () => {
  const job = (text: string, image = 'python:3.13.5') => {
    const chart = chartIn('db');
    const reads = new k8s.KubeConfigMap(chart, 'schema', {
      metadata: { name: 'schema' },
      data: { 'schema.cql': text },
    });
    new HashNamedJob(chart, 'job', {
      name: 'schema',
      namespace: 'db',
      image,
      command: ['true'],
      resources: { memory: Size.mebibytes(64), cpu: Cpu.millis(10) },
      user: 999,
      reads: { '/schema': reads },
    });
    return objectOf(chart, 'Job').metadata.name;
  };

  test('runs again when its input changes, because a Job is immutable', () => {
    expect(job('a')).toMatch(/^schema-[0-9a-f]{10}$/);
    expect(job('a')).not.toBe(job('b'));
    expect(job('a')).toBe(job('a'));
  });

  test('runs again when its image changes', () => {
    expect(job('a', 'python:3.13.6')).not.toBe(job('a'));
  });
});

test('rejects a job with a name that is too long for the hash, or with a moving image tag', () => {
  const job = (name: string, image: string) =>
    new HashNamedJob(chartIn(), 'job', {
      name,
      namespace: 'apps',
      image,
      command: ['true'],
      resources: { memory: Size.mebibytes(64), cpu: Cpu.millis(10) },
      user: 999,
      reads: {},
    });
  expect(() => job('a'.repeat(60), 'a:1')).toThrow('the name of a job must be a DNS label');
  expect(() => job('a', 'a:latest')).toThrow('image must be an image with an exact version, got "a:latest"');
});

describe('Connections', () => {
  test('select all pods of a namespace by an empty selector, not by empty labels', () => {
    const chart = chartIn();
    new Connections(chart, 'all', { name: 'all', namespace: 'apps', selector: {}, labels: {} });
    expect(objectOf(chart, 'NetworkPolicy').spec.podSelector).toEqual({});
  });

  test('reject an address that is not a network, which would match nothing', () => {
    const connections = new Connections(chartIn(), 'x', { name: 'x', namespace: 'apps', selector: {}, labels: {} });
    expect(() => connections.allowTo({ cidr: '192.168.1.30' }, { port: 1 })).toThrow(
      'the address of a connection must be an IPv4 network, got "192.168.1.30"',
    );
    expect(() => connections.allowTo('anywhere', { port: 0 })).toThrow(
      'the port of a connection must be a port, got 0',
    );
  });

  test('keep every port a number: without its port a rule would allow all ports', () => {
    const chart = chartIn();
    const connections = new Connections(chart, 'x', { name: 'x', namespace: 'apps', selector: { a: 'b' }, labels: {} });
    connections.allowFrom('anywhere', { port: 8443 });
    connections.allowTo({ cidr: '192.168.1.30/32' }, { port: 11434 });
    const { spec } = objectOf(chart, 'NetworkPolicy');
    expect(spec.ingress).toEqual([{ ports: [{ port: 8443, protocol: 'TCP' }] }]);
    expect(spec.egress).toContainEqual({
      to: [{ ipBlock: { cidr: '192.168.1.30/32' } }],
      ports: [{ port: 11434, protocol: 'TCP' }],
    });
  });
});

describe('DeclaredSecret', () => {
  test('is declared once for a name and namespace', () => {
    const chart = chartIn();
    for (const id of ['a', 'b'])
      new DeclaredSecret(chart, id, { name: 'same', namespaces: ['apps'], keys: { k: { value: 'v' } } });
    expect(() => (chart.node.root as App).synthYaml()).toThrow(
      'secret apps/same must be declared once, got "two declarations, apps/a and apps/b"; give one of the two another name',
    );
  });

  test('refuses a key that it does not have', () => {
    const secret = new DeclaredSecret(chartIn(), 'a', {
      name: 'a',
      namespaces: [],
      keys: { password: { value: 'v' } },
    });
    expect(() => secret.key('passwort')).toThrow('secret a must have the key, got "passwort" (allowed: password)');
  });
});

describe('volumes', () => {
  const volume = () => {
    const chart = chartIn('db');
    DataStorage.localDisks(Size.gibibytes(100), { nodeOf: () => 'worker-01' }).declare(chart, 'db', 'data', [
      'mongodb-0',
    ]);
    new PersistentVolumes(chart, 'volumes');
    return objectOf(chart, 'PersistentVolume');
  };

  test('bind only to the claim of one replica, by a claimRef without uid', () => {
    expect(volume().spec.claimRef).toEqual({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      namespace: 'db',
      name: 'data-mongodb-0',
    });
  });

  test('are bound to their node, retained when the claim is deleted, and never pruned', () => {
    expect(volume().spec).toMatchObject({
      persistentVolumeReclaimPolicy: 'Retain',
      local: { path: '/var/mnt/mongodb-0' },
    });
    expect(volume().spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values).toEqual(['worker-01']);
    expect(volume().metadata.annotations['argocd.argoproj.io/sync-options']).toBe('Prune=false,Delete=false');
    expect(volume().metadata).not.toHaveProperty('namespace');
  });

  test('rejects a disk without a rendered volume, also when PersistentVolumes was created before it', () => {
    const chart = chartIn('db');
    new PersistentVolumes(chart, 'too-early');
    DataStorage.localDisks(Size.gibibytes(1), { nodeOf: () => 'n' }).declare(chart, 'db', 'data', ['db-0']);
    expect(() => (chart.node.root as App).synthYaml()).toThrow(
      'db/volume-db-0: the disk of claim data-db-0 must be rendered as a volume',
    );
  });

  test('the first init container fails on a missing mount, and passes on a mounted one', () => {
    const folder = fs.mkdtempSync(join(tmpdir(), 'mounts-'));
    const mountinfo = join(folder, 'mountinfo');
    fs.writeFileSync(
      mountinfo,
      '24 1 8:1 / / rw - xfs /dev/a rw\n31 24 8:1 /mnt/mongodb-0 /missing rw - xfs /dev/a rw\n32 24 8:2 / /mounted rw - xfs /dev/b rw\n',
    );
    const run = (path: string) => {
      const [program, flags, script, ...args] = mountCheck('image:1', {}, 'data', path).command!;
      // As /proc/self/mountinfo looks in a container; a Mac has no such file.
      return spawnSync(program!, [flags!, script!.replace('/proc/self/mountinfo', mountinfo), ...args], {
        encoding: 'utf8',
      });
    };
    expect(run('/mounted')).toMatchObject({ status: 0, stderr: '' });
    expect(run('/missing')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(
        "the data disk is not mounted: /missing is the folder '/mnt/mongodb-0' of another disk",
      ),
    });
    expect(run('/nowhere')).toMatchObject({ status: 1 });
    fs.rmSync(folder, { recursive: true });
  });
});

test('rejects a chart without a namespace, with both ways to set one', () => {
  const chart = new Chart(Testing.app(), 'apps');
  expect(() => new MicroserviceDeployment(chart, 'a', { image: 'a:1' })).toThrow(
    "apps/a: a namespace must be known, got nothing; give the construct a `namespace`, or its chart: new Chart(app, 'apps', { namespace: 'apps' })",
  );
});

test('requires separate mount paths for the inputs of a job, and keys of a secret that can be file names', () => {
  const chart = chartIn();
  const map = (id: string) => new k8s.KubeConfigMap(chart, id, { metadata: { name: id }, data: {} });
  const job = (reads: Record<string, k8s.KubeConfigMap>) =>
    new HashNamedJob(chartIn(), 'job', {
      name: 'job',
      namespace: 'apps',
      image: 'a:1',
      command: ['true'],
      resources: { memory: Size.mebibytes(64), cpu: Cpu.millis(10) },
      user: 999,
      reads,
    });
  const [one, two] = [map('one'), map('two')];
  expect(() => job({ '/a': one, '/a/b': two })).toThrow('the path of a ConfigMap in `reads` must be an absolute path');
  expect(() => job({ '/tmp/a': one })).toThrow('got "/tmp/a, which is inside or contains /tmp"');
  expect(() => job({ '/a': one, '/b': two })).not.toThrow();
  expect(() => new DeclaredSecret(chart, 's', { name: 's', namespaces: [], keys: { 'a/b': { value: 'x' } } })).toThrow(
    'apps/s: a key of secret s must be the name of a file in a ConfigMap or Secret, got "a/b"',
  );
});
