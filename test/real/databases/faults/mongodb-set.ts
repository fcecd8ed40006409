import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { images } from '../../../../constructs';
import { until } from '../../cluster/processes';
import type { Tally } from '../../tally';
import { databasePrograms } from '../binaries';
import { logs } from '../clients';
import type { Test } from '../fresh-node';
import type { TestNode } from '../../node/node';
import type { Pod } from '../../node/pod';
import type { Rendered } from '../../node/rendering';
import { sized } from '../shrinking';
import type { FaultTable, Writer } from './table';
import type { Member } from './tools';

type Json = any;

const PROGRAM = fs.readFileSync(join(__dirname, 'mongodb-writer.js'), 'utf8');

/** Writes like a service, with the URI of connectTo, by default with a majority. */
export class MongoWriter implements Writer {
  readonly database = 'MongoDB';
  readonly pod: Pod;

  constructor(node: TestNode, rendered: Rendered, service = 'identity', concern = 'majority') {
    const program = ['env', `WRITER_CONCERN=${concern}`, 'node', '-e', PROGRAM, '--', 'write'];
    this.pod = rendered.runClient(node, service, images.mongodb, '-writer', program);
  }

  said(): string {
    return this.pod.log('client');
  }

  async read(): Promise<ReadonlySet<string>> {
    const { code, output } = await this.pod.container('client').exec(['node', '-e', PROGRAM, '--', 'read'], 150);
    if (code !== 0) throw new Error(`the writer cannot read its documents: ${output.slice(-500)}`);
    return new Set(output.match(/^\d+-\d+$/gm) ?? []);
  }

  async stop(): Promise<void> {
    await this.pod.stop(0);
  }
}

/** A set, with a writer that runs all the time. */
export class MongoSet {
  readonly members: Member[];
  writer!: MongoWriter;
  /** Number of declared members. The other pods are about to be removed. */
  private committed: number;

  constructor(
    readonly node: TestNode,
    public rendered: Rendered,
    readonly again: Parameters<Test>[2],
    readonly tally: Tally,
    readonly table: FaultTable,
  ) {
    this.members = rendered
      .runSet(node, this.manifest)
      .map((pod, ordinal) => ({ node, rendered, set: this.manifest, ordinal, pod }));
    this.committed = this.members.length;
  }

  get manifest(): Json {
    return this.rendered.of('StatefulSet', 'mongodb')[0];
  }

  get pods(): Pod[] {
    return this.members.map(({ pod }) => pod);
  }

  /** Waits until every pod is ready, all members serve, and member 0 is primary. */
  async whole(minutes = 5): Promise<void> {
    await until(
      'the set is whole',
      minutes * 60,
      () => this.isWhole(),
      () => logs(this.pods),
    );
  }

  private async isWhole(): Promise<boolean> {
    const pods = this.pods.slice(0, this.committed);
    if (!pods.every(({ ready }) => ready)) return false;
    const [first, ...others] = await Promise.all(pods.map(hello));
    return (
      first?.isWritablePrimary === true &&
      first.hosts.length === this.committed &&
      others.every((answer) => answer?.secondary === true)
    );
  }

  /** The primary. */
  async primary(): Promise<Member> {
    return until('a primary', 120, async () => {
      const answers = await Promise.all(this.pods.map(hello));
      return this.members[answers.findIndex((answer) => answer?.isWritablePrimary === true)];
    });
  }

  /** All members but this one. */
  others(member: Member): Member[] {
    return this.members.filter((each) => each !== member);
  }

  /** Another commit: what its StatefulSet and its ConfigMap do to the pods. */
  async become(members: number, pods: number): Promise<void> {
    this.rendered = await this.again(sized(members, pods));
    const { node, rendered, manifest: set } = this;
    // As a StatefulSet does: the last first. The ConfigMap comes to those that stay within a minute.
    for (const { pod } of this.members.splice(pods).reverse()) await pod.stop();
    for (const pod of this.pods) pod.refresh();
    for (const ordinal of [...Array(pods).keys()].slice(this.members.length))
      this.members.push({ node, rendered, set, ordinal, pod: rendered.runMember(node, set, ordinal) });
    this.committed = members;
  }

  async fault(name: string, inject: () => Promise<void>): Promise<void> {
    await this.table.under(this.writer, name, async () => {
      await inject();
      await this.whole();
    });
  }
}

/** Answer of a member to `hello` without a login. Undefined without an answer. */
export async function hello(pod: Pod): Promise<Json> {
  const { MongoClient } = createRequire(join(databasePrograms().mongosh, 'package.json'))('mongodb');
  const limits = 'serverSelectionTimeoutMS=2000&connectTimeoutMS=2000&socketTimeoutMS=3000';
  const client = new MongoClient(`mongodb://${pod.address}:27017/?directConnection=true&${limits}`);
  try {
    return await client.db('admin').command({ hello: 1 });
  } catch {
    return undefined;
  } finally {
    await client.close();
  }
}
