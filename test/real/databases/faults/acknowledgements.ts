/** What a writer printed, one line an event: `ack MS ID` for a write that the database acknowledged, `error MS KIND` for one that it did not. */
export class Acknowledgements {
  private constructor(
    private readonly times: readonly number[],
    readonly ids: ReadonlySet<string>,
    private readonly failures: readonly (readonly [time: number, kind: string])[],
  ) {}

  static of(text: string): Acknowledgements {
    const times: number[] = [];
    const ids = new Set<string>();
    const failures: [number, string][] = [];
    for (const [, what, time, word] of text.matchAll(/^(ack|error) (\d+) (\S+)$/gm)) {
      if (what === 'ack') {
        times.push(Number(time));
        ids.add(word!);
      } else failures.push([Number(time), word!]);
    }
    return new Acknowledgements(
      times.sort((a, b) => a - b),
      ids,
      failures,
    );
  }

  /** Writes that were acknowledged between two times, in ms since 1970. */
  count(from: number, to: number): number {
    return this.times.filter((time) => time >= from && time <= to).length;
  }

  /** The longest time without an acknowledgement, in ms, that touches the time between two moments. */
  longestGap(from: number, to: number): number {
    const before = this.times.filter((time) => time < from).at(-1) ?? from;
    const after = this.times.find((time) => time > to) ?? to;
    const between = this.times.filter((time) => time >= from && time <= to);
    const moments = [before, ...between, after];
    return Math.max(...moments.slice(1).map((time, index) => time - moments[index]!));
  }

  /** How often each kind of error was seen between two moments. */
  errors(from: number, to: number): ReadonlyMap<string, number> {
    const kinds = new Map<string, number>();
    for (const [time, kind] of this.failures)
      if (time >= from && time <= to) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    return kinds;
  }
}
