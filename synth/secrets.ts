import * as fs from 'node:fs';
import { secretValues, type ListedSecret } from '../values/secrets';
import { printYaml } from './yaml';

/** Declared secrets as dist/secrets.yaml lists them: where each must exist, how to make it, which pods read it. Never a value. */
export function secretsList(secrets: readonly ListedSecret[]): string {
  const list = secrets.map(({ name, namespaces, type, keys, readers }) => ({ name, namespaces, type, keys, readers }));
  return `---\n# Which secrets the cluster needs; no Kubernetes object, and no values. The bootstrap makes them.\n${printYaml({ secrets: list })}`;
}

/** Names in the encrypted file as namespace/name/key, or undefined without such a file. Values are not read. */
export async function encryptedNames(path: string): Promise<Set<string> | undefined> {
  if (!fs.existsSync(path)) return undefined;
  const { parse } = await import('yaml');
  const { values } = secretValues(parse(fs.readFileSync(path, 'utf8'))?.secrets);
  return new Set(values.map(([where]) => where.join('/')));
}
