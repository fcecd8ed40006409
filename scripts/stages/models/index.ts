import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Model } from '../../../inventory';
import type { Context } from '../../clients/context';
import { ROOT } from '../../engine/root';
import { DIGESTS, knownDigest, rememberDigest } from '../../engine/digests';
import { isFault, Problem, Blocked } from '../../engine/problem';
import { remoteFile } from '../../engine/remote-file';
import type { Stage, Step } from '../../engine/step';
import { SECOND } from '../../engine/wait';
import { OLLAMA_FILES, loadModelsUnit, residentModels } from '../../../machines/ollama';
import { assertOllama, ollamaApi, shortTag, type Loaded, type OllamaApi } from '../../clients/ollama';
import type { AiVm } from '../../clients/ubuntu';

/** Time for the largest model that fits (40 GB) on a line of 16 Mbit/s; pull.sh ends a smaller one earlier. */
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
      return [...Object.values(llm.models).map((model) => modelPulled(context, model)), ...loadedSteps(context)];
    },
  };
}

/** A model is there, and is the one that it was. */
export function modelPulled(context: Context, model: Model): Step {
  const { tag } = model;
  const key = digestKey(model);
  return {
    title: `model ${tag} is there`,
    async plan() {
      const there = (await ollamaApi(context).tags()).get(shortTag(tag));
      const wanted = wantedDigest(model);
      if (there === undefined)
        return { lines: [`ollama pull ${tag} (${wanted ?? `its digest is kept in ${DIGESTS}`})`] };
      if (wanted === undefined) return { lines: [`keep the digest of ${tag} in ${DIGESTS}: ${there}`] };
      if (there !== wanted) throw otherModel(context, model, wanted, there);
      return undefined;
    },
    async apply(_, progress) {
      const api = ollamaApi(context);
      if (!(await api.tags()).has(shortTag(tag))) await pull(context, api.vm, tag, progress);
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

export function wantedDigest(model: Model): string | undefined {
  return model.digest?.replace(/^sha256:/, '') ?? knownDigest(digestKey(model));
}

function otherModel({ homelab }: Context, { tag, digest }: Model, wanted: string, got: string): Blocked {
  const where = digest === undefined ? DIGESTS : 'homelab.ts';
  return new Blocked(
    `model ${tag} must have the digest\n  ${wanted} (${where}), and on ${homelab.llm!.machine} it has\n  ${got}; it is there under that tag, and Ollama serves it. Its publisher may have changed what the tag means: look at https://ollama.com/library, then take the new digest into ${where}, or name another tag; remove the model there with: ollama rm ${tag}`,
  );
}

/** Ollama keeps what it has of a pull that ended early. */
async function pull({ commands, homelab }: Context, { place }: AiVm, tag: string, progress: (what: string) => void) {
  const options = { seconds: PULL_SECONDS, waitsFor: `the pull of ${tag}` };
  let ended = false;
  const pulling = commands
    .changeScript(place, 'ubuntu/pull.sh', [`${homelab.llm!.port}`, tag], options)
    .finally(() => (ended = true));
  // Handled below; until then a failure must not count as one that nobody hears.
  pulling.catch(() => undefined);
  progress(`pulls ${tag}`);
  for (;;) {
    // The pull itself is what keeps this going.
    await Promise.race([pulling, new Promise((resolve) => setTimeout(resolve, PROGRESS_SECONDS * SECOND).unref())]);
    if (ended) break;
    const seen = await pullProgress({ commands }, place).catch((error: unknown) =>
      isFault(error) ? undefined : Promise.reject(error),
    );
    if (seen !== undefined) progress(`pulls ${tag}: ${seen}`);
  }
  await pulling;
}

async function pullProgress(
  { commands }: Pick<Context, 'commands'>,
  place: AiVm['place'],
): Promise<string | undefined> {
  const { stdout } = await commands.readScript(place, 'ubuntu/pull.sh', ['progress'], { seconds: 20, asRoot: true });
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
  const script = fs.readFileSync(join(ROOT, 'scripts', 'remote', 'ubuntu/load-models.sh'), 'utf8');
  return [
    remoteFile(commands, place, { path: OLLAMA_FILES.loadModels, content: script, mode: '0755' }),
    remoteFile(commands, place, { path: OLLAMA_FILES.modelsUnit, content: loadModelsUnit(homelab) }),
    {
      title: `${resident.map(([, { tag }]) => tag).join(', ')} stay${resident.length === 1 ? 's' : ''} loaded`,
      async plan() {
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
      async apply(_, progress) {
        progress('loads models (minutes)');
        const options = { seconds: 300 + 900 * resident.length, waitsFor: 'models to load' };
        await commands.changeScript(place, 'ubuntu/models-start.sh', [], options);
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
    async plan() {
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
    throw new Blocked(
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
      throw new Blocked(
        `${tag} must be on the GPU as a whole, and ${gibibytes(sizeVram)} of ${gibibytes(size)} are; give it less context or ${homelab.llm!.machine} more memory in homelab.ts, or see why with: journalctl -u ollama`,
      );
  }
}

export function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
