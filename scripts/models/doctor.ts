import * as fs from 'node:fs';
import * as os from 'node:os';
import { join } from 'node:path';
import { knownArchitecture, trainingSettings, type TunedModel } from '../../inventory';
import { ollamaVersion } from '../../machines/ollama';
import { bytes } from '../../values/quantity';
import { ubuntu, type Context } from '../clients/context';
import { LOCALHOST } from '../engine/commands';
import { bad, findings, good, table, warning, type Check, type Finding } from '../engine/findings';
import { EXIT, isFault } from '../engine/problem';
import { ROOT } from '../engine/root';
import { isFolder, localFolder } from './base';
import type { ModelFlags } from './command';
import { trainingHost } from './config';
import { faultsText, judgeData } from './data';
import { folderDigest } from './digests';
import { ownOllama } from './own-ollama';
import { gibibytes } from './progress';
import { INSTALL_PYTHON, systemPython } from './python';
import { DECLARE, tunedModels } from './tuned';

/** Lists every problem that would stop a training on this machine, with its fix. Only reads. */
export async function doctor(context: Context, _: readonly string[], { json }: ModelFlags): Promise<number> {
  const one =
    (look: () => Promise<Finding> | Finding): Check =>
    async () => [await look()];
  const checks: Record<string, Check> = {
    Python: one(() => python(context)),
    'Ollama of this machine': one(() => ollama(context)),
    'this machine stays awake': one(() => sleep(context)),
    'login on the machine of the models': one(() => login(context)),
  };
  const models = tunedModels(context.homelab);
  if (models.length === 0)
    checks['models to train'] = one(() => bad('models to train', 'homelab.ts has none', DECLARE));
  checks['disk'] = one(() => disk(models));
  for (const [name, model] of models) {
    checks[`memory to train ${name}`] = one(() => memory(context, name, model));
    checks[`base of ${name}`] = one(() => base(name, model));
    checks[`data of ${name}`] = one(() => data(name, model));
  }
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

async function ollama(context: Context): Promise<Finding> {
  const what = 'Ollama of this machine, which converts and quantizes';
  const wanted = ollamaVersion(context.homelab);
  const version = await ownOllama(context)
    .version()
    .catch((error: unknown) => {
      if (!isFault(error)) throw error;
      return undefined;
    });
  if (version === undefined)
    return bad(what, 'it does not answer', 'brew install ollama && brew services start ollama');
  return version === wanted
    ? good(what, version)
    : warning(what, `${version}, but the AI VM has ${wanted}`, `install ${wanted}: github.com/ollama/ollama/releases`);
}

/** `train` keeps the Mac awake, but the copy of `publish` does not. */
async function sleep({ commands }: Context): Promise<Finding> {
  const what = 'this machine stays awake';
  if (process.platform !== 'darwin') return good(what, 'it is not a Mac');
  const { stdout } = await commands.read(LOCALHOST, ['pmset', '-g']);
  const minutes = sleepMinutes(stdout);
  if (minutes === undefined) return warning(what, 'pmset -g shows no sleep time', 'sudo pmset -c sleep 0');
  return minutes === 0
    ? good(what, 'it never sleeps')
    : warning(what, `it sleeps after ${minutes} min; train prevents that, publish does not`, 'sudo pmset -c sleep 0');
}

/** Minutes until the system sleeps, from the output of `pmset -g`. 0 means never. */
export function sleepMinutes(text: string): number | undefined {
  const minutes = /^\s*sleep\s+(\d+)/m.exec(text)?.[1];
  return minutes === undefined ? undefined : Number(minutes);
}

async function login(context: Context): Promise<Finding> {
  const what = 'login on the machine of the models';
  const { llm } = context.homelab;
  if (llm === undefined) return good(what, 'homelab.ts has none');
  const target = ubuntu(context, llm.machine);
  try {
    await context.commands.read(target, ['true']);
    return good(what, target.name);
  } catch (error) {
    if (!isFault(error)) throw error;
    return bad(what, error.message, 'npm run bootstrap -- doctor; publish needs it, train and export do not');
  }
}

function memory({ homelab }: Context, name: string, model: TunedModel): Finding {
  const what = `memory to train ${name}`;
  const [host, { memory: declared }] = trainingHost(homelab, name, model);
  const [there, wanted] = [os.totalmem(), bytes(declared)];
  // Allows for memory that the kernel reserves.
  if (there >= wanted * 0.9) return good(what, gibibytes(there));
  const saw = `${gibibytes(there)}, but ${host} has ${gibibytes(wanted)} in homelab.ts`;
  return warning(
    what,
    saw,
    `train on ${host}, or correct its memory in homelab.ts; here the training may reach its memory limit and stop`,
  );
}

/** Copies of the 16-bit weights on the disk: base, fused, and three in Ollama (uploaded, converted, quantized). */
const COPIES = 5;
/** Assumed for a model whose number of parameters is unknown. */
const UNKNOWN_PARAMETERS = 8e9;

function disk(models: readonly (readonly [string, TunedModel])[]): Finding {
  const { bavail, bsize } = fs.statfsSync(ROOT);
  const free = bavail * bsize;
  const parameters = models.map(
    ([, { architecture, base }]) =>
      (architecture ?? knownArchitecture(base.repository))?.parameters ?? UNKNOWN_PARAMETERS,
  );
  const wanted = Math.max(0, ...parameters) * 2 * COPIES;
  return free >= wanted
    ? good('disk', `${gibibytes(free)} free, ${gibibytes(wanted)} needed for the largest model`)
    : bad(
        'disk',
        `${gibibytes(free)} free, ${gibibytes(wanted)} needed`,
        'remove unused models: ollama list, .homelab/models, ~/.cache/huggingface',
      );
}

const HUB_MILLISECONDS = 10_000;

async function base(name: string, { base: wanted }: TunedModel): Promise<Finding> {
  const what = `base of ${name} is what homelab.ts names`;
  if (isFolder(wanted)) {
    const folder = localFolder(wanted);
    if (!fs.existsSync(join(folder, 'config.json')))
      return bad(what, `${folder} has no config.json`, 'correct base.repository');
    const digest = await folderDigest(folder);
    return digest === wanted.revision
      ? good(what, digest)
      : bad(
          what,
          `the folder has the digest ${digest}`,
          `find out what changed; if it is intended, write revision: '${digest}'`,
        );
  }
  const hub = process.env.HF_ENDPOINT ?? 'https://huggingface.co';
  const answer = await fetch(`${hub}/api/models/${wanted.repository}/revision/${wanted.revision}`, {
    signal: AbortSignal.timeout(HUB_MILLISECONDS),
  }).catch(() => undefined);
  if (answer === undefined)
    return warning(what, `${hub} cannot be reached`, 'you can still train a base that is downloaded already');
  if (!answer.ok)
    return bad(
      what,
      `${hub} answered ${answer.status} for ${wanted.repository} at ${wanted.revision}`,
      'the base was moved or removed, or needs a login (hf auth login); review it, then change base.revision',
    );
  return good(what, `${wanted.repository} at ${wanted.revision.slice(0, 12)}`);
}

async function data(name: string, { training }: TunedModel): Promise<Finding> {
  const what = `data of ${name}`;
  const { faults, data: found } = await judgeData(join(ROOT, training.data), training);
  if (faults.length > 0) return bad(what, faultsText(faults), 'fix each problem as its second line says');
  const { batch } = trainingSettings(training);
  const counted = `${found!.train} examples to train, ${found!.valid} to validate`;
  return found!.valid < FEW
    ? warning(what, counted, `too few for a reliable validation loss; use at least ${FEW}`)
    : good(what, `${counted}, batches of ${batch}; ${found!.digest}`);
}

/** Least number of validation examples. The validation loss of fewer examples varies too much. */
const FEW = 10;
