import type { Homelab, PulledModel } from '../../inventory';
import { ollamaVersion, pulledModels, residentModels, type OnOllama } from '../../machines/ollama';
import { ollama as ollamaOf, type Ollama } from '../clients/ollama';
import { shortTag, type Loaded } from '../clients/ollama-api';
import type { Context } from '../clients/context';
import { bad, good, warning, type Check, type Finding } from '../engine/findings';
import { isFault } from '../engine/problem';
import { gpuState, type GpuRecord } from '../stages/ai-vm/gpu-record';
import { gibibytes, wantedDigest } from '../stages/models';

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
      ...(await residentFindings(homelab, ollama)),
    ];
  };
}

async function residentFindings(homelab: Homelab, ollama: Ollama): Promise<Finding[]> {
  const withGpu = ollama.vm.machine.gpu === true;
  const proof = withGpu ? (await gpuState(homelab, ollama.vm)).record : undefined;
  const loaded = await ollama.loaded();
  const found: Finding[] = [];
  for (const model of residentModels(homelab)) {
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
    // A model that only embeds generates nothing.
    if (/does not support generate/.test(error.message)) return [];
    return [bad(`speed of ${tag}`, error.message, 'journalctl -u ollama')];
  }
}

function digestFinding(model: PulledModel, there: string | undefined): Finding {
  const what = `model ${model.tag}`;
  const wanted = wantedDigest(model);
  if (there === undefined) return bad(what, 'it is not there', APPLY);
  const digest = `digest ${there.slice(0, 12)}`;
  if (wanted === undefined) return warning(what, `${digest}, which is not kept yet`, APPLY);
  return there === wanted ? good(what, digest) : bad(what, `digest ${there}, wanted ${wanted}`, APPLY);
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
