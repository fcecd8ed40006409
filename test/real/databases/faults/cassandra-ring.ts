import * as fs from 'node:fs';
import { join } from 'node:path';
import { images } from '../../../../constructs';
import { until } from '../../cluster/processes';
import type { Tally } from '../../tally';
import { logs } from '../clients';
import type { Test } from '../fresh-node';
import type { TestNode } from '../../node/node';
import type { Pod } from '../../node/pod';
import { pause } from '../../node/processes';
import type { Rendered } from '../../node/rendering';
import type { FaultTable, Writer } from './table';
import type { Member } from './tools';

type Json = any;

const PROGRAM = fs.readFileSync(join(__dirname, 'cassandra-writer.py'), 'utf8');

/** Writes so many MiB from the pod of a client, at LOCAL_QUORUM. */
export async function fill(client: Pod, mebibytes: number): Promise<void> {
  const command = ['env', 'PYTHONPATH=/opt/cqlsh', 'python3', '-c', PROGRAM, 'fill', String(mebibytes)];
  const { code, output } = await client.container('client').exec(command, 660);
  if (code !== 0) throw new Error(`${mebibytes} MiB were not written: ${output.slice(-500)}`);
}

/** Writes like a service, with the login of connectTo, by default at LOCAL_QUORUM. */
export class CassandraWriter implements Writer {
  readonly database = 'Cassandra';
  private readonly pod: Pod;

  constructor(node: TestNode, rendered: Rendered, service = 'chat', consistency = 'LOCAL_QUORUM') {
    const program = ['env', 'PYTHONPATH=/opt/cqlsh', `WRITER_CONSISTENCY=${consistency}`, 'python3', '-c', PROGRAM];
    this.pod = rendered.runClient(node, service, images.cassandra, '-writer', program);
  }

  get address(): string {
    return this.pod.address;
  }

  said(): string {
    return this.pod.log('client');
  }

  async read(): Promise<ReadonlySet<string>> {
    const command = ['env', 'PYTHONPATH=/opt/cqlsh', 'python3', '-c', PROGRAM, 'read'];
    const { code, output } = await this.pod.container('client').exec(command, 150);
    if (code !== 0) throw new Error(`the writer cannot read its rows: ${output.slice(-500)}`);
    return new Set(output.match(/^\d+-\d+$/gm) ?? []);
  }

  async stop(): Promise<void> {
    await this.pod.stop(0);
  }
}

/** A ring of one node per rack, with a writer that runs all the time. */
export class Ring {
  /** By rack; the nodes that growth adds come behind. */
  readonly members: Member[];
  writer!: CassandraWriter;
  /** When the next fault may come, in ms since 1970. */
  notBefore = 0;

  constructor(
    readonly node: TestNode,
    readonly rendered: Rendered,
    readonly again: Parameters<Test>[2],
    readonly tally: Tally,
    readonly table: FaultTable,
  ) {
    const sets: Json[] = rendered.of('StatefulSet', 'cassandra');
    this.members = sets.flatMap((set) =>
      rendered.runSet(node, set).map((pod, ordinal) => ({ node, rendered, set, ordinal, pod })),
    );
  }

  get pods(): readonly Pod[] {
    return this.members.map(({ pod }) => pod);
  }

  /** Waits until each node serves clients and sees all others up and normal. */
  async whole(minutes = 6): Promise<void> {
    const all = async () => this.pods.every(({ ready }) => ready) && (await this.agrees());
    await until('the ring is whole', minutes * 60, all, () => logs(this.pods));
  }

  async due(): Promise<void> {
    await pause(Math.max(0, this.notBefore - Date.now()) / 1000);
  }

  async fault(name: string, inject: () => Promise<void>): Promise<void> {
    await this.due();
    await this.table.under(this.writer, name, async () => {
      await inject();
      await this.whole();
    });
  }

  /** Whether every node reports every node as up. The view of one node is not enough before the next fault. */
  private async agrees(): Promise<boolean> {
    for (const pod of this.pods) {
      const { output } = await pod.container('cassandra').exec(['nodetool', 'status']);
      const lines = output.match(/^[UD][NLJM] /gm) ?? [];
      if (lines.length !== this.pods.length || lines.some((line) => line !== 'UN ')) return false;
    }
    return true;
  }
}
