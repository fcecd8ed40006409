import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Chart, Size } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { duplicateObjects, missingSecrets, type Check } from '../../checks';
import { DataStorage, DeclaredSecret, MicroserviceDeployment, PersistentVolumes } from '../../constructs';
import { render, synthesize, type Synthesis } from '../../synth';
import { publish, published } from '../../synth/publish';

let root: string;
let said: string[];
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'synth-'));
  said = [];
  // These folders are in no repository, so the guard prints that each time; test/synth/guard.test.ts tests the message.
  const other = (line: string) => !line.startsWith('could not check whether data is at risk');
  jest.spyOn(console, 'error').mockImplementation((line: string) => void (other(line) && said.push(line)));
});
afterEach(() => {
  jest.restoreAllMocks();
  fs.rmSync(root, { recursive: true });
});

/** An app of one chart with a service for each name. */
function appOf(names: readonly string[], more: (chart: Chart) => void = () => undefined): App {
  const app = new App({ recordConstructMetadata: false });
  const chart = new Chart(app, 'apps', { namespace: 'apps', disableResourceNameHashes: true });
  for (const name of names) new MicroserviceDeployment(chart, name, { image: `${name}:1` });
  more(chart);
  return app;
}

const run = (app: App, checks: readonly Check[] = [], outdir?: string): Promise<void> =>
  synthesize(async (): Promise<Synthesis> => ({ app, checks }), { root, outdir });
const dist = () => published(join(root, 'dist'));

test('one folder per chart, one file per object, each one document that ends with a line feed', async () => {
  await run(appOf(['a']));
  expect([...dist().keys()]).toEqual([
    'apps/deployment.a.yaml',
    'apps/networkpolicy.a.yaml',
    'apps/service.a.yaml',
    'apps/serviceaccount.a.yaml',
    'secrets.yaml',
  ]);
  for (const text of dist().values()) expect(text).toMatch(/^---\n[^]*[^\n]\n$/);
});

test('prints what changed by folder', async () => {
  await run(appOf(['a', 'b']));
  said = [];
  await run(appOf(['a', 'b'], (chart) => new k8s.KubeConfigMap(chart, 'c', { metadata: { name: 'c' } })));
  expect(said).toEqual(['apps: 1 added (configmap.c)']);
  said = [];
  await run(appOf(['b']));
  expect(said).toEqual(['apps: 5 removed (configmap.c, deployment.a, networkpolicy.a, service.a, serviceaccount.a)']);
  said = [];
  await run(appOf(['b']));
  expect(said).toEqual(['dist/: nothing changed']);
});

test('prints the commands that remove what Argo CD was told to keep', async () => {
  const withDisk = (chart: Chart) => {
    DataStorage.localDisks(Size.gibibytes(1), { nodeOf: () => 'n' }).declare(chart, 'db', 'data', ['db-0']);
    new PersistentVolumes(chart, 'volumes');
  };
  await run(appOf(['a'], withDisk));
  said = [];
  await run(appOf(['a']));
  expect(said.join('\n')).toContain(
    'and their data with them. Run the commands in this order; repeat a command that was interrupted:\n' +
      '  kubectl delete persistentvolumeclaim data-db-0 -n db --wait=false\n' +
      '  kubectl delete persistentvolume db-data-db-0 --wait=false\n' +
      '  kubectl delete storageclass local-data\n' +
      'Run them after the change is pushed and synced. To print them again: npm run homelab -- leftovers',
  );
});

describe('a synth that fails does not change dist/', () => {
  let before: ReturnType<typeof dist>;
  beforeEach(async () => {
    await run(appOf(['a']));
    before = dist();
  });
  afterEach(() => {
    expect([...dist()]).toEqual([...before]);
    expect(fs.readdirSync(root).sort()).toEqual(['.synth', 'dist']);
  });

  test('when homelab.ts throws', async () => {
    const load = () => Promise.reject(new Error('broken'));
    await expect(synthesize(load, { root })).rejects.toThrow('broken');
  });

  test('when a check finds an error: two objects of one kind, namespace and name, with both constructs', async () => {
    const twice = appOf(['a'], (chart) => {
      const other = new Chart(chart.node.root as App, 'other', { namespace: 'apps' });
      new k8s.KubeService(other, 'again', { metadata: { name: 'a' } });
    });
    await expect(run(twice, [duplicateObjects])).rejects.toThrow(
      'dist/ is unchanged, because:\n  - Service apps/a is rendered twice: by apps/a/service and by other/again; give one of the two another name',
    );
  });

  test('when two objects would be one file', async () => {
    const same = appOf(['a'], (chart) => new k8s.KubeService(chart, 'again', { metadata: { name: 'a' } }));
    await expect(run(same)).rejects.toThrow(
      'apps/a/service and apps/again would both be written to dist/apps/service.a.yaml',
    );
  });

  test('when a construct is invalid', async () => {
    const app = appOf(['a'], (chart) => chart.node.addValidation({ validate: () => ['is wrong'] }));
    await expect(run(app)).rejects.toThrow('apps: is wrong');
  });

  test('when -o names dist/ itself', async () => {
    await expect(run(appOf(['b']), [], 'dist')).rejects.toThrow('restore it with git checkout -- dist');
  });

  test('and one with another output folder writes there and publishes nothing', async () => {
    const outdir = fs.mkdtempSync(join(tmpdir(), 'elsewhere-'));
    await run(appOf(['b']), [], outdir);
    expect([...published(outdir).keys()]).toContain('apps/deployment.b.yaml');
    fs.rmSync(outdir, { recursive: true });
  });
});

test('does not write unchanged files again', async () => {
  const inode = (path: string) => fs.statSync(join(root, 'dist', path)).ino;
  await run(appOf(['a', 'b']));
  const before = ['a', 'b'].map((name) => inode(`apps/service.${name}.yaml`));
  await run(
    appOf(['a'], (chart) => {
      new MicroserviceDeployment(chart, 'b', { image: 'b:1', port: 9000 });
    }),
  );
  expect(inode('apps/service.a.yaml')).toBe(before[0]);
  expect(inode('apps/service.b.yaml')).not.toBe(before[1]);
});

test('fails while another synth publishes', async () => {
  fs.mkdirSync(join(root, `dist.next.${process.ppid}`));
  await expect(run(appOf(['a']))).rejects.toThrow(`another synth (process ${process.ppid}) is publishing dist/`);
});

test('the next synth finishes or undoes the work of a killed one', async () => {
  await publish(join(root, 'dist'), new Map([['apps/old.yaml', '---\n']]));
  // No process has this ID: it is larger than any system gives.
  fs.renameSync(join(root, 'dist'), join(root, 'dist.old.99999999'));
  await publish(join(root, 'dist.next.99999999'), new Map([['apps/new.yaml', '---\n']]));
  await expect(synthesize(() => Promise.reject(new Error('broken')), { root })).rejects.toThrow('broken');
  expect([...dist().keys()]).toEqual(['apps/new.yaml']);
  expect(fs.readdirSync(root)).toEqual(['dist']);
});

describe('secrets', () => {
  const withSecret = () =>
    appOf(['a'], (chart) => {
      new DeclaredSecret(chart, 'db', {
        name: 'db',
        namespaces: ['apps'],
        keys: { username: { value: 'u' }, password: { generate: 'alphanumeric', length: 32 } },
      });
    });

  test('are listed without values: name, keys, how to make them', async () => {
    await run(withSecret());
    expect(dist().get('secrets.yaml')).toBe(`---
# Which secrets the cluster needs; no Kubernetes object, and no values. The bootstrap makes them.
secrets:
  - name: db
    namespaces:
      - apps
    type: Opaque
    keys:
      username:
        value: u
      password:
        generate: alphanumeric
        length: 32
    readers: []
`);
  });

  test('that the encrypted file lacks are reported before pods wait for them', async () => {
    fs.writeFileSync(
      join(root, 'secrets.sops.yaml'),
      'secrets:\n  apps:\n    db:\n      username: ENC[x]\nsops:\n  version: 3.13.3\n',
    );
    await run(withSecret(), [missingSecrets]);
    expect(said[0]).toMatch(/^warning: secrets.sops.yaml lacks apps\/db \(password\)/);
  });
});

test('an error of the whole app has no empty construct path', () => {
  const app = new App();
  const chart = new Chart(app, 'apps');
  for (const id of ['a', 'b'])
    new DeclaredSecret(chart, id, { name: 'same', namespaces: ['apps'], keys: { k: { value: 'v' } } });
  expect(() => render(app)).toThrow(
    /^secret apps\/same must be declared once, got "two declarations, apps\/a and apps\/b"/,
  );
});
