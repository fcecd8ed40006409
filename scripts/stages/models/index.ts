import * as fs from 'node:fs';
import { join } from 'node:path';
import { isTuned, servedName, type Homelab, type PulledModel } from '../../../inventory';
import { ollama as ollamaOf, type Ollama } from '../../clients/ollama';
import { shortTag, type Loaded } from '../../clients/ollama-api';
import { action, command } from '../../engine/actions';
import type { Context } from '../../clients/context';
import { ROOT } from '../../engine/root';
import { DIGESTS, knownDigest, rememberDigest } from '../../engine/digests';
import { Blocked, NotReady, Problem } from '../../engine/problem';
import { remoteFile } from '../../engine/remote-file';
import type { Action, Change, Stage, Step } from '../../engine/step';
import {
  OLLAMA_FILES,
  loadModelsUnit,
  ollamaVersion,
  pulledModels,
  residentModels,
  type OnOllama,
} from '../../../machines/ollama';

const UNIT = 'collab-homelab-models.service';

/** The models of homelab.ts: each pulled, with its digest; those that stay loaded. */
export function models(context: Context): Stage {
  return {
    name: 'models',
    title: 'models pulled by digest, and loaded',
    async steps() {
      const { homelab } = context;
      if (homelab.llm === undefined) return [];
      const ollama = ollamaOf(context);
      await ollama.assertVersion(ollamaVersion(homelab));
      const unpublished = await unpublishedModels(homelab, ollama);
      for (const name of unpublished.values())
        console.error(
          `${name} is trained here, and clients get it once it is published:\n  npm run models -- publish ${name}`,
        );
      return [
        ...pulledModels(homelab).flatMap((model) => [modelPulled(ollama, model), ...stableNamed(ollama, model)]),
        ...loadedSteps(homelab, ollama),
      ];
    },
  };
}

/** The model is pulled, and its digest is unchanged. */
export function modelPulled(ollama: Ollama, model: PulledModel): Step {
  const { tag } = model;
  return {
    title: `model ${tag} is there`,
    async plan(): Promise<Change | undefined> {
      const there = (await ollama.tags()).get(shortTag(tag));
      const wanted = wantedDigest(model);
      if (there === undefined) return { actions: [ollama.pull(tag), checkDigest(ollama, model)] };
      if (wanted === undefined) return { lines: [`${tag}: ${there}`], actions: [checkDigest(ollama, model)] };
      if (there !== wanted) throw otherModel(ollama, model, wanted, there);
      return undefined;
    },
  };
}

/** The second name of a pulled model, which clients send. */
function stableNamed(ollama: Ollama, { tag, stable }: PulledModel): Step[] {
  if (stable === undefined) return [];
  const name = action(`${ollama.vm.name}: Ollama copies ${tag} to ${stable}`, () => ollama.copy(tag, stable));
  const plan = async (): Promise<Change | undefined> => {
    const tags = await ollama.tags();
    const [wanted, there] = [tags.get(shortTag(tag)), tags.get(shortTag(stable))];
    if (wanted === undefined) throw new NotReady(`${tag} is not there yet`);
    if (wanted === there) return undefined;
    return { lines: [`${stable}: ${there?.slice(0, 12) ?? 'nothing'} -> ${wanted.slice(0, 12)}`], actions: [name] };
  };
  return [{ title: `${stable} is a name of ${tag}`, plan }];
}

/** Models that are trained here and not on the machine yet: their names in homelab.ts by the name that clients send. */
async function unpublishedModels({ llm }: Homelab, ollama: Ollama): Promise<ReadonlyMap<string, string>> {
  const trained = Object.entries(llm!.models).filter(([, model]) => isTuned(model));
  if (trained.length === 0) return new Map();
  const tags = await ollama.tags();
  return new Map(
    trained
      .map(([name, model]) => [servedName(name, model), name] as const)
      .filter(([served]) => !tags.has(shortTag(served))),
  );
}

/** Models that must be loaded: all that stay loaded, but for those that were never published. */
async function wantedLoaded(homelab: Homelab, ollama: Ollama): Promise<OnOllama[]> {
  const unpublished = await unpublishedModels(homelab, ollama);
  return residentModels(homelab).filter(({ tag }) => !unpublished.has(tag));
}

/** Compares the digest with the one that was kept, or keeps it. */
function checkDigest(ollama: Ollama, model: PulledModel): Action {
  const { tag } = model;
  const known = wantedDigest(model);
  const line = known === undefined ? `keep its digest in ${DIGESTS}` : `compare its digest with ${known}`;
  return action(line, async () => {
    const there = (await ollama.tags()).get(shortTag(tag));
    if (there === undefined) throw new Problem(`Ollama does not list ${tag}, although the pull succeeded`);
    const wanted = wantedDigest(model);
    if (wanted !== undefined && there !== wanted) throw otherModel(ollama, model, wanted, there);
    if (wanted === undefined) rememberDigest(digestKey(model), there);
  });
}

function digestKey({ tag }: PulledModel): string {
  return `ollama:${shortTag(tag)}`;
}

/** Of homelab.ts, or else the one that was kept at the first pull. */
export function wantedDigest(model: PulledModel): string | undefined {
  return model.digest?.replace(/^sha256:/, '') ?? knownDigest(digestKey(model));
}

function otherModel({ vm }: Ollama, { tag, digest }: PulledModel, wanted: string, got: string): Blocked {
  const where = digest === undefined ? DIGESTS : 'homelab.ts';
  return new Blocked(
    `model ${tag} must have the digest\n  ${wanted} (${where}), and on ${vm.name} it has\n  ${got}\nOllama serves it under that tag. Its publisher may have changed what the tag means: look at https://ollama.com/library, then put the new digest into ${where}, or name another tag. To remove the model there:\n  ollama rm ${tag}`,
  );
}

/** The unit that loads models after each start of Ollama, and that they are loaded. */
function loadedSteps(homelab: Homelab, ollama: Ollama): Step[] {
  const { commands, target } = ollama.vm;
  if (residentModels(homelab).length === 0) return [noneStays(ollama)];
  const script = fs.readFileSync(join(ROOT, 'scripts', 'remote', 'ubuntu/load-models.sh'), 'utf8');
  return [
    remoteFile(commands, target, { path: OLLAMA_FILES.loadModels, content: script, mode: '0755' }),
    remoteFile(commands, target, { path: OLLAMA_FILES.modelsUnit, content: loadModelsUnit(homelab) }),
    allLoaded(homelab, ollama),
  ];
}

function allLoaded(homelab: Homelab, ollama: Ollama): Step {
  const resident = residentModels(homelab);
  const options = { seconds: 300 + 900 * resident.length, waitsFor: 'models to load (minutes)' };
  const load = ollama.vm.script('models-start.sh', [], options);
  const fit = action('compare the tokens that they take with homelab.ts', async () => {
    const loaded = await ollama.loaded();
    for (const model of await wantedLoaded(homelab, ollama)) assertFits(model, loaded.get(shortTag(model.tag)));
  });
  return {
    title: `${resident.map(({ tag }) => tag).join(', ')} stay${resident.length === 1 ? 's' : ''} loaded`,
    async plan() {
      const loaded = await ollama.loaded();
      const wanted = await wantedLoaded(homelab, ollama);
      const missing = wanted.filter((model) => !isLoaded(loaded.get(shortTag(model.tag)), model));
      const isEnabled = await enabled(ollama);
      if (missing.length === 0 && isEnabled) {
        assertOnGpu(homelab, wanted, loaded);
        return undefined;
      }
      return {
        lines: [
          ...(isEnabled ? [] : [`${UNIT} is not enabled`]),
          ...missing.map(({ tag, context: length }) => `not loaded for ${length} tokens, to stay: ${tag}`),
        ],
        actions: [load, fit],
      };
    },
  };
}

/** Removes the unit of an earlier homelab.ts: it would load what is no longer wanted. */
function noneStays({ vm: { commands, target } }: Ollama): Step {
  return {
    title: 'no model stays loaded',
    async plan() {
      const { code } = await commands.read(target, ['test', '-e', OLLAMA_FILES.modelsUnit], { accepts: [0, 1] });
      if (code === 1) return undefined;
      const steps = [
        ['systemctl', 'disable', '--now', UNIT],
        ['rm', '-f', OLLAMA_FILES.modelsUnit],
        ['systemctl', 'daemon-reload'],
      ];
      return { actions: steps.map((argv) => command(commands, target, argv)) };
    },
  };
}

async function enabled({ vm: { commands, target } }: Ollama): Promise<boolean> {
  const { stdout } = await commands.read(target, ['systemctl', 'is-enabled', UNIT], { accepts: [0, 1, 4] });
  return stdout.trim() === 'enabled';
}

function isLoaded(loaded: Loaded | undefined, { context: length }: OnOllama): boolean {
  return loaded !== undefined && loaded.context >= length && loaded.stays;
}

/** Ollama loads a model for no more tokens than it was trained with. */
function assertFits({ tag, context: length }: OnOllama, loaded: Loaded | undefined): void {
  if (loaded === undefined)
    throw new Problem(`${tag} must be loaded after ${UNIT} started, but is not; journalctl -u ollama there`);
  if (loaded.context < length)
    throw new Blocked(
      `${tag} must take ${length} tokens, and takes no more than ${loaded.context}; lower its context in homelab.ts`,
    );
}

/** @throws Blocked when a model that stays is only partly on the GPU: it is slow, and stays so until homelab.ts changes */
function assertOnGpu(homelab: Homelab, wanted: readonly OnOllama[], loaded: ReadonlyMap<string, Loaded>): void {
  const machine = homelab.machines[homelab.llm!.machine];
  if (machine?.kind !== 'ubuntu' || machine.gpu !== true) return;
  for (const { tag } of wanted) {
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
