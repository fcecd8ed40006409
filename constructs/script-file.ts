import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const read = new Map<string, string>();

/**
 * The text of a script or configuration file in `files/`, which a pod runs unchanged. It is read once per process.
 * @param values replace the placeholders of the file: PORT replaces each `@PORT@`. @throws where a placeholder has no value
 */
export function scriptFile(name: string, values: Readonly<Record<string, string>> = {}): string {
  const text = read.get(name) ?? readFileSync(join(__dirname, 'files', name), 'utf8');
  read.set(name, text);
  return text.replace(/@([A-Z]+)@/g, (_, placeholder: string) => {
    const value = values[placeholder];
    if (value === undefined) throw new Error(`${name}: @${placeholder}@ must have a value`);
    return value;
  });
}
