import type { Model } from '../../inventory';
import { residentModels } from '../../machines/ollama';
import { ollamaApi, assertOllama, shortTag, type Loaded } from '../clients/ollama';
import type { Context } from '../clients/context';
import type { Check, Finding } from '../engine/findings';
import { isFault } from '../engine/problem';
import { gpuState } from '../stages/ai-vm/gpu-record';
import { gibibytes, wantedDigest } from '../stages/models';

/** For verify: digests of all models; of those that stay also whether the GPU has them, and their speed. */
export function modelFindings(context: Context): Check {
  return async () => {
    const { llm, machines } = context.homelab;
    if (llm === undefined) return [];
    const api = ollamaApi(context);
    await assertOllama(context, api);
    const [tags, loaded] = [await api.tags(), await api.loaded()];
    const machine = machines[llm.machine];
    const withGpu = machine?.kind === 'ubuntu' && machine.gpu === true;
    const proof = withGpu ? (await gpuState(context, api.vm)).record : undefined;
    const found: Finding[] = Object.values(llm.models).map((model) =>
      digestFinding(model, tags.get(shortTag(model.tag))),
    );
    for (const [, model] of residentModels(context.homelab)) {
      const { tag, context: length } = model;
      const one = loaded.get(shortTag(tag));
      found.push(placeFinding(model, one, withGpu));
      if (one === undefined) continue;
      try {
        const { tokensPerSecond } = await api.generate({ tag, context: length, stays: true });
        found.push(speedFinding(tag, tokensPerSecond, tag === proof?.tag ? proof.cpu : undefined));
      } catch (error) {
        if (!isFault(error)) throw error;
        // A model that only embeds says nothing.
        if (!/does not support generate/.test(error.message))
          found.push({ what: `speed of ${tag}`, state: 'bad', saw: error.message, fix: 'journalctl -u ollama' });
      }
    }
    return found;
  };
}

export function digestFinding(model: Model, there: string | undefined): Finding {
  const what = `model ${model.tag}`;
  const fix = 'npm run bootstrap -- apply models';
  const wanted = wantedDigest(model);
  if (there === undefined) return { what, state: 'bad', saw: 'it is not there', fix };
  if (wanted === undefined)
    return { what, state: 'warning', saw: `digest ${there.slice(0, 12)}, which is not kept yet`, fix };
  if (there === wanted) return { what, state: 'good', saw: `digest ${there.slice(0, 12)}` };
  return { what, state: 'bad', saw: `digest ${there}, wanted ${wanted}`, fix };
}

export function placeFinding({ tag, context: length }: Model, loaded: Loaded | undefined, withGpu: boolean): Finding {
  const what = `${tag} stays loaded`;
  const fix = 'npm run bootstrap -- apply models';
  if (loaded === undefined) return { what, state: 'bad', saw: 'it is not loaded', fix };
  const { size, sizeVram, context: there, stays } = loaded;
  const saw = `${there} tokens, ${gibibytes(sizeVram)} of ${gibibytes(size)} on the GPU`;
  if (there < length || !stays) return { what, state: 'bad', saw: `${saw}${stays ? '' : ', only for a while'}`, fix };
  if (withGpu && sizeVram !== size)
    return { what, state: 'bad', saw, fix: 'journalctl -u ollama; less context, or more memory for the machine' };
  return { what, state: 'good', saw };
}

export function speedFinding(tag: string, tokensPerSecond: number, cpu: number | undefined): Finding {
  const what = `speed of ${tag}`;
  const saw = `${tokensPerSecond} tokens/s${cpu === undefined ? '' : ` (on the CPU ${cpu})`}`;
  if (cpu === undefined || tokensPerSecond > cpu) return { what, state: 'good', saw };
  return { what, state: 'bad', saw, fix: 'the GPU must be faster than the CPU: journalctl -u ollama' };
}
