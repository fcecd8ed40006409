import * as fs from 'node:fs';
import { join } from 'node:path';
import type { TunedModel } from '../../inventory';
import type { Wording } from '../clients/ollama-api';
import { json } from '../engine/json';
import { Blocked } from '../engine/problem';
import { writeWhole } from '../engine/sops';
import type { ExportCheck } from './equality';
import { exportFolder } from './folders';
import type { TrainingResult } from './training';

/** Inputs of an export. A change of any of them makes a new version. */
export interface ExportSource {
  readonly base: string;
  readonly revision: string;
  /** Digest of the trained weights. */
  readonly adapterDigest: string;
  readonly quantization: string;
  readonly template?: string;
  readonly system?: string;
}

/** A checked export, stored in export.json. It is written last, and removed before the next export begins. */
export interface ExportRecord {
  readonly name: string;
  readonly version: number;
  readonly source: ExportSource;
  /** Training that was exported. A later training may have replaced it since. */
  readonly training: TrainingResult;
  /** Files that `publish` copies. */
  readonly blobs: readonly {
    readonly name: string;
    readonly digest: string;
    readonly size: number;
    readonly file: string;
  }[];
  readonly wording: Wording;
  readonly checks: readonly ExportCheck[];
  readonly versions: Readonly<Record<string, string>>;
  readonly made: string;
}

const RECORD = 'export.json';

export function readExport(name: string): ExportRecord | undefined {
  const file = join(exportFolder(name), RECORD);
  if (!fs.existsSync(file)) return undefined;
  return json(fs.readFileSync(file, 'utf8'), `.homelab/models/${name}/export/${RECORD}`);
}

export function writeExport(record: ExportRecord): void {
  writeWhole(join(exportFolder(record.name), RECORD), `${JSON.stringify(record, null, 2)}\n`);
}

export function forgetExport(name: string): void {
  fs.rmSync(join(exportFolder(name), RECORD), { force: true });
}

/** @throws Blocked when the training or the export used another base than homelab.ts names */
export function assertSameBase(
  name: string,
  { base }: TunedModel,
  made: Pick<ExportSource, 'base' | 'revision'>,
): void {
  if (made.base === base.repository && made.revision === base.revision) return;
  throw new Blocked(
    `${name} was not trained from the base in homelab.ts\n  ${base.repository} ${base.revision}\nbut from\n  ${made.base} ${made.revision}\nTrain it again, or restore the old base in homelab.ts:\n  npm run models -- train ${name}`,
  );
}
