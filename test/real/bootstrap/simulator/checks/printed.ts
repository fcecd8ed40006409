import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { basename, join } from 'node:path';
import { talosMachinery } from '../binaries';
import type { Bench } from './bench';

const FOLDER = 'test/scripts/outputs/talosctl';

/** Whether the files that unit tests parse are still what talosctl's own code prints. */
export async function printed({ same }: Bench): Promise<void> {
  for (const file of fs.readdirSync(FOLDER)) {
    const kind = basename(file, '.txt').replace(/^get-/, '');
    const now = execFileSync(talosMachinery(), ['print', kind], { encoding: 'utf8', timeout: 10_000 });
    same(`${FOLDER}/${file}`, fs.readFileSync(join(FOLDER, file), 'utf8'), now);
  }
}
