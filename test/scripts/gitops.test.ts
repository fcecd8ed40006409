import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { stringify } from 'yaml';
import homelab from '../fixtures/homelab';
import smallest from '../../examples/smallest/homelab';
import { argoCdObjects, INSTALLED, isDefinition, versionOf } from '../../scripts/stages/gitops/manifest';
import { makeAuthority } from '../../scripts/secrets/certificates';
import { differences } from '../../scripts/clients/differences';
import { memoryFolder } from '../../scripts/engine/memory-files';
import { NotReady } from '../../scripts/engine/problem';
import { rolloutProblem } from '../../scripts/clients/kubernetes';
import { ARGO_CD_MANIFESTS } from '../../machines/pins';
import { applicationProblem } from '../../scripts/clients/argo-cd';
import { GitRepository } from '../../scripts/clients/git';
import { gitops } from '../../scripts/stages/gitops';
import { knownHostsOf, trustingGitServer } from '../../scripts/stages/gitops/git-server';
import { isPushed, repositoryAccess } from '../../scripts/stages/gitops/repository';
import { fakeKubernetes } from './kubernetes';

jest.mock('../../scripts/engine/root', () => jest.requireActual('../fixtures/dist'));
jest.mock('../../scripts/engine/memory-files', () => {
  const { mkdtempSync, rmSync, writeFileSync } = jest.requireActual<typeof import('node:fs')>('node:fs');
  const folder = mkdtempSync('/tmp/gitops-');
  return {
    memoryFolder: () => folder,
    async withMemoryFile(name: string, text: string, use: (file: string) => Promise<unknown>) {
      writeFileSync(`${folder}/${name}`, text);
      return use(`${folder}/${name}`).finally(() => rmSync(`${folder}/${name}`));
    },
  };
});
afterAll(() => fs.rmSync(memoryFolder(), { recursive: true }));

const kubernetes = fakeKubernetes();
const access = (context: any, knownHosts = '') =>
  repositoryAccess(context, new GitRepository(context.commands, context.homelab), knownHosts);

const container = { name: 'argocd-server', image: 'quay.io/argoproj/argocd:v3.5.1' };
const MANIFEST = [
  {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'applications.argoproj.io' },
  },
  { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'argocd-cm' } },
  { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'argocd-rbac-cm', labels: { a: 'b' } } },
  { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'argocd-cmd-params-cm' } },
  { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'argocd-server-network-policy' } },
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'argocd-server' },
    spec: {
      template: {
        spec: {
          affinity: { podAntiAffinity: {} },
          initContainers: [{ ...container, name: 'init' }],
          containers: [container],
        },
      },
    },
  },
]
  .map((object) => stringify(object))
  .join('---\n');

test('the pinned version has a digest', () => {
  expect(ARGO_CD_MANIFESTS[homelab.versions.argoCd]).toMatch(/^[0-9a-f]{64}$/);
});

test('applies the install manifest without its settings and policies, in its namespace, with the declared requests', () => {
  const objects = argoCdObjects(MANIFEST, homelab);
  expect(objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`)).toEqual([
    'CustomResourceDefinition /applications.argoproj.io',
    'ConfigMap argocd/argocd-rbac-cm',
    'ConfigMap argocd/argocd-cmd-params-cm',
    'Deployment argocd/argocd-server',
  ]);
  expect(objects.every(({ metadata }) => metadata.labels['collab-homelab/installed-with'] === 'argo-cd')).toBe(true);
  expect(objects[2].data).toEqual({ 'controller.resource.health.persist': 'true' });
  const pod = objects[3].spec.template.spec;
  const requests = { memory: '256Mi', cpu: '50m' };
  expect([...pod.containers, ...pod.initContainers].map(({ resources }) => resources)).toEqual([
    { requests },
    { requests },
  ]);
  expect(pod.affinity).toMatchObject({
    podAntiAffinity: {},
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { preference: { matchExpressions: [{ key: 'kubernetes.io/hostname', values: ['talos-worker-02'] }] } },
      ],
    },
  });
  expect(versionOf(objects[3])).toBe('v3.5.1');
});

test('a homelab that declares only the sum splits it; a homelab that declares nothing must do so', () => {
  const [, , , server] = argoCdObjects(MANIFEST, smallest);
  expect(server.spec.template.spec.containers[0].resources.requests).toEqual({ memory: '256Mi', cpu: '47m' });
  const silent = { ...homelab, system: {} };
  expect(() => argoCdObjects(MANIFEST, silent)).toThrow(
    /must state in system.argo-cd.containers what server of Argo CD requests/,
  );
  expect(() => argoCdObjects('<html>not found</html>', homelab)).toThrow(/must hold Kubernetes objects/);
});

test.each([
  ['the same dist/', {}, undefined],
  ['a change that is not pushed', { diff: 1 }, /^its dist\/ differs; commit dist\/ and git push, or git pull/],
  ['a change that is not committed', { status: '?? dist/new.yaml\n' }, /^its dist\/ differs/],
  ['a commit of somebody else', { diff: 128 }, /^has 0{40}, which this clone does not know; git pull$/],
  ['no such branch', { remote: '' }, /^the repository has no such branch or tag/],
  ['no login for this machine', { remoteCode: 128 }, undefined],
])('compares what Argo CD will read before it points there: %s', async (_, says, problem) => {
  const { diff = 0, status = '', remote = `${'0'.repeat(40)}\trefs/heads/main\n`, remoteCode = 0 } = says as any;
  const answers: Record<string, object> = {
    'ls-remote': { stdout: remote, code: remoteCode },
    status: { stdout: status, code: 0 },
    diff: { stdout: '', code: diff },
  };
  const commands = { read: async (_place: unknown, argv: string[]) => answers[argv[3]!] } as any;
  const found = await new GitRepository(commands, homelab).pushProblem();
  if (problem === undefined) expect(found).toBeUndefined();
  else expect(found).toMatch(problem);
});

describe('a repository over HTTPS', () => {
  const url = 'https://git.lan:8443/owner/homelab.git';
  const [username, password] = ['me', 'p@ss/word%token'];
  /** A Git that accepts one login, and records the login that it gets. */
  const accepted = (kept: object | undefined, opens: string | undefined) => {
    const asked: { words: string; login?: string }[] = [];
    const read = async (_: unknown, argv: string[], options: object) => {
      const words = JSON.stringify([argv, options]);
      const file = /store --file=([^"]+)/.exec(words)?.[1];
      const login = file === undefined ? undefined : fs.readFileSync(file, 'utf8');
      asked.push({ words, login });
      return login === opens
        ? { code: 0, stdout: '', stderr: '' }
        : { code: 128, stdout: '', stderr: `remote: denied\nfatal: Authentication failed for '${url}/'\n` };
    };
    const context = { homelab: { ...homelab, git: { url } }, commands: { read }, sops: { read: async () => kept } };
    return { step: access(context)[1]!, asked };
  };
  const line = 'https://me:p%40ss%2Fword%25token@git.lan:8443/owner/homelab.git\n';

  test('is tested with the stored login, which no other process sees and which is removed afterwards', async () => {
    const { step, asked } = accepted({ url, username, password }, line);
    expect(await step.plan()).toBeUndefined();
    expect(asked).toHaveLength(1);
    expect(asked[0]!.words).not.toMatch(/p@ss|p%40ss/);
    // The credential helpers of this machine come first, so Git would ask them first.
    expect(asked[0]!.words).toContain('"-c","credential.helper=","-c","credential.helper=store --file=');
    expect(fs.readdirSync(memoryFolder())).toEqual([]);
  });

  test('that rejects the login stops, with the output of Git and what to remove', async () => {
    const { step } = accepted({ url, username, password: 'expired' }, line);
    await expect(step.plan()).rejects.toThrow(
      /Authentication failed[^]*remove scripts\/secrets\/repository\.sops\.yaml[^]*run this again/,
    );
    expect(fs.readdirSync(memoryFolder())).toEqual([]);
  });

  test('that is public needs no login; a private one waits for it', async () => {
    expect(await accepted(undefined, undefined).step.plan()).toBeUndefined();
    await expect(accepted(undefined, line).step.plan()).rejects.toThrow(NotReady);
  });
});

test('a workload is complete when all its pods are new and ready', () => {
  const deployment = (status: object) => ({
    kind: 'Deployment',
    metadata: { generation: 2 },
    spec: { replicas: 2 },
    status,
  });
  const done = { observedGeneration: 2, updatedReplicas: 2, readyReplicas: 2, replicas: 2 };
  expect(rolloutProblem(deployment(done))).toBeUndefined();
  expect(rolloutProblem(deployment({}))).toMatch(/has not processed the change/);
  expect(rolloutProblem(deployment({ ...done, observedGeneration: 1 }))).toMatch(/has not processed the change/);
  expect(rolloutProblem(deployment({ ...done, updatedReplicas: 1 }))).toBe('1 of 2 pods are new');
  expect(rolloutProblem(deployment({ ...done, replicas: 3 }))).toBe('1 old pods are still there');
  expect(rolloutProblem(deployment({ ...done, readyReplicas: 1 }))).toBe('1 of 2 pods are ready');
});

test('an unhealthy application gives its reason', () => {
  expect(applicationProblem(undefined)).toMatch(/^it does not exist yet; .*git push/);
  expect(applicationProblem({})).toBe('not compared yet, health unknown yet');
  const status = { sync: { status: 'Synced' }, health: { status: 'Healthy' } };
  expect(applicationProblem({ status })).toBeUndefined();
  const problem = applicationProblem({
    status: {
      sync: { status: 'Unknown' },
      health: { status: 'Progressing' },
      resources: [
        { kind: 'Deployment', name: 'chat', health: { status: 'Progressing', message: 'waiting for a pod' } },
      ],
      conditions: [{ type: 'ComparisonError', message: 'authentication required' }],
    },
  });
  expect(problem).toBe(
    'Unknown, Progressing; Deployment chat Progressing (waiting for a pod); ComparisonError: authentication required',
  );
});

test('the target of the root application must have the local dist/', async () => {
  const source = { repoURL: homelab.git.url, targetRevision: 'main', path: 'dist/argocd' };
  const other = `${'0'.repeat(40)}\trefs/heads/main\n`;
  const read = jest.fn(async (_: unknown, argv: string[]) => ({
    stdout: argv[3] === 'ls-remote' ? other : '',
    code: argv[3] === 'diff' ? 1 : 0,
  }));
  const root = { file: 'root.yaml', text: 'root', object: { spec: { source } } };
  const look = (live: object | undefined) => {
    kubernetes.read.mockResolvedValue({ stdout: live ? JSON.stringify(live) : '', stderr: '', code: 0 });
    return isPushed(kubernetes, new GitRepository({ read } as any, homelab), root).plan();
  };
  expect(await look({ spec: { source: { ...source, added: 1 } } })).toBeUndefined();
  expect(read).not.toHaveBeenCalled();
  await expect(look(undefined)).rejects.toThrow(/must have this dist\/.*git push/);
  for (const before of [{ repoURL: 'https://old.example/homelab.git' }, { targetRevision: 'old' }, { path: 'old' }])
    await expect(look({ spec: { source: { ...source, ...before } } })).rejects.toThrow(/must have this dist\//);
});

test('finishes a run that was interrupted before it deleted objects of an earlier version', async () => {
  const { argoCd } = homelab.versions;
  const pin = ARGO_CD_MANIFESTS[argoCd]!;
  const pins = ARGO_CD_MANIFESTS as Record<string, string>;
  pins[argoCd] = createHash('sha256').update(MANIFEST).digest('hex');
  try {
    const context = { homelab, kubernetes, commands: { read: async () => ({ stdout: MANIFEST }) } } as any;
    const step = (await gitops(context).steps()).find(({ title }) => title === `Argo CD ${argoCd}`)!;
    const old = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'of-before', labels: INSTALLED } };
    const items = [...argoCdObjects(MANIFEST, homelab).filter((object) => !isDefinition(object)), old];
    kubernetes.read.mockResolvedValue({ stdout: JSON.stringify({ items }), stderr: '', code: 0 });
    const change = await step.plan();
    expect(change!.lines).toEqual(['ConfigMap of-before: this version has none']);
    for (const { run } of change!.actions!) await run(() => undefined);
    expect(kubernetes.change.mock.calls.map(([args]) => args.slice(0, 3))).toEqual([
      ['delete', 'configmap', 'of-before'],
    ]);
  } finally {
    pins[argoCd] = pin;
  }
});

test('Argo CD and the checks here trust the certificate authority of an own Git server', async () => {
  const url = 'https://git.home.arpa:3000/owner/homelab.git';
  const { certificate: ca } = await makeAuthority('collab', 'home.arpa');
  const lab = { ...homelab, git: { url, ca } };
  const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'argocd-tls-certs-cm' } };
  const objects = argoCdObjects(`${MANIFEST}---\n${stringify(map)}`, lab);
  const certificates = (all: any[]) => all.find(({ metadata }) => metadata.name === 'argocd-tls-certs-cm').data;
  const trusting = (git: object) => trustingGitServer({} as any, { ...lab, git: { ...lab.git, ...git } }, objects, []);
  // Argo CD looks up the name without the port.
  expect(certificates(await trusting({}))).toEqual({ 'git.home.arpa': `${ca.trim()}\n` });
  expect(certificates(await trusting({ ca: undefined }))).toBeUndefined();

  const asked: string[] = [];
  const read = async (_: unknown, _argv: string[], { env }: any) => {
    asked.push(fs.readFileSync(env.GIT_SSL_CAINFO, 'utf8'));
    return { code: 0, stdout: '', stderr: '' };
  };
  const context = { homelab: lab, commands: { read }, sops: { read: async () => undefined } };
  expect(await access(context)[1]!.plan()).toBeUndefined();
  expect(asked).toEqual([ca]);
  expect(fs.readdirSync(memoryFolder())).toEqual([]);
});

describe('a Git server over SSH', () => {
  const [one, other] = ['AAAAC3NzaC1lZDI1NTE5AAAAIOwmCbFYdostAOL5X13q1q9', 'AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY'].map(
    (start) => start.padEnd(68, 'x'),
  );
  const upstream = `# of upstream\ngithub.com ssh-ed25519 ${one}\n[ssh.github.com]:443 ssh-ed25519 ${one}\n`;
  const list = (text = upstream) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'argocd-ssh-known-hosts-cm' },
    data: { ssh_known_hosts: text },
  });
  let home: string;
  beforeEach(() => {
    home = fs.mkdtempSync('/tmp/home-');
  });
  afterEach(() => {
    fs.rmSync(home, { recursive: true });
  });

  /** The host keys that Argo CD gets from this machine. Uses the installed OpenSSH. */
  const told = async (url: string, known: string): Promise<string> => {
    fs.writeFileSync(`${home}/known_hosts`, known);
    const read = async (_: unknown, argv: string[]) => {
      try {
        return { code: 0, stdout: execFileSync(argv[0]!, argv.slice(1), { encoding: 'utf8' }), stderr: '' };
      } catch (error) {
        return { code: (error as any).status, stdout: '', stderr: '' };
      }
    };
    const lab = { ...homelab, git: { url } };
    const manifest = `${MANIFEST}---\n${stringify(list())}`;
    const files = [`${home}/known_hosts`, `${home}/known_hosts2`];
    return knownHostsOf(await trustingGitServer({ read } as any, lab, argoCdObjects(manifest, lab), files))!;
  };
  const key = (words: string) => execFileSync('ssh-keygen', words.split(' '), { encoding: 'utf8', stdio: 'pipe' });
  /** A new host key, in the format of known_hosts. */
  const hostKey = () => {
    fs.rmSync(`${home}/host`, { force: true });
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', `${home}/host`]);
    return fs.readFileSync(`${home}/host.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
  };

  test.each([
    ['ssh://git@git.home.arpa:2222/owner/homelab.git', '[git.home.arpa]:2222'],
    ['ssh://git@git.home.arpa/owner/homelab.git', 'git.home.arpa'],
    ['git@git.home.arpa:owner/homelab.git', 'git.home.arpa'],
    ['ssh://git@192.168.1.40:2222/owner/homelab.git', '[192.168.1.40]:2222'],
  ])('whose host key upstream lacks gets the key from this machine: %s', async (url, name) => {
    const known = hostKey();
    const line = `${name} ${known}\n`;
    expect(await told(url, `elsewhere ssh-ed25519 ${other}\n${line}`)).toBe(`${upstream}${line}`);
    // Debian's OpenSSH stores names as hashes, and others add a comment.
    key(`-H -f ${home}/known_hosts`);
    const hashed = fs.readFileSync(`${home}/known_hosts`, 'utf8');
    expect(hashed).not.toContain('git.home.arpa');
    expect(await told(url, hashed)).toBe(`${upstream}${line}`);
    expect(await told(url, `${line.trimEnd()} comment\n${line}`)).toBe(`${upstream}${line}`);
  });

  test('whose key has another port or is unknown here is left to the step that connects to it', async () => {
    const elsewhere = `git.home.arpa ${hostKey()}\n`;
    expect(await told('ssh://git@git.home.arpa:2222/owner/homelab.git', elsewhere)).toBe(upstream);
  });

  test('that upstream knows, or that uses HTTPS, takes no key from this machine', async () => {
    const known = hostKey();
    const all = ['github.com', '[ssh.github.com]:443', 'git.home.arpa'].map((name) => `${name} ${known}\n`).join('');
    for (const url of [
      'git@github.com:owner/homelab.git',
      'ssh://git@ssh.github.com:443/owner/homelab.git',
      'https://git.home.arpa:3000/owner/homelab.git',
    ])
      expect(await told(url, all)).toBe(upstream);
  });

  test('with a revoked key or a certificate authority on this machine: Argo CD gets the same', async () => {
    const known = hostKey();
    const [revoked, authority] = [`@revoked git.home.arpa ${known}\n`, `@cert-authority *.home.arpa ${known}\n`];
    expect(await told('git@git.home.arpa:owner/homelab.git', `${revoked}${authority}`)).toBe(
      `${upstream}@cert-authority git.home.arpa ${known}\n@revoked git.home.arpa ${known}\n`,
    );
  });

  const url = 'ssh://git@git.home.arpa:2222/owner/homelab.git';
  const accepted = (answer: object) => {
    const asked: { ssh: string; list: string }[] = [];
    const read = async (_: unknown, _argv: string[], { env }: any) => {
      const ssh = env.GIT_SSH_COMMAND as string;
      asked.push({ ssh, list: fs.readFileSync(/ UserKnownHostsFile=(\S+)/.exec(ssh)![1]!, 'utf8') });
      return { stdout: '', stderr: '', ...answer };
    };
    const kept = { url, sshPrivateKey: 'PRIVATE', publicKey: 'ssh-ed25519 AAAA argocd' };
    const context = { homelab: { ...homelab, git: { url } }, commands: { read }, sops: { read: async () => kept } };
    return { step: access(context, upstream)[1]!, asked };
  };

  test('is tested like Argo CD connects: with its list of host keys, and without settings of this machine', async () => {
    const { step, asked } = accepted({ code: 0 });
    expect(await step.plan()).toBeUndefined();
    expect(asked).toEqual([{ ssh: expect.stringMatching(/^ssh -F \/dev\/null -i /), list: upstream }]);
    expect(asked[0]!.ssh).toContain('-o StrictHostKeyChecking=yes');
    expect(asked[0]!.ssh).toContain('-o GlobalKnownHostsFile=/dev/null');
    expect(fs.readdirSync(memoryFolder())).toEqual([]);
  });

  test('with an unknown host key stops with the fix; one that rejects our key stops with the public key', async () => {
    const unknown = accepted({ code: 128, stderr: 'No ED25519 host key is known\nHost key verification failed.\n' });
    await expect(unknown.step.plan()).rejects.toThrow(
      /must know the host key of \[git\.home\.arpa\]:2222[^]*\n {2}ssh-keygen -R '\[git\.home\.arpa\]:2222'\n {2}ssh -p 2222 git@git\.home\.arpa$/,
    );
    const refused = accepted({ code: 128, stderr: 'git@git.home.arpa: Permission denied (publickey).\n' });
    await expect(refused.step.plan()).rejects.toThrow(/deploy key[^]*ssh-ed25519 AAAA argocd$/);
  });

  test('the plan shows the added key, not the beginning of the list', () => {
    const live = { data: list().data };
    const wanted = { data: { ssh_known_hosts: `${upstream}[git.home.arpa]:2222 ssh-ed25519 ${other}\n` } };
    expect(differences(wanted, live)).toEqual([
      `data.ssh_known_hosts: nothing -> "[git.home.arpa]:2222 ssh-ed25519 ${other}"`,
    ]);
  });
});
