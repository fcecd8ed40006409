import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { PARAMETERS } from '../../../scripts/stages/gitops/manifest';
import type { Client, Json } from '../cluster/client';
import type { ControlPlane } from '../cluster/control-plane';
import { freePorts, until, type Processes } from '../cluster/processes';
import { argoCd } from './binaries';

const NAMESPACE = 'argocd';

/** A real repo server and application controller beside a control plane. Its namespace and argocd-cm are there before. */
export class ArgoCd {
  static async start(plane: ControlPlane): Promise<ArgoCd> {
    const { program, definitions } = argoCd();
    const { client, processes, folder } = plane;
    for (const file of ['applicationset-crd.yaml'])
      await client.apply(parse(fs.readFileSync(join(definitions, file), 'utf8')));
    // What the upstream manifest brings besides argocd-cm, empty.
    for (const name of ['rbac-cm', 'cmd-params-cm', 'tls-certs-cm', 'ssh-known-hosts-cm', 'gpg-keys-cm'])
      await client.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: metadata(`argocd-${name}`) }, 'bootstrap');
    await client.apply(
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: metadata('argocd-secret'),
        stringData: { 'server.secretkey': 'test' },
      },
      'bootstrap',
    );
    const [redis, repo, repoMetrics, controllerMetrics] = (await freePorts(4)) as [number, number, number, number];
    const named = (name: string) => {
      const link = join(folder, name);
      fs.symlinkSync(program, link);
      return link;
    };
    for (const name of ['tls', 'ssh', 'gpg', 'tmp']) fs.mkdirSync(join(folder, name));
    fs.writeFileSync(join(folder, 'ssh', 'ssh_known_hosts'), '');
    // Where it looks for the cluster that it believes to be in.
    fs.mkdirSync(join(folder, '.kube'));
    fs.copyFileSync(plane.kubeconfig, join(folder, '.kube', 'config'));
    const env = {
      ARGOCD_GPG_ENABLED: 'false',
      // As the install manifest takes it from argocd-cmd-params-cm.
      ARGOCD_APPLICATION_CONTROLLER_PERSIST_RESOURCE_HEALTH: PARAMETERS['controller.resource.health.persist'],
      ARGOCD_FAKE_IN_CLUSTER: 'true',
      ARGOCD_TLS_DATA_PATH: join(folder, 'tls'),
      ARGOCD_SSH_DATA_PATH: join(folder, 'ssh'),
      ARGOCD_GNUPGHOME: join(folder, 'gpg'),
      GNUPGHOME: join(folder, 'gpg'),
      TMPDIR: join(folder, 'tmp'),
      HOME: folder,
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
    };
    processes.start('redis', 'redis-server', [
      '--port',
      String(redis),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
    ]);
    processes.start(
      'argocd-repo-server',
      named('argocd-repo-server'),
      [
        '--redis',
        `127.0.0.1:${redis}`,
        '--address',
        '127.0.0.1',
        '--port',
        String(repo),
        '--metrics-address',
        '127.0.0.1',
        '--metrics-port',
        String(repoMetrics),
        '--disable-tls',
        '--loglevel',
        'warn',
      ],
      env,
    );
    processes.start(
      'argocd-application-controller',
      named('argocd-application-controller'),
      [
        '--kubeconfig',
        plane.kubeconfig,
        '-n',
        NAMESPACE,
        '--redis',
        `127.0.0.1:${redis}`,
        '--repo-server',
        `127.0.0.1:${repo}`,
        '--repo-server-plaintext',
        '--metrics-port',
        String(controllerMetrics),
        '--self-heal-timeout-seconds',
        '2',
        '--loglevel',
        'warn',
      ],
      env,
    );
    await until(
      'the application controller answers',
      60,
      async () => (await fetch(`http://127.0.0.1:${controllerMetrics}/healthz`)).ok,
      () => processes.tail('argocd-application-controller'),
    );
    return new ArgoCd(client, processes);
  }

  private constructor(
    private readonly client: Client,
    private readonly processes: Processes,
  ) {}

  applications(): Promise<Json[]> {
    return this.client.list('argoproj.io/v1alpha1', 'Application', NAMESPACE);
  }

  /** Asks for a comparison now, as its interface's button does. */
  async refresh(kind: 'normal' | 'hard' = 'normal'): Promise<void> {
    const annotations = { 'argocd.argoproj.io/refresh': kind };
    for (const {
      metadata: { name },
    } of await this.applications())
      await this.client.ask(
        'PATCH',
        `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/applications/${name}`,
        { metadata: { annotations } },
        'application/merge-patch+json',
      );
  }

  /** Waits until as many applications as wanted are Synced to a revision and Healthy. @throws saying which are not, and why */
  async settled(revision: string, count: number, seconds: number): Promise<Json[]> {
    let refreshed = 0;
    return until(
      `${count} applications are Synced to ${revision.slice(0, 8)} and Healthy`,
      seconds,
      async () => {
        if (Date.now() - refreshed > 4_000) {
          await this.refresh();
          refreshed = Date.now();
        }
        const all = await this.applications();
        const done = all.filter(
          ({ status }) =>
            status?.sync?.status === 'Synced' &&
            status.sync.revision === revision &&
            status.health?.status === 'Healthy' &&
            status.operationState?.phase !== 'Running',
        );
        return all.length === count && done.length === count ? all : undefined;
      },
      () => this.explain(),
    );
  }

  /** What each application is, and what is wrong with it. */
  async explain(): Promise<string> {
    return [...(await this.applications()).map(explain), this.processes.tail('argocd-application-controller', 2)].join(
      '\n',
    );
  }
}

function explain({ metadata: { name }, status = {} }: Json): string {
  const outOfSync = (status.resources ?? []).filter(
    (resource: Json) => resource.status !== 'Synced' || (resource.health && resource.health.status !== 'Healthy'),
  );
  return [
    `${name}: ${status.sync?.status} ${status.sync?.revision?.slice(0, 8)} ${status.health?.status} ${status.operationState?.phase ?? ''} ${status.operationState?.message ?? ''}`,
    ...outOfSync.map(
      (resource: Json) =>
        `  ${resource.kind} ${resource.namespace ?? ''}/${resource.name}: ${resource.status} ${resource.health?.status ?? ''} ${resource.health?.message ?? ''}`,
    ),
    ...(status.conditions ?? []).map(({ type, message }: Json) => `  ${type}: ${message}`),
  ].join('\n');
}

function metadata(name: string): Json {
  return {
    name,
    namespace: NAMESPACE,
    labels: { 'app.kubernetes.io/name': name, 'app.kubernetes.io/part-of': 'argocd' },
  };
}

/** A Git repository on this machine that holds dist/. */
export class Repository {
  readonly url: string;

  constructor(readonly folder: string) {
    fs.mkdirSync(folder, { recursive: true });
    this.url = `file://${folder}`;
    this.git('init', '-q', '-b', 'main');
  }

  /** Commits what the folder holds. @returns the revision */
  commit(message: string): string {
    this.git('add', '-A');
    this.git('-c', 'user.name=test', '-c', 'user.email=test@localhost', 'commit', '-q', '--allow-empty', '-m', message);
    return this.git('rev-parse', 'HEAD').trim();
  }

  private git(...args: string[]): string {
    return execFileSync('git', args, { cwd: this.folder, encoding: 'utf8' });
  }
}
