import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab';

/** Words that are no secrets although they stand in encrypted files: names, addresses and what every file of a kind begins with. */
const ORDINARY =
  /^(-----(BEGIN|END) [A-Z ]+-----|client\.authentication\.k8s\.io\/v1|ExecCredential|https:\/\/.*|git@[\w.-]+:\S+|[a-z_.-]{1,24})$/;

/**
 * Where one of these secrets stands in the clear: in the clone (log and kubeconfig included), in the owner's home but for the age
 * key, on the machines, in arguments of any call, or in what was printed. @returns the places
 */
export function secretsIn(lab: Lab, secrets: readonly string[], printed: string): string[] {
  // Certificates are no secrets, in whatever form.
  const isPublic = (value: string) => /BEGIN CERTIFICATE/.test(value) || /^LS0tLS1CRUdJTiBDRVJUSUZJQ0FUR/.test(value);
  const lines = [
    ...new Set(
      secrets.filter((value) => !isPublic(value)).flatMap((secret) => secret.split('\n').map((line) => line.trim())),
    ),
  ].filter((line) => line.length >= 12 && !ORDINARY.test(line));
  // What is encoded once more is as bad as what is in the clear.
  const wanted = lines.flatMap((line) => [line, Buffer.from(line).toString('base64').replace(/=+$/, '')]);
  const found: string[] = [];
  const search = (text: string, where: string) => {
    for (const seed of wanted) if (text.includes(seed)) found.push(`${where}: ${seed.slice(0, 6)}…`);
  };
  for (const folder of [lab.workspace.path, lab.home])
    for (const file of filesBelow(folder)) if (file !== lab.ageKey) search(fs.readFileSync(file, 'latin1'), file);
  for (const machine of Object.keys(lab.simulation.state.machines))
    for (const file of filesBelow(lab.simulation.files(machine)))
      search(fs.readFileSync(file, 'latin1'), `${machine} ${file}`);
  for (const { program, argv, env } of lab.simulation.calls)
    search(`${argv.join(' ')} ${JSON.stringify(env)}`, `arguments of ${program}`);
  for (const file of fs.readdirSync('/dev/shm').filter((name) => name.startsWith('collab-homelab')))
    for (const each of filesBelow(join('/dev/shm', file)))
      search(
        ifThere(() => fs.readFileSync(each, 'latin1'), ''),
        each,
      );
  search(printed, 'output');
  return found;
}

/** Another lab beside this one may take its files away meanwhile. */
function ifThere<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return otherwise;
  }
}

function filesBelow(folder: string): string[] {
  const entries = ifThere(() => fs.readdirSync(folder, { withFileTypes: true }), []);
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return ['proc', 'node_modules', '.proc'].includes(entry.name) ? [] : filesBelow(path);
    return entry.isFile() ? [path] : [];
  });
}
