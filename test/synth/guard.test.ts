import * as fs from 'node:fs';
import { join } from 'node:path';
import { homelabApp } from '../../charts';
import { defineHomelab, type AcceptedChange, type Homelab } from '../../inventory';
import { synthesize } from '../../synth';
import { published } from '../../synth/publish';
import * as change from '../checks/step/changes';
import { changed } from '../homelab';
import { repository, type Repository } from './repository';

let repo: Repository;
let said: string[];
beforeAll(async () => {
  repo = repository();
  jest.spyOn(console, 'error').mockImplementation(() => undefined);
  await synth();
  repo.commit();
});
beforeEach(() => {
  said = [];
  jest.spyOn(console, 'error').mockImplementation((line: string) => void said.push(line));
});
afterEach(() => {
  jest.restoreAllMocks();
  repo.git('checkout', '-qf', 'HEAD');
  repo.git('clean', '-fdq');
});
afterAll(() => repo.end());

async function synth(
  edit: change.Change = () => undefined,
  accept?: readonly AcceptedChange[],
  root = repo.folder,
): Promise<void> {
  const homelab = defineHomelab(changed(change.both(edit, (h) => (h.accept = accept ?? h.accept))) as Homelab);
  await synthesize(async () => ({ homelab, app: homelabApp(homelab), checks: [] }), {
    root,
    outdir: join(root, '.synth'),
  });
}

const refusal = async (...args: Parameters<typeof synth>): Promise<string> => {
  const before = published(join(repo.folder, 'dist'));
  const message = await synth(...args).then(
    () => 'published',
    (error: Error) => error.message,
  );
  if (message !== 'published') expect(published(join(repo.folder, 'dist'))).toEqual(before);
  return message;
};
const entry = { on: '2026-11-27', because: 'nothing of it is used' };

test('fails if data is at risk, with the reason, the safe way, the page and the entry to accept it; dist/ is unchanged', async () => {
  const message = await refusal(change.members(1));
  expect(message).toMatch(
    /^dist\/ is unchanged, because this change puts data at risk, compared with dist\/ at HEAD \([0-9a-f]{7}\):\n/,
  );
  expect(message).toContain(
    '  - mongodb.members, from 3 members, 3 pods to 1 member, 1 pod: mongodb-1 and mongodb-2 end at once',
  );
  expect(message).toContain('      1. first commit: members: 1, pods: 3.');
  expect(message).toContain('    More: docs/change.md#members\n');
  expect(message).toMatch(
    /accept: \{ what: 'mongodb.members', from: '3 members, 3 pods', to: '1 member, 1 pod', on: '\d{4}-\d\d-\d\d', because: '' \}/,
  );
  expect(message).toContain(`{ what: 'everything', from: '${repo.git('rev-parse', 'HEAD:dist').slice(0, 10)}', on: `);
});

test.each([
  ['clusterName', (h: any) => (h.databases.cassandra.clusterName = 'x')],
  ['datacenter', (h: any) => (h.databases.cassandra.datacenter = 'x')],
  ['replicaSet', (h: any) => (h.databases.mongodb.replicaSet = 'x')],
  ['racks', change.racks(['r1', 'r2'])],
  ['disks', change.moved('mongodb-0', 'mongodb-1', 'mongodb-2')],
  ['state', change.deleted],
  ['diskSize', change.diskSize(50)],
  ['diskSize', change.diskSize(150)],
])('refused: %s', async (aspect, edit) => {
  expect(await refusal(edit)).toMatch(new RegExp(`^ {2}- (cassandra|mongodb)\\.${aspect}, from `, 'm'));
});

test('publishes a safe change without a message', async () => {
  for (const edit of [change.members(1, 3), change.retired, change.nodesPerRack(2), (h: any) => (h.name = 'other')]) {
    said = [];
    expect(await refusal(edit)).toBe('published');
    expect(said.filter((line) => /risk|accept|proved/.test(line))).toEqual([]);
  }
});

test('compares with HEAD, not with the working folder, until the change is committed', async () => {
  await synth(change.members(1), [
    { what: 'mongodb.members', from: '3 members, 3 pods', to: '1 member, 1 pod', ...entry },
  ]);
  expect(await refusal(change.members(1))).toContain('mongodb.members');
});

test('an entry accepts its own change only, and the message names it', async () => {
  const accept = [{ what: 'mongodb.replicaSet', from: 'rs0', to: 'rs1', ...entry }];
  const rename = (h: any) => (h.databases.mongodb.replicaSet = 'rs1');
  expect(await refusal(rename, accept)).toBe('published');
  expect(said).toContain('accepted: mongodb.replicaSet, from rs0 to rs1: nothing of it is used (2026-11-27)');
  expect(await refusal((h) => (h.databases.mongodb.replicaSet = 'rs2'), accept)).toContain('from rs0 to rs2');
  expect(await refusal(change.both(rename, change.diskSize(50)), accept)).not.toContain('mongodb.replicaSet, from');
});

test('an entry for everything applies only to the dist/ that it names', async () => {
  const tree = repo.git('rev-parse', 'HEAD:dist').trim();
  const everything = (from: string) => [{ what: 'everything', from, ...entry }];
  const all = change.both(change.members(1), change.diskSize(50), change.racks(['r1']));
  expect(await refusal(all, everything(tree.slice(0, 7)))).toBe('published');
  expect(await refusal(all, everything('0123456'))).toContain('mongodb.members');
});

test('the first of several commits prints the next one, and when it is safe', async () => {
  await synth(change.members(1, 3));
  const text = said.join('\n');
  expect(text).toContain('the next commit: databases.mongodb.pods: 1');
  expect(text).toMatch(/\n {2}once the primary says "as wanted" with exactly one host: kubectl -n mongodb logs /);
});

test('reports an entry that is no longer needed, without an error', async () => {
  const accept = [{ what: 'mongodb.replicaSet', from: 'rs0', to: 'rs1', ...entry }];
  expect(await refusal(undefined, accept)).toBe('published');
  expect(said).toEqual([
    "accept { what: 'mongodb.replicaSet', from: 'rs0', to: 'rs1' } matches no change (it is already committed, or differs): remove it",
    'dist/: nothing changed',
  ]);
});

test('outside of Git it publishes, and prints that nothing was compared', async () => {
  const folder = fs.mkdtempSync(join(repo.folder, '..', 'no-repository-'));
  await synth(change.members(1), undefined, folder);
  expect(said[0]).toBe('could not check whether data is at risk: this folder is not in a Git repository');
  expect(published(join(folder, 'dist')).size).toBeGreaterThan(100);
  fs.rmSync(folder, { recursive: true });
});

test('does not check output to another folder than dist/', async () => {
  const homelab = defineHomelab(changed(change.members(1)) as Homelab);
  const outdir = join(repo.folder, 'elsewhere');
  await synthesize(async () => ({ homelab, app: homelabApp(homelab), checks: [] }), { root: repo.folder, outdir });
  expect(published(outdir).size).toBeGreaterThan(100);
});
