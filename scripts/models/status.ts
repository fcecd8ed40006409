import { isTuned, servedName, type Model } from '../../inventory';
import { releasesOf } from '../clients/model-releases';
import { ollama as ollamaOf, type Ollama } from '../clients/ollama';
import { shortTag, type Installed, type Loaded } from '../clients/ollama-api';
import type { Context } from '../clients/context';
import { findings, table, type Finding } from '../engine/findings';
import { Blocked, EXIT, isFault } from '../engine/problem';
import { publishedOn, type Published } from '../stages/models/published';
import { modelCheck } from '../verify/models';
import type { ModelFlags } from './command';
import { gigabytes } from './task';

/** State on the AI VM of one model of homelab.ts. */
export interface ModelStatus {
  readonly name: string;
  /** Name that clients send. */
  readonly serves: string;
  /** Version that clients get, of a model that is trained here. */
  readonly version?: number;
  readonly versions?: readonly number[];
  readonly installed?: Installed;
  readonly loaded?: Loaded;
  /** Record of publication, from the version's card. */
  readonly published?: Published;
}

/** Prints what is served, since when, from which training, its speed and memory, and all problems. */
export async function status(context: Context, _: readonly string[], { json }: ModelFlags): Promise<number> {
  if (context.homelab.llm === undefined) throw new Blocked('homelab.ts has no models; add llm.models');
  const found = await findings({ models: modelCheck(context) });
  const models = await seen(context);
  const isBad = found.some(({ state }) => state === 'bad');
  if (json) console.log(JSON.stringify({ models, findings: found }, null, 2));
  else console.log(shown(context.homelab.llm.machine, models, found));
  return isBad ? EXIT.failed : EXIT.done;
}

/** @returns an empty list when Ollama does not answer; a finding reports that */
async function seen(context: Context): Promise<ModelStatus[]> {
  const ollama = ollamaOf(context);
  try {
    const [installed, loaded] = [await ollama.installed(), await ollama.loaded()];
    const all: ModelStatus[] = [];
    for (const [name, model] of Object.entries(context.homelab.llm!.models))
      all.push(await statusOf(ollama, name, model, installed, loaded));
    return all;
  } catch (error) {
    if (!isFault(error)) throw error;
    return [];
  }
}

async function statusOf(
  ollama: Ollama,
  name: string,
  model: Model,
  all: ReadonlyMap<string, Installed>,
  allLoaded: ReadonlyMap<string, Loaded>,
): Promise<ModelStatus> {
  const serves = servedName(name, model);
  const [installed, loaded] = [all.get(shortTag(serves)), allLoaded.get(shortTag(serves))];
  const base = { name, serves, ...(installed && { installed }), ...(loaded && { loaded }) };
  if (!isTuned(model)) return base;
  const { served, versions } = await releasesOf(ollama, name, model);
  const published = served === undefined ? undefined : publishedOn(name, served);
  return {
    ...base,
    versions: [...versions.keys()].sort((a, b) => a - b),
    ...(served !== undefined && { version: served }),
    ...(published && { published }),
  };
}

export function shown(machine: string, models: readonly ModelStatus[], found: readonly Finding[]): string {
  const blocks = models.map((each) => [`${each.name}: ${each.serves} on ${machine}`, ...facts(each)].join('\n  '));
  return [...blocks, table(found)].join('\n\n');
}

function facts({ name, version, versions, installed, loaded, published }: ModelStatus): string[] {
  if (installed === undefined) return ['not installed'];
  const which = versions === undefined ? '' : version === undefined ? 'an unknown version, ' : `v${version}, `;
  const since = installed.modified.slice(0, 16).replace('T', ' ');
  const { size = 0, sizeVram = 0, context = 0, stays = false } = loaded ?? {};
  const tokens = Number.isFinite(context) ? `${context} tokens, ` : '';
  const memory = `${tokens}${gigabytes(size)}, ${gigabytes(sizeVram)} of them on the GPU`;
  return [
    `served:   ${which}digest ${installed.digest.slice(0, 12)}${since && `, since ${since}`}`,
    ...(version === undefined ? [] : [`training: models/${name}/v${version}/card.md`]),
    `loaded:   ${loaded === undefined ? 'no' : `${memory}${stays ? ', stays' : ''}`}`,
    ...(published ? [`speed:    ${published.evaluation.tokensPerSecond} tokens/s in its test`] : []),
    `disk:     ${gigabytes(installed.size)}`,
    ...(versions === undefined ? [] : [`versions: ${versions.map((each) => `v${each}`).join(', ') || 'none'}`]),
  ];
}
