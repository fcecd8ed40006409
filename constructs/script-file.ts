import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The text of a script or configuration file of `files/`, which runs in a pod as it stands there. */
export function scriptFile(name: string): string {
  return readFileSync(join(__dirname, 'files', name), 'utf8');
}
