import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { Failure, program, Unexpected } from './program';

/**
 * Debian's packages on the Proxmox host: `state.extra.packages` has the files of each by path, in base64; it is empty unless
 * a test fills it. What a package of programs holds is there anyway.
 */
export const packages = [
  program(['proxmox'], ['apt-get'], ({ call, state, path }) => {
    const [command, ...names] = call.argv.filter((word) => !word.startsWith('-'));
    if (command === 'update') return 'Reading package lists...\n';
    if (command !== 'install') throw new Unexpected(`apt-get ${command}`);
    for (const name of names) {
      const files: Record<string, string> | undefined = name === 'gpgv' ? {} : state.extra.packages?.[name];
      if (files === undefined) throw new Failure(`E: Unable to locate package ${name}`, 100);
      for (const [file, content] of Object.entries(files)) {
        fs.mkdirSync(dirname(path(`/${file}`)), { recursive: true });
        fs.writeFileSync(path(`/${file}`), Buffer.from(content, 'base64'));
      }
    }
    return `Setting up ${names.join(', ')} ...\n`;
  }),
];
