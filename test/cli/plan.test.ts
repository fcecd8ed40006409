import * as fs from 'node:fs';
import { join } from 'node:path';
import { homelabPlan, plan } from '../../cli/plan';
import { Usage } from '../../cli/usage';
import homelab from '../fixtures/homelab';
import { changed } from '../homelab';
import { Repository } from './repository';

// The command reads homelab.ts, which the owner edits.
jest.mock('../../homelab', () => jest.requireActual('../fixtures/homelab'));

let repository: Repository;
let root: string;
beforeEach(() => {
  repository = new Repository();
  ({ root } = repository);
});
afterEach(() => {
  repository.remove();
  process.exitCode = undefined;
  jest.restoreAllMocks();
});

test('a committed rendering changes nothing', async () => {
  repository.commitHomelab(homelab);
  const found = await homelabPlan(homelab, 'HEAD', root);
  expect(found).toMatchObject({ changes: [], risks: [], machines: [], next: [], notes: [] });
  expect(found.base).toMatch(/^HEAD \([0-9a-f]{7}\)$/);
});

test('compares with a branch, by folder, and lists what is left over', async () => {
  repository.commitHomelab(homelab);
  repository.git('checkout', '-qb', 'other');
  const other = changed((copy) => {
    copy.webApps = { web: copy.webApps.web };
    delete copy.services.presence;
    copy.services.gateway.connects = copy.services.gateway.connects.filter(
      ({ service }: any) => service !== 'presence',
    );
  });
  repository.commitHomelab(other);
  expect((await homelabPlan(other, 'HEAD', root)).changes).toEqual([]);
  const { changes, notes, base } = await homelabPlan(other, 'main', root);
  expect(base).toMatch(/^main \(/);
  const presence = changes.find(({ id }) => id === 'apps/Deployment services/presence')!;
  expect([presence.verdict, presence.folder]).toEqual(['pruned', 'services']);
  expect(notes).toContain('kubectl delete secret cassandra-presence -n services');
});

test.each([
  ['no such commit', 'nowhere', /Git knows no commit nowhere, got "nowhere".*--base REF/],
  ['an option instead of a ref', '--upload-pack=x', /is not the name of a commit/],
])('says why it has nothing to compare with: %s', async (_, ref, message) => {
  repository.commitHomelab(homelab);
  await expect(homelabPlan(homelab, ref, root)).rejects.toThrow(message);
});

test('reports a missing dist/ at a ref, a missing commit, a missing repository', async () => {
  await expect(homelabPlan(homelab, 'HEAD', root)).rejects.toThrow('there is no commit yet');
  repository.write('README.md', '');
  repository.commit();
  await expect(homelabPlan(homelab, 'HEAD', root)).rejects.toThrow('there is no folder dist/ at HEAD');
  fs.rmSync(join(root, '.git'), { recursive: true });
  await expect(homelabPlan(homelab, 'HEAD', root)).rejects.toThrow('this folder is not in a Git repository');
});

test('reads an upgrade from both sides, and validates objects by the version before it', async () => {
  repository.commitHomelab(homelab);
  const next = changed((h) => void Object.assign(h.versions, { kubernetes: 'v1.36.4', argoCd: 'v3.5.2' }));
  const { machines } = await homelabPlan(next, 'HEAD', root);
  expect(machines.map(({ command }) => command).sort()).toEqual([
    'npm run bootstrap -- apply gitops',
    'npm run bootstrap -- upgrade',
  ]);
});

describe('npm run homelab -- plan', () => {
  let said: string;
  beforeEach(() => {
    said = '';
    jest.spyOn(console, 'log').mockImplementation((text: string) => void (said += text));
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => (said += String(text)) !== '');
  });

  test('prints the homelab in each format, and writes it to a file', async () => {
    repository.commitHomelab(homelab);
    await plan([], root);
    expect(said).toMatch(/^Plan against HEAD \([0-9a-f]{7}\)\nnothing changes\n$/);
    expect(process.exitCode).toBe(0);
    for (const [format, begin] of [
      ['--json', '{\n  "version": 1'],
      ['--html', '<!doctype html>'],
      ['--markdown', '<!-- collab-homelab plan -->'],
    ] as const) {
      said = '';
      await plan([format, '--base', 'main'], root);
      expect(said.slice(0, begin.length)).toBe(begin);
      await plan([format, '--base=main', `--out=${join(root, 'out')}`], root);
      expect(fs.readFileSync(join(root, 'out'), 'utf8')).toBe(said);
    }
  });

  test('exits with the code of the worst verdict', async () => {
    repository.commitHomelab(changed((copy) => (copy.services.chat = { ...copy.services.chat, replicas: 2 })));
    await plan(['--no-color'], root);
    expect(said).toContain('Deployment services/chat');
    expect(process.exitCode).toBeLessThan(20);
  });

  test('prints its options and exit codes', async () => {
    await plan(['--help'], root);
    for (const code of ['0', '10', '15', '20', '30']) expect(said).toMatch(new RegExp(`^ +${code} `, 'm'));
  });

  test.each([
    [['--bass', 'main'], /got "--bass" \(allowed: --base, .*did you mean --base\?/],
    [['main'], /got "main"/],
    [['--base'], /--base needs a value, got nothing/],
    [['--base='], /--base needs a value/],
    [['--base', '--json'], /--base needs a value, got "--json"/],
    [['--json=yes'], /--json takes no value/],
    [['--json', '--html'], /prints in one format, got "--json --html"/],
    [['--json', '--json'], /--json may be given only once/],
  ])('refuses %j', async (args, message) => {
    await expect(plan(args, root)).rejects.toThrow(message);
    await expect(plan(args, root)).rejects.toBeInstanceOf(Usage);
  });
});
