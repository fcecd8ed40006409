import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { leftIn, leftovers } from '../../cli/leftovers';
import { printYaml } from '../../synth';

const KEPT = { 'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false' };
const TRACKED = { 'argocd.argoproj.io/tracking-id': 'platform:/Namespace:/mongodb' };
const object = (kind: string, name: string, annotations: object, more: object = {}) => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, annotations, ...more },
  spec: kind === 'PersistentVolume' ? { claimRef: { name: 'data-mongodb-0', namespace: 'mongodb' } } : {},
});

test('left over is what Argo CD deployed and keeps, what is no longer rendered and not yet being deleted', () => {
  const namespace = object('Namespace', 'mongodb', { ...KEPT, ...TRACKED });
  expect(leftIn([namespace], [])).toEqual([namespace]);
  expect(leftIn([namespace], [object('Namespace', 'mongodb', KEPT)])).toEqual([]);
  expect(leftIn([object('Namespace', 'mongodb', TRACKED)], [])).toEqual([]);
  expect(leftIn([object('Namespace', 'monitoring', KEPT)], [])).toEqual([]);
  expect(leftIn([object('Namespace', 'm', { ...KEPT, ...TRACKED }, { deletionTimestamp: 'now' })], [])).toEqual([]);
});

describe('npm run homelab -- leftovers', () => {
  const { PATH } = process.env;
  let folder: string;
  let said: string[];
  beforeEach(() => {
    folder = fs.mkdtempSync(join(tmpdir(), 'leftovers-'));
    fs.mkdirSync(join(folder, 'dist', 'platform'), { recursive: true });
    const still = printYaml(object('Namespace', 'cassandra', KEPT));
    fs.writeFileSync(join(folder, 'dist', 'platform', 'namespace.cassandra.yaml'), still);
    fs.writeFileSync(join(folder, 'dist', 'secrets.yaml'), 'secrets: []\n');
    process.env.PATH = `${folder}:${PATH}`;
    said = [];
    jest.spyOn(console, 'log').mockImplementation((line: string) => void said.push(line));
  });
  afterEach(() => {
    process.env.PATH = PATH;
    jest.restoreAllMocks();
    fs.rmSync(folder, { recursive: true });
  });
  const kubectlAnswers = (items: object[], secrets = '') => {
    fs.writeFileSync(join(folder, 'answer.json'), JSON.stringify({ items }));
    fs.writeFileSync(join(folder, 'secrets'), secrets);
    const program = `#!/bin/sh
echo "$@" >>'${folder}/asked'
case "$*" in *' secrets '*) cat '${folder}/secrets' ;; *) cat '${folder}/answer.json' ;; esac
`;
    fs.writeFileSync(join(folder, 'kubectl'), program, { mode: 0o755 });
  };
  const all = { ...KEPT, ...TRACKED };

  test('prints the commands in an order that works', async () => {
    kubectlAnswers([
      object('Namespace', 'mongodb', all),
      object('Namespace', 'cassandra', all),
      object('PersistentVolume', 'mongodb-data-mongodb-0', all),
      { ...object('Application', 'mongodb', all, { namespace: 'argocd' }), apiVersion: 'argoproj.io/v1alpha1' },
    ]);
    await leftovers(['--kubeconfig=FILE'], join(folder, 'dist'));
    expect(said.join('\n').split('\n').slice(1)).toEqual([
      '  kubectl delete application.argoproj.io mongodb -n argocd',
      '  kubectl delete persistentvolumeclaim data-mongodb-0 -n mongodb --wait=false',
      '  kubectl delete persistentvolume mongodb-data-mongodb-0 --wait=false',
      '  kubectl delete namespace mongodb',
    ]);
    expect(fs.readFileSync(join(folder, 'asked'), 'utf8')).toMatch(
      /^--kubeconfig FILE get namespaces,.* -o json --all-namespaces\n--kubeconfig FILE get secrets -l app\.kubernetes\.io\/managed-by=collab-homelab-bootstrap,.*\n$/,
    );
  });

  test('names secrets that exist and are no longer declared, without reading their values', async () => {
    const list = { secrets: [{ name: 'cassandra-chat', namespaces: ['cassandra', 'services'] }] };
    fs.writeFileSync(join(folder, 'dist', 'secrets.yaml'), printYaml(list));
    kubectlAnswers([], 'services   mongodb-chat\nservices   cassandra-chat\nmongodb    mongodb-chat\n');
    await leftovers([], join(folder, 'dist'));
    expect(said.join('\n').split('\n').slice(1)).toEqual([
      '  kubectl delete secret mongodb-chat -n mongodb',
      '  kubectl delete secret mongodb-chat -n services',
    ]);
    expect(fs.readFileSync(join(folder, 'asked'), 'utf8')).not.toMatch(/secrets.*(json|yaml)/);
  });

  test('reports that nothing is left over', async () => {
    kubectlAnswers([object('Namespace', 'cassandra', all)]);
    await leftovers([], join(folder, 'dist'));
    expect(said).toEqual([
      'nothing is left over: dist/ has every object that Argo CD keeps and every secret of the bootstrap',
    ]);
  });

  test('reports a missing dist/ and a failure of kubectl', async () => {
    await expect(leftovers([], join(folder, 'none'))).rejects.toThrow('leftovers needs dist/');
    fs.writeFileSync(join(folder, 'kubectl'), '#!/bin/sh\necho refused >&2\nexit 1\n', { mode: 0o755 });
    await expect(leftovers([], join(folder, 'dist'))).rejects.toThrow(/^kubectl get .* failed: refused$/);
  });
});
