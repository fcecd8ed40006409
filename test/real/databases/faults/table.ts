import { until } from '../../cluster/processes';
import type { Tally } from '../../tally';
import { Acknowledgements } from './acknowledgements';

/** A process in a client's pod that writes all the time and prints acknowledged writes (see Acknowledgements). */
export interface Writer {
  readonly database: 'Cassandra' | 'MongoDB';
  /** Its output. */
  said(): string;
  /** The ids that the database has. */
  read(): Promise<ReadonlySet<string>>;
  stop(): Promise<void>;
}

interface Row {
  readonly database: string;
  readonly fault: string;
  times: number;
  /** The fewest acknowledged writes in the 5 s before it. */
  before: number;
  lost: number;
  /** The longest time without an acknowledgement, in ms. */
  gap: number;
  readonly saw: Map<string, number>;
}

/** Least acknowledged writes in the 5 s before a fault. With fewer, the test would prove nothing about losses. */
const ENOUGH = 100;
const HEAD = ['database', 'fault', 'times', 'acknowledged in 5 s before', 'lost', 's without', 'a client saw'];

/** Table of the effect of each fault on acknowledged writes. */
export class FaultTable {
  private readonly rows: Row[] = [];

  constructor(private readonly tally: Tally) {}

  /**
   * Injects a fault during writes, and counts how many acknowledged writes are lost.
   * @param inject injects the fault, and returns when the database is complete again
   */
  async under(writer: Writer, fault: string, inject: () => Promise<void>): Promise<void> {
    const gone = await this.counted(writer, fault, inject);
    this.tally.check(`${fault}: no acknowledged write is lost`, gone.length === 0, sample(gone));
  }

  /** With settings that are too weak for the fault: the same count must find losses. */
  async control(writer: Writer, fault: string, inject: () => Promise<void>): Promise<void> {
    const gone = await this.counted(writer, fault, inject);
    this.tally.check(`control: ${fault}: acknowledged writes are lost`, gone.length > 0);
  }

  /** As a Markdown table. */
  lines(): string[] {
    const cells = [
      HEAD,
      ...this.rows.map(({ database, fault, times, before, lost, gap, saw }) => [
        ...[database, fault, String(times), String(before), String(lost), (gap / 1000).toFixed(1)],
        counted(saw),
      ]),
    ];
    const widths = HEAD.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
    const line = (row: readonly string[]) => `| ${row.map((cell, at) => cell.padEnd(widths[at]!)).join(' | ')} |`;
    const [head, ...rows] = cells.map(line);
    return [head!, line(widths.map((width) => '-'.repeat(width))), ...rows];
  }

  private async counted(writer: Writer, fault: string, inject: () => Promise<void>): Promise<string[]> {
    const row = this.row(writer.database, fault);
    const before = await busy(writer);
    const begin = Date.now();
    await inject();
    const back = Date.now();
    await until(
      `writes are acknowledged again after: ${fault}`,
      120,
      async () => Acknowledgements.of(writer.said()).count(back, Date.now()) > 0,
      () => writer.said().slice(-1000),
    );
    const acknowledged = Acknowledgements.of(writer.said());
    const there = await writer.read();
    const gone = [...acknowledged.ids].filter((id) => !there.has(id));
    row.times++;
    row.before = Math.min(row.before, before);
    row.lost += gone.length;
    row.gap = Math.max(row.gap, acknowledged.longestGap(begin, back));
    const errors = acknowledged.errors(begin, back);
    for (const [kind, count] of errors) row.saw.set(kind, (row.saw.get(kind) ?? 0) + count);
    this.tally.check(`${fault}: at least ${ENOUGH} writes were acknowledged in the 5 s before`, before >= ENOUGH);
    const [seconds, without] = [Date.now() - begin, acknowledged.longestGap(begin, back)].map((ms) => ms / 1000);
    console.log(
      `  ${fault}: ${before} acknowledged in the 5 s before, ${gone.length} lost of ${acknowledged.ids.size}, ${without} s without, a client saw ${counted(errors)} (${seconds} s)`,
    );
    return gone;
  }

  private row(database: string, fault: string): Row {
    const known = this.rows.find((row) => row.database === database && row.fault === fault);
    if (known) return known;
    const row = { database, fault, times: 0, before: Infinity, lost: 0, gap: 0, saw: new Map() };
    this.rows.push(row);
    return row;
  }
}

/** Waits until a writer is at its pace. @returns its acknowledged writes in the last 5 s; fewer than enough where it stays slow */
async function busy(writer: Writer): Promise<number> {
  const recent = () => Acknowledgements.of(writer.said()).count(Date.now() - 5000, Date.now());
  await until('the writer is at its pace', 60, async () => recent() >= ENOUGH).catch(() => undefined);
  return recent();
}

function counted(kinds: ReadonlyMap<string, number>): string {
  return [...kinds].map(([kind, count]) => `${kind} ${count}`).join(', ') || 'nothing';
}

function sample(ids: readonly string[]): string {
  return `${ids.length} lost: ${ids.slice(0, 5).join(', ')}`;
}
