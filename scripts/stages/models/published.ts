import * as fs from 'node:fs';
import { join } from 'node:path';
import { json } from '../../engine/json';
import { ROOT } from '../../engine/root';
import { writeWhole } from '../../engine/sops';

/** A prompt of homelab.ts with the answer that a version gave. */
export interface Judged {
  readonly prompt: string;
  readonly answer: string;
  /** What the answer must be, in words. */
  readonly expected: string;
  readonly good: boolean;
}

/** What a version did on the machine that serves it, before it was served. */
export interface Evaluation {
  readonly answers: readonly Judged[];
  readonly tokensPerSecond: number;
  /** Bytes that it takes with its context, and those of them that are on the GPU. */
  readonly size: number;
  readonly sizeVram: number;
}

/** What is committed of a version once it was tried on the machine that serves it. */
export interface Published {
  readonly machine: string;
  /** Of its manifest there: 64 digits. The stable name has the same one while this version is served. */
  readonly digest: string;
  readonly ollama: string;
  readonly at: string;
  readonly evaluation: Evaluation;
  /** Version that was served when this one came. */
  readonly before?: number;
}

const PUBLISHED = 'published.json';

export function publishedOn(name: string, version: number): Published | undefined {
  const file = join(cardFolder(name, version), PUBLISHED);
  if (!fs.existsSync(file)) return undefined;
  return json(fs.readFileSync(file, 'utf8'), `models/${name}/v${version}/${PUBLISHED}`);
}

export function recordPublished(name: string, version: number, published: Published): void {
  const folder = cardFolder(name, version);
  fs.mkdirSync(folder, { recursive: true });
  writeWhole(join(folder, PUBLISHED), `${JSON.stringify(published, null, 2)}\n`);
}

/** Numbers of the versions that have a card, the oldest first. */
export function cardVersions(name: string): number[] {
  const folder = join(ROOT, 'models', name);
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder)
    .map((entry) => Number(/^v([1-9]\d*)$/.exec(entry)?.[1]))
    .filter((version) => version > 0)
    .sort((a, b) => a - b);
}

function cardFolder(name: string, version: number): string {
  return join(ROOT, 'models', name, `v${version}`);
}
