import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Model } from '../../inventory';
import type { Finding, Look } from '../engine/check';
import { ROOT, type Context } from '../engine/context';
import { DIGESTS, knownDigest, rememberDigest } from '../engine/digests';
import { isFault, Problem, Stop } from '../engine/problem';
import { remoteFile } from '../engine/remote-file';
import type { Stage, Step } from '../engine/step';
import { SECOND } from '../engine/wait';
import { OLLAMA_FILES, loadModelsUnit, residentModels } from '../machines/ollama';
import { assertOllama, ollamaApi, shortTag, type Loaded, type OllamaApi } from './ai-vm/api';
import { gpuState } from './ai-vm/gpu-record';
import type { AiVm } from './ai-vm/machine';

/** Time for the largest model that fits (40 GB) on a line of 16 Mbit/s; ai-pull.sh ends a smaller one earlier. */
const PULL_SECONDS = 6 * 3600;
/** How often the progress of a pull is looked at. */
const PROGRESS_SECONDS = 5;

/** The models of homelab.ts: each there with its digest, those that stay loaded. */
export function models(context: Context): Stage {
  return {
    name: 'models',
    title: 'models pulled by digest, and loaded',
    async steps() {
      const { llm } = context.homelab;
      if (llm === undefined) return [];
      await assertOllama(context, ollamaApi(context));
      return [...Object.values(llm.models).map((model) => pulled(context, model)), ...loadedSteps(context)];
    },
  };
}

/** A model is there, and is the one that it was. */
export function pulled(context: Context, model: Model): Step {
  const { tag } = model;
  const key = digestKey(model);
  return {
    title: `model ${tag} is there`,
    async look() {
      const there = (await ollamaApi(context).tags()).get(shortTag(tag));
      const wanted = wantedDigest(model);
      if (there === undefined)
        return { lines: [`ollama pull ${tag} (${wanted ?? `its digest is kept in ${DIGESTS}`})`] };
      if (wanted === undefined) return { lines: [`keep the digest of ${tag} in ${DIGESTS}: ${there}`] };
      if (there !== wanted) throw otherModel(context, model, wanted, there);
      return undefined;
    },
    async apply(_, say) {
      const api = ollamaApi(context);
      if (!(await api.tags()).has(shortTag(tag))) await pull(context, api.vm, tag, say);
      const there = (await api.tags()).get(shortTag(tag));
      if (there === undefined) throw new Problem(`${tag} must be there after it was pulled, and is not`);
      const wanted = wantedDigest(model);
      if (wanted !== undefined && there !== wanted) throw otherModel(context, model, wanted, there);
      if (wanted === undefined) rememberDigest(key, there);
    },
  };
}

function digestKey({ tag }: Model): string {
  return `ollama:${shortTag(tag)}`;
}

function wantedDigest(model: Model): string | undefined {
  return model.digest?.replace(/^sha256:/, '') ?? knownDigest(digestKey(model));
}

function otherModel({ homelab }: Context, { tag, digest }: Model, wanted: string, got: string): Stop {
  const where = digest === undefined ? DIGESTS : 'homelab.ts';
  return new Stop(
    `model ${tag} must have the digest\n  ${wanted} (${where}), and on ${homelab.llm!.machine} it has\n  ${got}; it is there under that tag, and Ollama serves it. Its publisher may have changed what the tag means: look at https://ollama.com/library, then take the new digest into ${where}, or name another tag; remove the model there with: ollama rm ${tag}`,
  );
}

/** Ollama keeps what it has of a pull that ended early. */
async function pull({ commands, homelab }: Context, { place }: AiVm, tag: string, say: (what: string) => void) {
  const options = { seconds: PULL_SECONDS, waitsFor: `the pull of ${tag}` };
  let ended = false;
  const pulling = commands
    .changeScript(place, 'ai-pull.sh', [`${homelab.llm!.port}`, tag], options)
    .finally(() => (ended = true));
  // Handled below; until then a failure must not count as one that nobody hears.
  pulling.catch(() => undefined);
  say(`pulls ${tag}`);
  for (;;) {
    // The pull itself is what keeps this going.
    await Promise.race([pulling, new Promise((resolve) => setTimeout(resolve, PROGRESS_SECONDS * SECOND).unref())]);
    if (ended) break;
    const seen = await progress({ commands }, place).catch((error: unknown) =>
      isFault(error) ? undefined : Promise.reject(error),
    );
    if (seen !== undefined) say(`pulls ${tag}: ${seen}`);
  }
  await pulling;
}

async function progress({ commands }: Pick<Context, 'commands'>, place: AiVm['place']): Promise<string | undefined> {
  const { stdout } = await commands.readScript(place, 'ai-pull.sh', ['progress'], { seconds: 20, asRoot: true });
  const [total, there] = stdout.trim().split(' ').map(Number);
  if (!(total! > 0) || !(there! >= 0)) return undefined;
  const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(1);
  return `${gigabytes(there!)} of ${gigabytes(total!)} GB (${Math.floor((there! / total!) * 100)} %)`;
}

/** What loads models after each start of Ollama, and that it did. */
function loadedSteps(context: Context): Step[] {
  const { commands, homelab } = context;
  const resident = residentModels(homelab);
  const api = ollamaApi(context);
  const { place } = api.vm;
  if (resident.length === 0) return [noneStays(context, api)];
  const script = fs.readFileSync(join(ROOT, 'scripts', 'host', 'ai-load-models.sh'), 'utf8');
  return [
    remoteFile(commands, place, { path: OLLAMA_FILES.loadModels, content: script, mode: '0755' }),
    remoteFile(commands, place, { path: OLLAMA_FILES.modelsUnit, content: loadModelsUnit(homelab) }),
    {
      title: `${resident.map(([, { tag }]) => tag).join(', ')} stay${resident.length === 1 ? 's' : ''} loaded`,
      async look() {
        const loaded = await api.loaded();
        const missing = resident.filter(([, model]) => !isLoaded(loaded.get(shortTag(model.tag)), model));
        const isEnabled = await enabled(context, api);
        if (missing.length === 0 && isEnabled) {
          assertOnGpu(context, loaded);
          return undefined;
        }
        return {
          lines: [
            'systemctl enable, restart collab-homelab-models.service',
            ...missing.map(([, { tag, context: length }]) => `load ${tag} for ${length} tokens, to stay`),
          ],
        };
      },
      async apply(_, say) {
        say('loads models (minutes)');
        const options = { seconds: 300 + 900 * resident.length, waitsFor: 'models to load' };
        await commands.changeScript(place, 'ai-models-start.sh', [], options);
        const loaded = await api.loaded();
        for (const [, model] of resident) assertFits(model, loaded.get(shortTag(model.tag)));
      },
    },
  ];
}

/** The unit of an earlier homelab.ts goes, or it would load what is no longer wanted. */
function noneStays({ commands }: Context, { vm: { place } }: OllamaApi): Step {
  return {
    title: 'no model stays loaded',
    async look() {
      const { code } = await commands.read(place, ['test', '-e', OLLAMA_FILES.modelsUnit], { accepts: [0, 1] });
      return code === 0 ? { lines: [`remove ${OLLAMA_FILES.modelsUnit}`] } : undefined;
    },
    async apply() {
      await commands.change(place, ['systemctl', 'disable', '--now', 'collab-homelab-models.service']);
      await commands.change(place, ['rm', '-f', OLLAMA_FILES.modelsUnit]);
      await commands.change(place, ['systemctl', 'daemon-reload']);
    },
  };
}

async function enabled({ commands }: Context, { vm: { place } }: OllamaApi): Promise<boolean> {
  const argv = ['systemctl', 'is-enabled', 'collab-homelab-models.service'];
  const { stdout } = await commands.read(place, argv, { accepts: [0, 1, 4] });
  return stdout.trim() === 'enabled';
}

function isLoaded(loaded: Loaded | undefined, { context: length }: Model): boolean {
  return loaded !== undefined && loaded.context >= length && loaded.stays;
}

/** Ollama loads a model for no more tokens than it was trained with. */
function assertFits({ tag, context: length }: Model, loaded: Loaded | undefined): void {
  if (loaded === undefined)
    throw new Problem(`${tag} must be loaded after it was, and is not; journalctl -u ollama there`);
  if (loaded.context < length)
    throw new Stop(
      `${tag} must take ${length} tokens, and takes no more than ${loaded.context}; lower its context in homelab.ts`,
    );
}

/** @throws Stop when a model that stays is only partly on the GPU: it is slow, and stays so until homelab.ts changes */
function assertOnGpu({ homelab }: Context, loaded: ReadonlyMap<string, Loaded>): void {
  const machine = homelab.machines[homelab.llm!.machine];
  if (machine?.kind !== 'ubuntu' || machine.gpu !== true) return;
  for (const [, { tag }] of residentModels(homelab)) {
    const { size, sizeVram } = loaded.get(shortTag(tag))!;
    if (sizeVram !== size)
      throw new Stop(
        `${tag} must be on the GPU as a whole, and ${gibibytes(sizeVram)} of ${gibibytes(size)} are; give it less context or ${homelab.llm!.machine} more memory in homelab.ts, or see why with: journalctl -u ollama`,
      );
  }
}

/** For verify: digests of all models; of those that stay also whether the GPU has them, and their speed. */
export function modelFindings(context: Context): Look {
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

function digestFinding(model: Model, there: string | undefined): Finding {
  const what = `model ${model.tag}`;
  const fix = 'npm run bootstrap -- apply models';
  const wanted = wantedDigest(model);
  if (there === undefined) return { what, state: 'bad', saw: 'it is not there', fix };
  if (wanted === undefined)
    return { what, state: 'warning', saw: `digest ${there.slice(0, 12)}, which is not kept yet`, fix };
  if (there === wanted) return { what, state: 'good', saw: `digest ${there.slice(0, 12)}` };
  return { what, state: 'bad', saw: `digest ${there}, wanted ${wanted}`, fix };
}

function placeFinding({ tag, context: length }: Model, loaded: Loaded | undefined, withGpu: boolean): Finding {
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

function speedFinding(tag: string, tokensPerSecond: number, cpu: number | undefined): Finding {
  const what = `speed of ${tag}`;
  const saw = `${tokensPerSecond} tokens/s${cpu === undefined ? '' : ` (on the CPU ${cpu})`}`;
  if (cpu === undefined || tokensPerSecond > cpu) return { what, state: 'good', saw };
  return { what, state: 'bad', saw, fix: 'the GPU must be faster than the CPU: journalctl -u ollama' };
}

function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
