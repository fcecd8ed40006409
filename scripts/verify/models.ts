import { isTuned, servedName, type Homelab, type PulledModel, type TunedModel } from '../../inventory';
import { ollamaVersion, pulledModels, residentModels, type OnOllama } from '../../machines/ollama';
import { releasesOf } from '../clients/model-releases';
import { ollama as ollamaOf, type Ollama } from '../clients/ollama';
import { shortTag, type Loaded } from '../clients/ollama-api';
import type { Context } from '../clients/context';
import { bad, good, warning, type Check, type Finding } from '../engine/findings';
import { isFault } from '../engine/problem';
import { gpuState, type GpuRecord } from '../stages/ai-vm/gpu-record';
import { gibibytes, wantedDigest } from '../stages/models';
import { cardVersions, publishedOn } from '../stages/models/published';

const APPLY = 'npm run bootstrap -- apply models';

/** The digests of all models; of those that stay loaded also whether the GPU has them, and their speed. */
export function modelCheck(context: Context): Check {
  return async () => {
    const { homelab } = context;
    if (homelab.llm === undefined) return [];
    const ollama = ollamaOf(context);
    await ollama.assertVersion(ollamaVersion(homelab));
    const tags = await ollama.tags();
    return [
      ...pulledModels(homelab).map((model) => digestFinding(model, tags.get(shortTag(model.tag)))),
      ...pulledModels(homelab).flatMap((model) => stableFindings(model, tags)),
      ...(await trainedFindings(homelab, ollama)),
      ...(await residentFindings(homelab, ollama, tags)),
    ];
  };
}

async function residentFindings(
  homelab: Homelab,
  ollama: Ollama,
  tags: ReadonlyMap<string, string>,
): Promise<Finding[]> {
  const withGpu = ollama.vm.machine.gpu === true;
  const proof = withGpu ? (await gpuState(homelab, ollama.vm)).record : undefined;
  const loaded = await ollama.loaded();
  const found: Finding[] = [];
  for (const model of residentModels(homelab)) {
    if (isTrained(homelab, model.tag) && !tags.has(shortTag(model.tag))) continue;
    const one = loaded.get(shortTag(model.tag));
    found.push(placeFinding(model, one, withGpu));
    if (one !== undefined) found.push(...(await speedFindings(ollama, model, proof)));
  }
  return found;
}

async function speedFindings(
  ollama: Ollama,
  { tag, context: length }: OnOllama,
  proof: GpuRecord | undefined,
): Promise<Finding[]> {
  try {
    const { tokensPerSecond } = await ollama.generate({ tag, context: length, stays: true });
    return [speedFinding(tag, tokensPerSecond, tag === proof?.tag ? proof.cpu : undefined)];
  } catch (error) {
    if (!isFault(error)) throw error;
    // A model that only embeds, or one that was trained to say nothing to what it is asked here.
    if (/does not support generate|generated nothing/.test(error.message)) return [];
    return [bad(`speed of ${tag}`, error.message, 'journalctl -u ollama')];
  }
}

function digestFinding(model: PulledModel, there: string | undefined): Finding {
  const what = `model ${model.tag}`;
  const wanted = wantedDigest(model);
  if (there === undefined) return bad(what, 'it does not exist', APPLY);
  const digest = `digest ${there.slice(0, 12)}`;
  if (wanted === undefined) return warning(what, `${digest}, which is not kept yet`, APPLY);
  return there === wanted ? good(what, digest) : bad(what, `digest ${there}, wanted ${wanted}`, APPLY);
}

/** A second name of a pulled model. */
function stableFindings({ tag, stable }: PulledModel, tags: ReadonlyMap<string, string>): Finding[] {
  if (stable === undefined) return [];
  const [wanted, there] = [tags.get(shortTag(tag)), tags.get(shortTag(stable))];
  const what = `model ${stable}`;
  if (wanted !== undefined && wanted === there) return [good(what, `a name of ${tag}`)];
  return [
    bad(what, there === undefined ? 'it does not exist' : `it is not ${tag}: digest ${there.slice(0, 12)}`, APPLY),
  ];
}

/** What clients get of models that are trained here: a version whose card is committed. */
async function trainedFindings({ llm }: Homelab, ollama: Ollama): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const [name, model] of Object.entries(llm!.models))
    if (isTuned(model)) found.push(await releaseFinding(ollama, name, model));
  return found;
}

async function releaseFinding(ollama: Ollama, name: string, model: TunedModel): Promise<Finding> {
  const what = `model ${servedName(name, model)}`;
  const publish = `npm run models -- publish ${name}`;
  const { stable, served, versions } = await releasesOf(ollama, name, model);
  const cards = cardVersions(name).filter((version) => publishedOn(name, version) !== undefined);
  if (stable === undefined && versions.size === 0 && cards.length === 0)
    return warning(what, 'not published yet', publish);
  if (stable === undefined)
    return bad(
      what,
      'it does not exist',
      versions.size > 0 ? `npm run models -- rollback ${name} v${Math.max(...versions.keys())}` : publish,
    );
  const ofCards = cards.filter((version) => publishedOn(name, version)!.digest === stable.digest);
  const digest = `digest ${stable.digest.slice(0, 12)}`;
  if (ofCards.length > 0) return good(what, `v${ofCards.includes(served!) ? served : ofCards.at(-1)}, ${digest}`);
  const saw = `${digest}${served === undefined ? '' : ` (v${served})`}, which no card in models/${name}/ has`;
  return bad(what, saw, `git pull, where another machine published it; or else: npm run models -- rollback ${name}`);
}

/** Whether a name is that of a model that is trained here: it may be missing before the first version is published. */
function isTrained({ llm }: Homelab, tag: string): boolean {
  return Object.entries(llm!.models).some(([name, model]) => isTuned(model) && servedName(name, model) === tag);
}

function placeFinding({ tag, context: length }: OnOllama, loaded: Loaded | undefined, withGpu: boolean): Finding {
  const what = `${tag} stays loaded`;
  if (loaded === undefined) return bad(what, 'it is not loaded', APPLY);
  const { size, sizeVram, context: there, stays } = loaded;
  const saw = `${there} tokens, ${gibibytes(sizeVram)} of ${gibibytes(size)} on the GPU`;
  if (there < length || !stays) return bad(what, `${saw}${stays ? '' : ', only for a while'}`, APPLY);
  if (withGpu && sizeVram !== size)
    return bad(what, saw, 'journalctl -u ollama; less context, or more memory for the machine');
  return good(what, saw);
}

function speedFinding(tag: string, tokensPerSecond: number, cpu: number | undefined): Finding {
  const what = `speed of ${tag}`;
  const saw = `${tokensPerSecond} tokens/s${cpu === undefined ? '' : ` (on the CPU ${cpu})`}`;
  if (cpu === undefined || tokensPerSecond > cpu) return good(what, saw);
  return bad(what, saw, 'the GPU must be faster than the CPU: journalctl -u ollama');
}
