import * as fs from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { secretsIn, SECRETS_FILE } from '../../../checks/step/objects';
import type { State } from '../../../checks/step/step';
import { manifestsOf } from '../cluster/deploy';

/** What a folder that synth wrote says, as the plan reads it from Git. */
export function stateOf(dist: string): State {
  return {
    objects: manifestsOf(dist).map(({ file, object }) => ({ folder: file.split('/')[0]!, file, object })),
    secrets: secretsIn(parse(fs.readFileSync(join(dist, SECRETS_FILE), 'utf8'))),
  };
}
