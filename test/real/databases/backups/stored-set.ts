import * as fs from 'node:fs';
import { join } from 'node:path';
import { Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import { images } from '../../../../constructs';
import { publicHalf } from '../../../../scripts/secrets/ssh-key';
import { until } from '../../cluster/processes';
import type { Tally } from '../../tally';
import { asRoot, logs } from '../clients';
import { inFreshNode, small } from '../fresh-node';
import type { TestNode } from '../../node/node';
import type { Pod } from '../../node/pod';
import type { Rendered } from '../../node/rendering';
import { SshStore } from './store';

type Json = any;

const CONTENTS = fs.readFileSync(join(__dirname, 'mongo-contents.js'), 'utf8');

/** A set with backups over SSH. */
export class StoredSet {
  pods: Pod[] = [];
  private jobs = 0;

  constructor(
    readonly node: TestNode,
    private readonly rendered: Rendered,
    private readonly ssh: SshStore | undefined,
    readonly tally: Tally,
  ) {}

  get store(): SshStore {
    if (this.ssh === undefined) throw new Error('this set is stored in a claim');
    return this.ssh;
  }

  async start(): Promise<void> {
    const [set] = this.rendered.of('StatefulSet', 'mongodb');
    this.pods = this.rendered.runSet(this.node, set);
    await until(
      'the set is up',
      240,
      async () => this.pods.every(({ ready }) => ready),
      () => logs(this.pods),
    );
    const { pod, code } = await this.rendered.runJob(this.node, 'mongodb', String(this.jobs++));
    this.tally.check('the users job succeeds', code === 0, pod.log('job'));
  }

  /** Simulates the loss of the host with all its disks. */
  async destroy(): Promise<void> {
    await Promise.all(this.pods.map((pod) => pod.stop(0)));
    for (const { name } of this.pods) fs.rmSync(this.node.claims.disk('mongodb', `data-${name}`));
  }

  async type(script: string): Promise<string> {
    const { code, output } = await asRoot(this.node, this.pods, script);
    if (code !== 0) throw new Error(output);
    return output;
  }

  async contents(): Promise<string> {
    return (await this.type(CONTENTS)).split('\n').find((line) => line.startsWith('CONTENTS '))!;
  }

  /** The status of the pod that makes backups, which is the last one. */
  async status(): Promise<Json> {
    const { output } = await this.pods.at(-1)!.container('backup').exec(['cat', '/handover/status.json']);
    try {
      return JSON.parse(output);
    } catch {
      return undefined;
    }
  }

  /** Waits for the first scheduled backup. Later writes are in the next one. */
  async firstBackup(): Promise<void> {
    await until(
      'the first backup',
      150,
      async () => (await this.status())?.newest != null,
      () => logs(this.pods),
    );
  }

  /** Requests a backup like `npm run homelab -- backup`: in each pod, of which one answers. */
  async backUp(seconds = 90): Promise<Json> {
    // A backup that runs already, such as the first one, holds less than what is there now, and began in an earlier second.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const asked = `${new Date().toISOString().slice(0, 19)}Z`;
    for (const pod of this.pods) await pod.container('backup').exec(['touch', '/tmp/now']);
    let after: Json;
    await until(
      'a backup was tried',
      seconds,
      async () => ((after = await this.status()), after?.tried >= asked),
      () => logs(this.pods),
    );
    return after;
  }

  /**
   * The Job that `npm run homelab -- restore` makes.
   * @param killedAt log text at which it is killed
   */
  async restore(
    asked: Readonly<Record<string, string>> = {},
    killedAt?: RegExp,
  ): Promise<{ code: number; log: string }> {
    const [cronJob] = this.rendered.of('CronJob', 'mongodb');
    const spec = structuredClone(cronJob.spec.jobTemplate.spec.template.spec);
    for (const container of [...spec.initContainers, ...spec.containers])
      for (const variable of container.env) if (variable.name in asked) variable.value = asked[variable.name];
    const pod = this.node.run({ metadata: { name: `restore-${this.jobs++}`, namespace: 'mongodb' }, spec });
    if (killedAt) {
      await until(
        'the restore is under way',
        120,
        async () => killedAt.test(pod.log('restore')),
        () => logs([pod]),
      );
      pod.container('restore').signal('SIGKILL');
    }
    const code = await pod.ended;
    const log = `${pod.log('fetch')}${pod.log('restore')}`;
    for (const each of pod.containers)
      console.log(
        `  ${pod.name} ${each.name}: at most ${Math.round(each.peak / 2 ** 20)} of ${each.limit / 2 ** 20} MiB`,
      );
    await pod.stop(0);
    return { code, log };
  }
}

/** A set of some members with a store by SSH, both started. */
export async function withStore(tally: Tally, members: number, test: (set: StoredSet) => Promise<void>): Promise<void> {
  const folder = fs.mkdtempSync('/tmp/store-');
  const store = new SshStore(folder);
  try {
    await inFreshNode(tally, stored(members, { target: store.target }), async (node, rendered) => {
      const secret = node.cluster.secrets.get('mongodb/mongodb-backup')!;
      await store.start(publicHalf(secret['ssh-key']!, 'mongodb-backup')!);
      await test(new StoredSet(node, rendered, store, tally));
    });
  } finally {
    await store.remove();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** A homelab whose set has so many members and this backup. */
export function stored(members: number, backup: object) {
  return (homelab: Json): void => {
    small(homelab);
    homelab.databases.mongodb.members = members;
    const { dataDisks } = homelab.machines['talos-worker-02'];
    const kept = Object.entries(dataDisks).filter(([disk]) => Number(disk.split('-').pop()) < members);
    homelab.machines['talos-worker-02'].dataDisks = Object.fromEntries(kept);
    homelab.databases.mongodb.backup = backup;
    // Its container does nothing; who scrapes it may read the metrics of `reconcile` too.
    homelab.databases.mongodb.exporter = {
      image: images.mongodb,
      port: 9216,
      args: ['sleep', 'infinity'],
      memory: Size.mebibytes(64),
      cpu: Cpu.millis(20),
      scrapedBy: { namespace: 'monitoring', labels: { app: 'prometheus' } },
    };
  };
}
