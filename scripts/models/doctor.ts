import * as fs from 'node:fs';
import { join } from 'node:path';
import type { TunedModel } from '../../inventory';
import type { Context } from '../clients/context';
import { bad, findings, good, table, type Check, type Finding } from '../engine/findings';
import { EXIT } from '../engine/problem';
import { ROOT } from '../engine/root';
import type { ModelFlags } from './command';
import { DATA_FILES, dataDigest } from './digests';
import { INSTALL_PYTHON, systemPython } from './python';
import { tunedModels } from './tuned';

/** Everything that stands in the way of a training here, at once, each with what to do about it. It only reads. */
export async function doctor(context: Context, _: readonly string[], { json }: ModelFlags): Promise<number> {
  const checks: Record<string, Check> = { Python: async () => [await python(context)] };
  for (const [name, model] of tunedModels(context.homelab))
    checks[`data of ${name}`] = async () => [await data(name, model)];
  const found = await findings(checks);
  console.log(json ? JSON.stringify(found, null, 2) : table(found));
  return found.some(({ state }) => state === 'bad') ? EXIT.failed : EXIT.done;
}

async function python(context: Context): Promise<Finding> {
  const found = await systemPython(context);
  return found === undefined
    ? bad('Python', 'none from 3.11 to 3.14', INSTALL_PYTHON)
    : good('Python', `${found.version} (${found.program})`);
}

async function data(name: string, { training }: TunedModel): Promise<Finding> {
  const what = `data of ${name} is what homelab.ts names`;
  const folder = join(ROOT, training.data);
  const missing = DATA_FILES.filter((file) => !fs.existsSync(join(folder, file)));
  if (missing.length > 0)
    return bad(what, `${training.data} has no ${missing.join(' and no ')}`, 'see docs/models.md, Data');
  const digest = await dataDigest(folder);
  return digest === training.digest
    ? good(what, digest)
    : bad(what, digest, `review the data; if it is right, write its digest into homelab.ts: digest: '${digest}'`);
}
