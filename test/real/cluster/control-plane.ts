import { generateKeyPairSync } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { controlPlaneBinaries } from './binaries';
import { Client } from './client';
import { freePorts, Processes, until } from './processes';

const TOKEN = 'collab-homelab-test';

/** A real control plane on loopback: ready in seconds, gone with the test. */
export class ControlPlane {
  /**
   * @param acts who acts on what the API server holds. `nobody`: objects stay as they were applied; `controllers`: the
   * controllers and the scheduler, and the test runs pods; `kwok`: it plays the kubelets, too
   */
  static async start(version: string, acts: 'nobody' | 'controllers' | 'kwok' = 'kwok'): Promise<ControlPlane> {
    const binaries = controlPlaneBinaries(version);
    const folder = fs.mkdtempSync(join(tmpdir(), 'cluster-'));
    const processes = new Processes(folder);
    try {
      const [etcd, peer, api, controllers, scheduler, kwok] = (await freePorts(6)) as [
        number,
        number,
        number,
        number,
        number,
        number,
      ];
      const file = (name: string, text: string) => {
        fs.writeFileSync(join(folder, name), text, { mode: 0o600 });
        return join(folder, name);
      };
      const { privateKey, publicKey } = generateKeyPairSync('rsa', {
        modulusLength: 2048,
        privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
        publicKeyEncoding: { type: 'spki', format: 'pem' },
      });
      const key = file('service-account.key', privateKey);
      const pub = file('service-account.pub', publicKey);
      const tokens = file('tokens.csv', `${TOKEN},admin,admin,system:masters\n`);
      const server = `https://127.0.0.1:${api}`;
      processes.start('etcd', binaries.etcd, [
        `--data-dir=${join(folder, 'etcd')}`,
        `--listen-client-urls=http://127.0.0.1:${etcd}`,
        `--advertise-client-urls=http://127.0.0.1:${etcd}`,
        `--listen-peer-urls=http://127.0.0.1:${peer}`,
        `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
        `--initial-cluster=default=http://127.0.0.1:${peer}`,
        '--unsafe-no-fsync',
        '--log-level=error',
      ]);
      const certificates = join(folder, 'certificates');
      processes.start('kube-apiserver', binaries.apiServer, [
        `--etcd-servers=http://127.0.0.1:${etcd}`,
        '--bind-address=127.0.0.1',
        `--secure-port=${api}`,
        `--cert-dir=${certificates}`,
        `--token-auth-file=${tokens}`,
        `--service-account-key-file=${pub}`,
        `--service-account-signing-key-file=${key}`,
        '--service-account-issuer=https://kubernetes.default.svc',
        '--service-cluster-ip-range=10.96.0.0/16',
        '--authorization-mode=RBAC',
        '--allow-privileged=true',
        '--advertise-address=127.0.0.1',
        '--endpoint-reconciler-type=none',
        '--enable-priority-and-fairness=false',
      ]);
      const certificate = join(certificates, 'apiserver.crt');
      await until('the API server makes its certificate', 20, async () => fs.existsSync(certificate));
      const config = new KubeConfig();
      const authority = fs.readFileSync(certificate).toString('base64');
      config.loadFromOptions({
        clusters: [{ name: 'test', server, caData: authority }],
        users: [{ name: 'admin', token: TOKEN }],
        contexts: [{ name: 'test', cluster: 'test', user: 'admin' }],
        currentContext: 'test',
      });
      const kubeconfig = file('kubeconfig', config.exportConfig());
      const client = new Client(config);
      await until(
        'the API server is ready',
        60,
        async () => (await client.request('GET', '/readyz')).status === 200,
        () => processes.tail('kube-apiserver'),
      );
      if (acts === 'nobody')
        return new ControlPlane(version, folder, kubeconfig, `http://127.0.0.1:${etcd}`, client, processes);
      processes.start('kube-controller-manager', binaries.controllerManager, [
        `--kubeconfig=${kubeconfig}`,
        '--leader-elect=false',
        '--bind-address=127.0.0.1',
        `--secure-port=${controllers}`,
        `--cert-dir=${join(folder, 'controllers')}`,
        `--service-account-private-key-file=${key}`,
        '--use-service-account-credentials=true',
        // A homelab waits a minute for a node; a test does not.
        '--node-monitor-grace-period=600s',
      ]);
      processes.start('kube-scheduler', binaries.scheduler, [
        `--kubeconfig=${kubeconfig}`,
        '--leader-elect=false',
        '--bind-address=127.0.0.1',
        `--secure-port=${scheduler}`,
        `--cert-dir=${join(folder, 'scheduler')}`,
      ]);
      const stages = fs.readdirSync(binaries.stages).map((stage) => join(binaries.stages, stage));
      if (acts === 'kwok')
        processes.start('kwok', binaries.kwok, [
          `--kubeconfig=${kubeconfig}`,
          '--manage-all-nodes=true',
          `--server-address=127.0.0.1:${kwok}`,
          '--cidr=10.244.0.0/16',
          '--node-ip=127.0.0.1',
          ...stages.map((stage) => `--config=${stage}`),
        ]);
      await until('the default service account', 30, async () =>
        client.get({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'default' } }),
      );
      return new ControlPlane(version, folder, kubeconfig, `http://127.0.0.1:${etcd}`, client, processes);
    } catch (error) {
      await processes.stopAll();
      fs.rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(
    readonly version: string,
    readonly folder: string,
    readonly kubeconfig: string,
    /** Address of etcd. */
    readonly etcd: string,
    readonly client: Client,
    readonly processes: Processes,
  ) {}

  async stop(): Promise<void> {
    await this.processes.stopAll();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
