import * as fs from 'node:fs';
import { join } from 'node:path';
import { backupOf, databasePods, type Homelab, type MongoDb } from '../../../../inventory';
import { until } from '../../cluster/processes';
import type { Tally } from '../../tally';
import type { FaultTable, Writer } from '../faults/table';
import { pause } from '../../node/processes';
import { backedUp } from './given-back';
import type { Owner } from './owner';

type Json = any;

const PROGRAM = fs.readFileSync(join(__dirname, 'cluster-writer.js'), 'utf8');
/** A member that is deleted may have to be started on another node, with its image. */
const BACK_SECONDS = 900;

/** A database of a cluster, and the laptop that asks for it. */
export interface OnCluster {
  readonly kind: string;
  readonly owner: Owner;
  readonly tally: Tally;
  readonly kubectl: (args: readonly string[], seconds?: number, input?: string) => Promise<string>;
}

/** The databases of a homelab in an owner's cluster. Nothing is destroyed, and what is written is removed at the end. */
export async function onCluster(homelab: Homelab, owner: Owner, tally: Tally, table: FaultTable): Promise<void> {
  for (const [name, database] of Object.entries(homelab.databases)) {
    if (database.state === 'retired') continue;
    const each = { kind: name, owner, tally, kubectl: kubectlOf(owner, name) };
    const { output } = await owner.homelab('status');
    console.log(output);
    tally.check(`${name}: all pods are ready, and all members serve`, isWhole(output, name), output);
    if (database.kind === 'mongodb') await survives(each, database, table);
    if (backupOf(homelab, database) === undefined) continue;
    await backedUp(each, databasePods(name, database).at(-1)!);
    const drill = await owner.homelab('restore-drill', [name]);
    tally.check(`${name}: restore-drill finds the backup whole`, drill.code === 0, drill.output);
  }
}

const kubectlOf =
  (owner: Owner, namespace: string): OnCluster['kubectl'] =>
  (args, seconds, input) =>
    owner.kubectl(['-n', namespace, ...args], seconds, input);

/** Every pod is deleted, one after the other from the last, as when all are rolled; a writer in the cluster counts. */
async function survives(cluster: OnCluster, database: MongoDb, table: FaultTable): Promise<void> {
  const { kind: name, owner, kubectl } = cluster;
  const writer = await ClusterWriter.start(cluster);
  try {
    for (const pod of databasePods(name, database).reverse())
      await table.under(writer, `pods are deleted one after the other (${name})`, async () => {
        const uid = async () => (JSON.parse(await kubectl(['get', 'pod', pod, '-o', 'json'])) as Json).metadata.uid;
        const before = await uid();
        await kubectl(['delete', 'pod', pod], BACK_SECONDS);
        let said = '';
        await until(
          `${pod} is back, and the set is whole`,
          BACK_SECONDS,
          async () => (await uid()) !== before && isWhole((said = (await owner.homelab('status')).output), name),
          () => said,
        );
      });
  } finally {
    await writer.stop();
  }
}

/** By what `status` prints of a database: all of its pods are ready, and all of its members serve. */
function isWhole(output: string, name: string): boolean {
  const [, ready, pods, members, wanted] =
    new RegExp(`^${name}: (\\d+) of (\\d+) pods are ready, (\\d+) of (\\d+) `, 'm').exec(output) ?? [];
  return (
    ready !== undefined &&
    ready === pods &&
    members === wanted &&
    !/ is (STARTUP|RECOVERING|ROLLBACK|DOWN)/.test(output)
  );
}

/** A pod like that of the users job, which may log in as root, reach the set, and take its room. */
class ClusterWriter implements Writer {
  readonly database = 'MongoDB';
  private text = '';
  private on = true;
  private readonly following: Promise<void>;

  private constructor(
    private readonly cluster: OnCluster,
    private readonly pod: string,
  ) {
    this.following = this.follow();
  }

  static async start(cluster: OnCluster): Promise<ClusterWriter> {
    const { kind, kubectl } = cluster;
    const selector = `app.kubernetes.io/instance=${kind}-users`;
    const [job] = JSON.parse(await kubectl(['get', 'jobs', '-l', selector, '-o', 'json'])).items as Json[];
    const { metadata, spec } = job.spec.template;
    const own = (label: string) => !/job-name|controller-uid/.test(label);
    const labels = Object.fromEntries(Object.entries(metadata.labels).filter(([label]) => own(label)));
    const [container] = spec.containers;
    const command = ['mongosh', '--nodb', '--norc', '--quiet', '--eval', PROGRAM];
    const name = `${kind}-writer-${Date.now().toString(36)}`;
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: kind, labels },
      spec: { ...spec, restartPolicy: 'Never', containers: [{ ...container, command }] },
    };
    await kubectl(['create', '-f', '-'], 60, JSON.stringify(pod));
    await kubectl(['wait', '--for=condition=Ready', `pod/${name}`, '--timeout=300s'], 310);
    return new ClusterWriter(cluster, name);
  }

  said(): string {
    return this.text;
  }

  async read(): Promise<ReadonlySet<string>> {
    const reads = () => this.text.match(/^read$/gm)?.length ?? 0;
    const before = reads();
    await this.touch('/tmp/read');
    await until('the writer has read', 120, async () => reads() > before);
    return new Set([...this.text.matchAll(/^there (\S+)$/gm)].map(([, id]) => id!));
  }

  async stop(): Promise<void> {
    this.on = false;
    await this.following;
    await this.touch('/tmp/end');
    const { kubectl } = this.cluster;
    await kubectl(['wait', '--for=jsonpath={.status.phase}=Succeeded', `pod/${this.pod}`, '--timeout=60s'], 70);
    await kubectl(['delete', 'pod', this.pod]);
  }

  private touch(file: string): Promise<string> {
    return this.cluster.kubectl(['exec', this.pod, '--', 'touch', file]);
  }

  private async follow(): Promise<void> {
    for (; this.on; await pause(1)) this.text = await this.cluster.kubectl(['logs', this.pod]).catch(() => this.text);
  }
}
