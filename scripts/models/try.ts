import * as fs from 'node:fs';
import { join } from 'node:path';
import { envPrefixOf, servedName, variablesOf, type Homelab, type TunedModel } from '../../inventory';
import type { OllamaApi } from '../clients/ollama-api';
import type { Context } from '../clients/context';
import { Blocked, EXIT, Usage } from '../engine/problem';
import { baseFolder } from './base';
import type { ModelFlags } from './command';
import { fileDigest } from './digests';
import { readExport } from './export-record';
import { WORK } from './folders';
import { alone } from './lock';
import { Mlx } from './mlx';
import { assertOwnOllama, ownAddress, ownOllama } from './own-ollama';
import { environment } from './python';
import { task } from './task';
import { finishedTraining } from './trained';
import { tunedModel } from './tuned';

/**
 * `try NAME`: serves a model to programs on this machine as the cluster does, with the same API, variables and name. Without a
 * flag it serves the export, with the files that `publish` copies.
 */
export async function tryModel(context: Context, args: readonly string[], flags: ModelFlags): Promise<number> {
  const [name, model] = tunedModel(context.homelab, args);
  if (flags.base && flags.fused) throw new Usage('give --base or --fused, not both');
  const url = ownAddress();
  const ollama = ownOllama(context);
  await assertOwnOllama(ollama);
  await alone(name, async () => {
    context.commands.changing = true;
    const stable = servedName(name, model);
    if (flags.base) await fromFolder(ollama, model, stable, await base(context, model));
    else if (flags.fused) await fused(context, ollama, name, model, stable);
    else await exported(ollama, name, model, stable);
    const { text, tokens, seconds } = await task(`${stable} answers`, () =>
      ollama.answer({ tag: stable, context: model.context, prompt: PROMPT, tokens: 16 }),
    );
    console.log(`  ${JSON.stringify(text)} (${tokens} tokens in ${seconds.toFixed(1)} s)`);
  });
  console.log(['', ...variables(context.homelab, name, url)].join('\n'));
  return EXIT.done;
}

const PROMPT = 'Hello, who are you?';

/** Shell lines with the variables that each client of the model gets in the cluster. Leaves out fallbacks. */
export function variables(homelab: Homelab, name: string, { hostname, port }: URL): string[] {
  const { services, webApps, llm } = homelab;
  const values: Readonly<Record<string, string>> = {
    HOST: hostname,
    PORT: port,
    BASE_URL: `http://${hostname}:${port}/v1`,
    MODEL: servedName(name, llm!.models[name]!),
    // Ollama accepts any key. Clients of a gateway must send one.
    API_KEY: 'local',
  };
  const lines = Object.entries({ ...services, ...webApps }).flatMap(([client, service]) =>
    (service.connects ?? [])
      .filter((each) => 'model' in each && each.model === name)
      .flatMap((connection) => {
        const prefix = `${envPrefixOf(service, connection)}_`;
        const given = variablesOf(service, connection, homelab).map((variable) => variable.slice(prefix.length));
        const known = given.filter((variable) => values[variable] !== undefined);
        return [`# ${client}`, ...known.map((variable) => `export ${prefix}${variable}=${values[variable]}`)];
      }),
  );
  return lines.length > 0 ? lines : [`# no service connects to ${name}: connects: [{ model: '${name}' }]`];
}

async function base(context: Context, { base: wanted }: TunedModel): Promise<string> {
  return baseFolder(context, await environment(context), wanted);
}

/** Serves the trained model before quantization. */
async function fused(context: Context, ollama: OllamaApi, name: string, model: TunedModel, tag: string): Promise<void> {
  const { adapter } = await finishedTraining(name);
  const from = await base(context, model);
  const folder = join(WORK, name, 'try');
  fs.rmSync(folder, { recursive: true, force: true });
  const python = await environment(context);
  await task('fuse base and adapter', () => new Mlx(context, python).fuse(from, adapter, folder));
  await fromFolder(ollama, model, tag, folder);
  fs.rmSync(folder, { recursive: true });
}

/** Serves the files that `publish` copies. */
async function exported(ollama: OllamaApi, name: string, model: TunedModel, tag: string): Promise<void> {
  const record = readExport(name);
  if (record === undefined)
    throw new Blocked(
      `${name} is not exported yet. Export it, or try the base:\n  npm run models -- export ${name}\n  npm run models -- try ${name} --base`,
    );
  const files: Record<string, string> = {};
  for (const { name: file, digest, file: path } of record.blobs) {
    if (!(await ollama.hasBlob(digest))) await ollama.uploadBlob(digest, path);
    files[file] = digest;
  }
  const { template, system, parameters } = record.wording;
  await create(ollama, { files, template, system, parameters }, model, tag);
}

/** Serves a folder of safetensors in 16 bits. */
async function fromFolder(ollama: OllamaApi, model: TunedModel, tag: string, folder: string): Promise<void> {
  const files: Record<string, string> = {};
  await task('upload the weights to Ollama', async (progress) => {
    for (const file of fs.readdirSync(folder).filter((each) => /\.(safetensors|json|model)$/.test(each))) {
      progress(`uploads ${file}`);
      // Files in the cache of Hugging Face are symbolic links.
      const path = fs.realpathSync(join(folder, file));
      files[file] = `sha256:${await fileDigest(path)}`;
      if (!(await ollama.hasBlob(files[file]))) await ollama.uploadBlob(files[file], path);
    }
  });
  const { template, system } = model.export ?? {};
  await create(
    ollama,
    { files, ...(template !== undefined && { template }), ...(system !== undefined && { system }) },
    model,
    tag,
  );
}

/** Sets the context that clients in the cluster get. Nothing else sets it on the Mac. */
async function create(
  ollama: OllamaApi,
  request: Omit<Parameters<OllamaApi['create']>[0], 'model'>,
  { context }: TunedModel,
  tag: string,
): Promise<void> {
  const parameters = { ...request.parameters, num_ctx: context };
  await task(`make ${tag}`, (progress) => ollama.create({ ...request, model: tag, parameters }, progress));
}
