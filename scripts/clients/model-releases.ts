import { servedName, versionName, type Homelab, type TunedModel } from '../../inventory';
import { residentModels } from '../../machines/ollama';
import { Blocked, Problem, Usage } from '../engine/problem';
import type { Progress } from '../engine/step';
import { shortTag, type Installed, type Loaded, type OllamaApi } from './ollama-api';

/** The versions of a trained model on an Ollama. */
export interface Releases {
  readonly versions: ReadonlyMap<number, Installed>;
  /** The model that clients get, or undefined before the first version was published. */
  readonly stable?: Installed;
  /** Number of the version that clients get, or undefined when it is none that is there. */
  readonly served?: number;
}

export async function releasesOf(ollama: OllamaApi, name: string, model: TunedModel): Promise<Releases> {
  const installed = await ollama.installed();
  const versions = new Map<number, Installed>();
  for (const [tag, one] of installed) {
    const version = tag.startsWith(`${name}:v`) ? Number(tag.slice(name.length + 2)) : NaN;
    if (Number.isInteger(version) && tag === versionName(name, version)) versions.set(version, one);
  }
  const stable = installed.get(shortTag(servedName(name, model)));
  if (stable === undefined) return { versions };
  const same = [...versions].filter(([, { digest }]) => digest === stable.digest).map(([version]) => version);
  return { versions, stable, ...(same.length > 0 && { served: Math.max(...same) }) };
}

/** @param text of a command line, such as v3 */
export function versionOf(text: string): number {
  const version = /^v?([1-9]\d{0,5})$/.exec(text)?.[1];
  if (version === undefined) throw new Usage(`a version is v and a number, such as v3, not ${text}`);
  return Number(version);
}

/**
 * Gives clients another version: one call moves the name. Unloads the previous version.
 * @throws Blocked when the name has moved since `seen`
 */
export async function serve(
  ollama: OllamaApi,
  name: string,
  model: TunedModel,
  { version, seen }: { readonly version: number; readonly seen: Releases },
): Promise<void> {
  const stable = servedName(name, model);
  const now = await releasesOf(ollama, name, model);
  if (now.stable?.digest !== seen.stable?.digest)
    throw new Blocked(
      `${stable} has changed during this command: another command moved it to ${now.served === undefined ? 'another version' : `v${now.served}`}. Check it, and run this again:\n  npm run models -- status`,
    );
  await ollama.copy(versionName(name, version), stable);
  const { stable: moved, versions } = await releasesOf(ollama, name, model);
  if (moved === undefined || moved.digest !== versions.get(version)?.digest)
    throw new Problem(`${stable} is not v${version} after the copy; run this again`);
}

/** Takes a version out of memory, by a name that it has. */
export async function unloadVersion(ollama: OllamaApi, name: string, version: number | undefined): Promise<void> {
  if (version !== undefined) await ollama.unload(versionName(name, version));
}

/** Resident models that are not loaded. Leaves out models that do not exist yet. */
export async function notLoaded(ollama: OllamaApi, homelab: Homelab): Promise<string[]> {
  const [there, loaded] = [await ollama.tags(), await ollama.loaded()];
  return residentModels(homelab)
    .map(({ tag, context }) => ({ tag: shortTag(tag), context }))
    .filter(({ tag, context }) => there.has(tag) && !staysLoaded(loaded.get(tag), context))
    .map(({ tag }) => tag);
}

function staysLoaded(one: Loaded | undefined, context: number): boolean {
  return one !== undefined && one.stays && one.context >= context;
}

/** Loads resident models that are not loaded: the test of a version may have evicted them. */
export async function loadResident(ollama: OllamaApi, homelab: Homelab, progress: Progress): Promise<void> {
  const missing = await notLoaded(ollama, homelab);
  for (const { tag, context } of residentModels(homelab))
    if (missing.includes(shortTag(tag))) {
      progress(`Ollama loads ${tag}`);
      await ollama.load(tag, context);
    }
}

/**
 * Versions to remove, the oldest first. Keeps the served version, the one served before, and the newest up to `keep` in all.
 * @param before served before the last move
 */
export function removable(
  { versions, served }: { readonly versions: ReadonlyMap<number, unknown>; readonly served?: number },
  keep: number,
  before: number | undefined,
): number[] {
  if (served === undefined) return [];
  const others = [...versions.keys()].filter((version) => version !== served).sort((a, b) => b - a);
  const first = before !== undefined && others.includes(before) ? [before] : [];
  const kept = new Set([...first, ...others.filter((version) => version !== before)].slice(0, Math.max(1, keep)));
  return others.filter((version) => !kept.has(version)).reverse();
}

/** Default of `keep` in homelab.ts. */
export const KEEP = 2;
