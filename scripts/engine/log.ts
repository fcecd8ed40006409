import * as fs from 'node:fs';
import { dirname } from 'node:path';

/** What stands in place of a secret. */
const MASK = '••••';

/**
 * The log file: each command with its place, time and result, never what it reads or prints. Secrets that were made known
 * are masked in everything that passes through, also in messages for the screen.
 */
export class Log {
  private readonly secrets = new Set<string>();

  constructor(private readonly file?: string) {
    if (file !== undefined) fs.mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  }

  /** From now on no line holds this value. Short values are no secrets: masking them would only hide words. */
  hide(...values: readonly string[]): void {
    for (const value of values)
      for (const line of [value, ...value.split('\n')]) if (line.trim().length >= 8) this.secrets.add(line.trim());
  }

  masked(text: string): string {
    let clean = text;
    for (const secret of this.secrets) clean = clean.split(secret).join(MASK);
    return clean;
  }

  line(text: string): void {
    if (this.file === undefined) return;
    const line = `${new Date().toISOString()} ${this.masked(text).replace(/\n/g, '\\n')}\n`;
    fs.appendFileSync(this.file, line, { mode: 0o600 });
  }
}
