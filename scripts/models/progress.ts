import * as fs from 'node:fs';

/** One line of progress.jsonl. */
export interface ProgressLine {
  readonly iteration: number;
  /** Mean loss of the batches since the last validation. */
  readonly train?: number;
  readonly valid?: number;
  readonly tokensPerSecond?: number;
  /** Seconds of training so far, over all runs. */
  readonly seconds: number;
  /** Peak memory of MLX in bytes. */
  readonly peakMemory: number;
}

/** Lines that train.py has written so far. Leaves out an incomplete last line. */
export function readProgress(file: string): readonly ProgressLine[] {
  return fs.existsSync(file) ? parseProgress(fs.readFileSync(file, 'utf8')) : [];
}

export function parseProgress(text: string): readonly ProgressLine[] {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .flatMap((line) => {
      try {
        const value = JSON.parse(line) as Partial<ProgressLine> | null;
        return Number.isInteger(value?.iteration) && Number.isFinite(value?.seconds) ? [value as ProgressLine] : [];
      } catch {
        return [];
      }
    });
}

/** Number of latest iterations that the estimate of the remaining time uses. */
const RECENT = 50;

/** Estimates the seconds until the last iteration from the latest ones. Undefined until a speed is known. */
export function secondsLeft(lines: readonly ProgressLine[], iterations: number): number | undefined {
  const last = lines.at(-1);
  if (last === undefined) return undefined;
  const first = lines.find(({ iteration }) => iteration >= last.iteration - RECENT)!;
  const done = last.iteration - first.iteration;
  return done > 0 ? ((last.seconds - first.seconds) / done) * (iterations - last.iteration) : undefined;
}

const BAR = 24;

/** One line with the iteration, loss, speed, memory and time left. */
export function progressText(lines: readonly ProgressLine[], iterations: number): string {
  const last = lines.at(-1);
  if (last === undefined) return 'loads the base';
  const { iteration, tokensPerSecond, peakMemory } = last;
  const full = Math.round((iteration / iterations) * BAR);
  const valid = lines.flatMap((each) => each.valid ?? []).at(-1);
  const train = lines.flatMap((each) => each.train ?? []).at(-1);
  const left = secondsLeft(lines, iterations);
  return [
    `${'█'.repeat(full)}${'░'.repeat(BAR - full)} ${iteration}/${iterations}`,
    ...(train === undefined ? [] : [`loss ${train.toFixed(3)}`]),
    ...(valid === undefined ? [] : [`valid ${valid.toFixed(3)}`]),
    ...(tokensPerSecond === undefined ? [] : [`${Math.round(tokensPerSecond)} tokens/s`]),
    gibibytes(peakMemory),
    ...(left === undefined ? [] : [`${duration(left)} left (at most)`]),
  ].join('  ');
}

export function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Least time between two lines, when the output is not a terminal. */
const PLAIN_SECONDS = 30;

/** Shows a line that changes. A terminal overwrites it; any other output gets a new line from time to time. */
export class ProgressView {
  private shown = '';
  private at = 0;

  constructor(private readonly out: NodeJS.WriteStream = process.stderr) {}

  show(text: string): void {
    if (text === this.shown) return;
    if (this.out.isTTY) this.out.write(`\r\u001b[2K${text.slice(0, Math.max(20, (this.out.columns ?? 120) - 1))}`);
    else if (Date.now() - this.at < PLAIN_SECONDS * 1000) return;
    else this.out.write(`${text}\n`);
    this.shown = text;
    this.at = Date.now();
  }

  end(): void {
    if (this.out.isTTY && this.shown !== '') this.out.write('\n');
  }
}
