import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** Files of the training data, in the order in which they are hashed. */
export const DATA_FILES = ['train.jsonl', 'valid.jsonl'] as const;

/**
 * Digest of the training data. A shell computes the same digest with:
 *   shasum -a 256 train.jsonl valid.jsonl | shasum -a 256
 */
export function dataDigest(folder: string): Promise<string> {
  return digestOf(folder, DATA_FILES);
}

/**
 * Digest of all files of a base model, sorted by path, without hidden files. A shell computes the same digest with:
 *   find -L . -type f | grep -v '/\.' | cut -c 3- | LC_ALL=C sort | tr '\n' '\0' | xargs -0 shasum -a 256 | shasum -a 256
 */
export function folderDigest(folder: string): Promise<string> {
  const files = (fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }) as string[]).filter(
    (path) => !/(^|\/)\./.test(path) && fs.statSync(join(folder, path)).isFile(),
  );
  return digestOf(
    folder,
    files.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  );
}

async function digestOf(folder: string, files: readonly string[]): Promise<string> {
  const whole = createHash('sha256');
  for (const file of files) whole.update(`${await fileDigest(join(folder, file))}  ${file}\n`);
  return `sha256:${whole.digest('hex')}`;
}

/** SHA-256 of a file of any size, as 64 hexadecimal digits. */
export async function fileDigest(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(fs.createReadStream(file), hash);
  return hash.digest('hex');
}
