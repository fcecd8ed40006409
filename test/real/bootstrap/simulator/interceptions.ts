import * as fs from 'node:fs';
import { resolve } from 'node:path';
import type { Answer, Call } from './programs/program';

/** What a call answers that was made to fail. */
export function failure(program: string): Answer {
  return program === 'ssh'
    ? { stderr: 'kex_exchange_identification: read: Connection reset by peer\r\n', code: 255 }
    : // A task of Proxmox that fails ends its command with 255.
      { stderr: `${program}: simulated failure\n`, code: program === 'qm' ? 255 : 1 };
}

/** What is in the files that a local call names. */
export function filesAmong({ machine, argv, cwd }: Call): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const word of machine === 'local' ? argv : []) {
    const name = word.replace(/^--[\w-]+=/, '');
    if (fs.statSync(resolve(cwd, name), { throwIfNoEntry: false })?.isFile())
      found.set(name, fs.readFileSync(resolve(cwd, name)));
  }
  return found;
}

/** Whether a real program is one that leaves something behind, by its arguments. */
export function changesByItself({ program, argv }: Call): boolean {
  const has = (...words: string[]) => argv.some((arg) => words.includes(arg.replace(/=.*/, '')));
  if (program === 'kubectl')
    return has(
      'apply',
      'create',
      'delete',
      'patch',
      'replace',
      'label',
      'annotate',
      'scale',
      'cordon',
      'uncordon',
      'drain',
    );
  // What it runs is a call of its own.
  if (program === 'sudo') return false;
  if (program === 'sops') return has('-i', '--in-place', '--output', 'edit', 'updatekeys', 'rotate');
  // `-o -` is standard output.
  return has('-o', '--output', '--output-dir') && argv[argv.indexOf('-o') + 1] !== '-';
}
