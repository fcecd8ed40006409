import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { homelabApp } from '../../../../charts';
import type { Homelab } from '../../../../inventory';
import { publicHalf } from '../../../../scripts/secrets/ssh-key';
import type { Client } from '../../cluster/client';
import { ControlPlane } from '../../cluster/control-plane';
import { applyAll, inWaves } from '../../cluster/deploy';
import type { Tally } from '../../tally';
import { SshStore } from '../backups/store';
import { databasePrograms } from '../binaries';
import { inFreshNode } from '../fresh-node';
import type { TestNode } from '../../node/node';
import type { Rendered } from '../../node/rendering';
import { oneDatabase } from './homelab';
import { ProcessKubelet } from './kubelet';
import type { OnCluster } from './on-cluster';
import { Owner } from './owner';

type Json = any;

export type Kind = 'mongodb' | 'cassandra';

/** A database that was applied to an API server and runs as processes, a target for its backups, and a laptop. */
export class Lab implements OnCluster {
  constructor(
    readonly tally: Tally,
    readonly kind: Kind,
    readonly owner: Owner,
    readonly store: SshStore,
    private readonly client: Client,
    private readonly node: TestNode,
    private readonly rendered: Rendered,
  ) {}

  /** Applies all that the database needs, its secrets first, and waits until it serves. */
  async apply(): Promise<void> {
    const manifests = inWaves(this.objects().map((object) => ({ file: object.metadata.name, object })));
    const namespaces = manifests.filter(({ object }) => object.kind === 'Namespace');
    await applyAll(this.client, [...namespaces, ...this.secrets(), ...manifests]);
    for (const { kind, metadata } of this.objects()) {
      const name = `${kind.toLowerCase()}/${metadata.name}`;
      if (kind === 'StatefulSet') await this.kubectl(['rollout', 'status', name, '--timeout=400s'], 410);
      if (kind === 'Job') await this.kubectl(['wait', '--for=condition=complete', name, '--timeout=200s'], 210);
    }
  }

  /** The host burned: the database is gone with all that it has in the cluster, and its disks. */
  async destroy(): Promise<void> {
    const volumes = this.objects().filter(({ kind }) => kind === 'PersistentVolume');
    await this.kubectl(['delete', 'statefulsets', '--all', '--cascade=orphan']);
    await this.kubectl(['delete', 'pods', '--all', '--force', '--grace-period=0']);
    await this.kubectl(['delete', 'namespace', this.kind], 200);
    for (const { metadata } of volumes) await this.kubectl(['delete', 'persistentvolume', metadata.name]);
    for (const { spec } of volumes) fs.rmSync(this.node.claims.disk(this.kind, spec.claimRef.name));
  }

  readonly kubectl: OnCluster['kubectl'] = (args, seconds, input) =>
    this.owner.kubectl(['-n', this.kind, ...args], seconds, input);

  password(secret: string): string {
    return this.node.cluster.secrets.get(`${this.kind}/${secret}`)!.password!;
  }

  /** What the database needs. Its client runs here without its image, and Argo CD is not asked. */
  private objects(): Json[] {
    return this.rendered.objects.filter(
      ({ kind, metadata }) =>
        metadata.namespace === this.kind ||
        ['PersistentVolume', 'PriorityClass', 'StorageClass'].includes(kind) ||
        (kind === 'Namespace' && metadata.name === this.kind),
    );
  }

  private secrets(): { file: string; object: Json }[] {
    return [...this.node.cluster.secrets]
      .map(([path, stringData]) => [path.split('/'), stringData] as const)
      .filter(([[namespace]]) => namespace === this.kind)
      .map(([[namespace, name], stringData]) => ({
        file: name!,
        object: { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData },
      }));
  }
}

/** A lab with a database of some pods, all of it made for one test. */
export async function inLab(tally: Tally, kind: Kind, count: number, test: (lab: Lab) => Promise<void>): Promise<void> {
  const folder = fs.mkdtempSync('/tmp/store-');
  const store = new SshStore(folder);
  const homelab = oneDatabase(kind, count, store.target);
  try {
    await inFreshNode(tally, homelabApp(homelab), async (node, rendered) => {
      const secret = node.cluster.secrets.get(`${kind}/${kind}-backup`)!;
      await store.start(publicHalf(secret['ssh-key']!, `${kind}-backup`)!);
      await onControlPlane(node, homelab, async (plane, kubectl) => {
        const ours = [
          "import { oneDatabase } from './test/real/databases/commands/homelab';",
          `export default oneDatabase('${kind}', ${count}, ${JSON.stringify(store.target)});`,
        ];
        const owner = new Owner(plane.kubeconfig, [kubectl, shells(node)], `${ours.join('\n')}\n`);
        try {
          await test(new Lab(tally, kind, owner, store, plane.client, node, rendered));
        } finally {
          owner.remove();
        }
      });
    });
  } finally {
    await store.remove();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** A control plane whose pods run on a node of the test. */
async function onControlPlane(
  node: TestNode,
  homelab: Homelab,
  test: (plane: ControlPlane, kubectl: string) => Promise<void>,
): Promise<void> {
  const plane = await ControlPlane.start(homelab.versions.kubernetes, 'controllers');
  try {
    const kubelet = await ProcessKubelet.start(plane.client, node, homelab);
    try {
      const real = execFileSync('sh', ['-c', 'command -v kubectl'], { encoding: 'utf8' }).trim();
      await test(plane, kubelet.kubectl(real));
    } finally {
      await kubelet.stop();
    }
  } finally {
    await plane.stop();
  }
}

/** A folder with the shells of the databases, as a laptop has them. */
function shells(node: TestNode): string {
  const { mongosh, cqlsh } = databasePrograms();
  const folder = join(node.folder, 'shells');
  fs.mkdirSync(folder);
  const script = (name: string, line: string) =>
    fs.writeFileSync(join(folder, name), `#!/bin/sh\n${line} "$@"\n`, { mode: 0o755 });
  script('mongosh', `exec '${process.execPath}' '${mongosh}/node_modules/mongosh/bin/mongosh.js'`);
  script('cqlsh', `PYTHONPATH='${cqlsh}' exec /usr/bin/python3 -m cqlshlib`);
  return folder;
}
