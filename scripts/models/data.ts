import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Training } from '../../inventory';
import { Blocked } from '../engine/problem';
import { ROOT } from '../engine/root';
import { DATA_FILES, dataDigest } from './digests';
import { isFault, parseExample, type Example, type Fault } from './example';

/** A fault in the training data, with its place. */
export interface DataFault extends Fault {
  /** File and line, for example models/writer/data/train.jsonl:3. */
  readonly at: string;
}

export interface Data {
  /** Number of examples in each file. */
  readonly train: number;
  readonly valid: number;
  readonly digest: string;
}

/** Most problems to print. A file with a mistake on each line would fill the screen. */
const SHOWN = 20;

/** Checks training data without Python. @throws Blocked with the place and fix of each problem */
export async function checkedData(training: Training): Promise<Data> {
  const { faults, data } = await judgeData(join(ROOT, training.data), training);
  if (faults.length > 0) throw new Blocked(faultsText(faults));
  return data!;
}

export function faultsText(faults: readonly DataFault[]): string {
  const lines = faults.slice(0, SHOWN).flatMap(({ at, problem, fix }) => [`${at}: ${problem}`, `  ${fix}`]);
  const others = faults.length - SHOWN;
  return [
    `${faults.length === 1 ? 'one problem' : `${faults.length} problems`} in the training data:`,
    ...lines,
    ...(others > 0 ? [`and ${others} more`] : []),
  ].join('\n');
}

/** Checks every line. @param folder path of the files; messages show `training.data` of homelab.ts instead */
export async function judgeData(
  folder: string,
  { data: name, digest: wanted }: Pick<Training, 'data' | 'digest'>,
): Promise<{ readonly faults: readonly DataFault[]; readonly data?: Data }> {
  const missing = DATA_FILES.filter((file) => !fs.existsSync(join(folder, file)));
  if (missing.length > 0) return { faults: missing.map((file) => missingFile(`${name}/${file}`, file)) };
  const seen = new Seen();
  const counts: number[] = [];
  const faults: DataFault[] = [];
  for (const file of DATA_FILES) {
    const found = judgeFile(join(folder, file), `${name}/${file}`, seen);
    counts.push(found.examples);
    faults.push(...found.faults);
  }
  const digest = await dataDigest(folder);
  if (digest !== wanted)
    faults.push({
      at: name,
      problem: `its digest must be ${wanted} (training.digest of homelab.ts), got ${digest}`,
      fix: `review the change of the data; if it is intended, write digest: '${digest}'`,
    });
  return { faults, data: { train: counts[0]!, valid: counts[1]!, digest } };
}

function missingFile(at: string, file: string): DataFault {
  return file === 'valid.jsonl'
    ? {
        at,
        problem: 'the file is missing: without validation examples you cannot detect overfitting',
        fix: 'move every tenth example of train.jsonl into it, and at least 10',
      }
    : { at, problem: 'the file is missing', fix: 'write the examples into it, one per line' };
}

function judgeFile(path: string, name: string, seen: Seen): { examples: number; faults: DataFault[] } {
  const faults: DataFault[] = [];
  // Splits lines as Python does.
  const lines = fs.readFileSync(path, 'utf8').split(/\r\n|\n|\r/);
  if (lines.at(-1) === '') lines.pop();
  for (const [index, line] of lines.entries()) {
    const at = `${name}:${index + 1}`;
    const example = parseExample(line);
    const found = isFault(example) ? example : seen.judge(example, at);
    if (found !== undefined) faults.push({ at, ...found });
  }
  if (lines.length === 0)
    faults.push({ at: name, problem: 'the file is empty', fix: 'write examples into it, one per line' });
  return { examples: lines.length, faults };
}

/** Remembers earlier examples. Keeps only digests, because the files may be large. */
class Seen {
  private readonly wholes = new Map<string, string>();
  private shape: Example['shape'] | undefined;

  /** @returns the fault of an example that has another shape than the first one, or repeats an earlier one */
  judge({ shape, asked, said }: Example, at: string): Fault | undefined {
    this.shape ??= shape;
    if (shape !== this.shape)
      return {
        problem: `its shape is ${shape}, but the first example has the shape ${this.shape}`,
        fix: 'use one shape in both files: mlx_lm reads all examples like the first one',
      };
    const whole = digestOf(`${asked}\n${said}`);
    const before = this.wholes.get(whole);
    if (before === undefined) {
      this.wholes.set(whole, at);
      return undefined;
    }
    const leak = fileOf(before) !== fileOf(at);
    return leak
      ? {
          problem: `the model trains with the same example (${before}), so it cannot validate the model`,
          fix: 'remove it from one of the two files',
        }
      : { problem: `it repeats an earlier example (${before})`, fix: 'remove one of the two' };
  }
}

function fileOf(at: string): string {
  return at.slice(0, at.lastIndexOf(':'));
}

/** Ignores case and white space: examples that differ only in these are duplicates. */
function digestOf(text: string): string {
  return createHash('sha256').update(text.toLowerCase().replace(/\s+/g, ' ').trim()).digest('base64');
}
