import * as fs from 'node:fs';
import { basename } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { servedName, versionName, type TunedModel } from '../../inventory';
import { ollamaVersion } from '../../machines/ollama';
import { ollama as ollamaOf, type Ollama } from '../clients/ollama';
import { Refusal, shortTag } from '../clients/ollama-api';
import type { Context } from '../clients/context';
import { Blocked, EXIT, Interrupted, isFault } from '../engine/problem';
import { fileDigest } from './digests';
import { writeCard } from './card';
import { evaluate } from './evaluation';
import { assertSameBase, readExport, type ExportRecord } from './export-record';
import { alone } from './lock';
import { publishedOn, recordPublished, type Evaluation } from '../stages/models/published';
import {
  KEEP,
  loadResident,
  notLoaded,
  releasesOf,
  removable,
  serve,
  unloadVersion,
  versionOf,
  type Releases,
} from '../clients/model-releases';
import { gigabytes, task } from './task';
import { tunedModel } from './tuned';

/** Bytes that must stay free on the machine's disk after the copy, for logs and for files of Ollama. */
const SPARE_BYTES = 1e9;

/** Copies an exported version to the AI VM, tests it there, and only then serves it to clients. */
export async function publish(context: Context, [name = '', version, ...more]: readonly string[]): Promise<number> {
  const [, model] = tunedModel(context.homelab, [name, ...more].filter(Boolean));
  const record = exported(name, model, version);
  return alone(name, async () => {
    const ollama = ollamaOf(context);
    await ollama.assertVersion(ollamaVersion(context.homelab));
    const plan = await planned(context, ollama, model, record);
    if (plan.lines.length === 0) {
      console.log(`${servedName(name, model)} on ${ollama.vm.name} is v${record.version} already`);
      return EXIT.done;
    }
    console.log(
      [`${versionName(name, record.version)} on ${ollama.vm.name}:`, ...plan.lines.map((line) => `  ${line}`)].join(
        '\n',
      ),
    );
    await context.ask.agree('do that now?');
    context.commands.changing = true;
    try {
      await carriedOut(context, ollama, model, record, plan);
    } finally {
      context.commands.changing = false;
    }
    console.log(`${servedName(name, model)} is v${record.version}; commit models/${name}/v${record.version}/`);
    return EXIT.done;
  });
}

/** @throws Blocked when there is no export that may be published */
function exported(name: string, model: TunedModel, version: string | undefined): ExportRecord {
  const record = readExport(name);
  if (record === undefined)
    throw new Blocked(`${name} is not exported yet. Export it first:\n  npm run models -- export ${name}`);
  if (version !== undefined && versionOf(version) !== record.version)
    throw new Blocked(
      `only the last export can be published (v${record.version}), got ${version}. To serve a version that is already on the machine:\n  npm run models -- rollback ${name} ${version}`,
    );
  assertSameBase(name, model, record.source);
  const gone = record.blobs.find(({ file, size }) => !fs.existsSync(file) || fs.statSync(file).size !== size);
  if (gone !== undefined)
    throw new Blocked(
      `${gone.name} of v${record.version} is missing or changed on this machine:\n  ${gone.file}\nExport it again:\n  npm run models -- export ${name}`,
    );
  return record;
}

interface Plan {
  readonly lines: readonly string[];
  readonly missing: ExportRecord['blobs'];
  readonly isMade: boolean;
  /** Whether the version was tested and is served. */
  readonly isServed: boolean;
  readonly seen: Releases;
  /** Version that clients got before this one. */
  readonly before?: number;
}

/** Plans what is missing on the machine. A plan without lines has nothing to do. */
async function planned({ homelab }: Context, ollama: Ollama, model: TunedModel, record: ExportRecord): Promise<Plan> {
  const { name, version } = record;
  const seen = await releasesOf(ollama, name, model);
  const isMade = await isThere(ollama, record);
  const stable = servedName(name, model);
  const tag = versionName(name, version);
  const card = publishedOn(name, version);
  const isServed = isMade && seen.served === version && card?.digest === seen.stable!.digest;
  const missing: ExportRecord['blobs'][number][] = [];
  if (!isMade) for (const blob of record.blobs) if (!(await ollama.hasBlob(blob.digest))) missing.push(blob);
  const before = seen.served === version ? card?.before : seen.served;
  const free = missing.length > 0 ? await assertRoom(ollama, model, record, missing) : 0;
  const after = { versions: new Map([...seen.versions.keys(), version].map((each) => [each, true])), served: version };
  const unloaded = isServed ? (await notLoaded(ollama, homelab)).includes(shortTag(stable)) : model.resident === true;
  const lines = [
    ...missing.map(({ name: file, size }) => `copy ${file} (${gigabytes(size)}; ${gigabytes(free)} are free there)`),
    ...(isMade ? [] : [`make ${tag}`]),
    ...(isServed ? [] : [`try it: ${model.prompts?.length ?? 0} prompts, speed, memory`]),
    ...(seen.served === version ? [] : [`${stable}: ${shown(seen)} -> v${version}`]),
    ...(unloaded ? [`load ${stable}, to stay`] : []),
    ...removable(after, model.keep ?? KEEP, before).map((old) => `remove ${versionName(name, old)}`),
  ];
  return { lines, missing, isMade, isServed, seen, ...(before !== undefined && { before }) };
}

function shown({ stable, served }: Releases): string {
  return served !== undefined ? `v${served}` : stable === undefined ? 'nothing' : 'an unknown version';
}

/** Whether the machine has the exported version. @throws Blocked when the version there has other weights */
async function isThere(ollama: Ollama, { name, version, blobs, wording }: ExportRecord): Promise<boolean> {
  const tag = versionName(name, version);
  const there = await ollama.show(tag);
  if (there === undefined) return false;
  const digests = there.files.map((file) => basename(file).replace('-', ':'));
  const { template, system, parameters } = there;
  const isSame =
    isDeepStrictEqual(
      digests,
      blobs.map(({ digest }) => digest),
    ) && isDeepStrictEqual({ template, system, parameters }, wording);
  if (isSame) return true;
  throw new Blocked(
    `${tag} on ${ollama.vm.name} differs from the export on this machine in its weights or its template. Another machine may have published it. Pull its cards, then export again as the next version:\n  git pull\n  npm run models -- export ${name}`,
  );
}

/** @returns free bytes. @throws Blocked when there are too few */
async function assertRoom(
  { vm }: Ollama,
  model: TunedModel,
  { name }: ExportRecord,
  missing: ExportRecord['blobs'],
): Promise<number> {
  const free = Number((await vm.facts('models-disk.sh', [], ['free'])).free);
  const wanted = missing.reduce((sum, { size }) => sum + size, 0) + SPARE_BYTES;
  if (free >= wanted) return free;
  throw new Blocked(
    `${vm.name} needs ${gigabytes(wanted)} of free disk for the models, but has ${gigabytes(free)}. Remove unused models there (ollama list, ollama rm), lower keep of ${name} in homelab.ts (now ${model.keep ?? KEEP}), or give the machine a larger systemDisk`,
  );
}

async function carriedOut(
  context: Context,
  ollama: Ollama,
  model: TunedModel,
  record: ExportRecord,
  { missing, isMade, isServed, seen, before }: Plan,
): Promise<void> {
  const { name, version } = record;
  const stable = servedName(name, model);
  for (const blob of missing) await task(`copy ${blob.name}`, (progress) => copyBlob(ollama, blob, progress));
  if (!isMade) await task(`make ${versionName(name, version)}`, (progress) => make(ollama, record, progress));
  if (!isServed) {
    const evaluation = await task(`try ${versionName(name, version)}`, (progress) =>
      tryOut(context, ollama, model, record, seen, progress),
    );
    // Written before the served name moves, so that a run after a kill knows the previous version.
    const published = {
      ...{ machine: ollama.vm.name, ollama: await ollama.version(), at: new Date().toISOString(), evaluation },
      digest: (await releasesOf(ollama, name, model)).versions.get(version)!.digest,
      ...(before !== undefined && { before }),
    };
    writeCard({ exported: record, published });
    recordPublished(name, version, published);
  }
  if (seen.served !== version) {
    await task(`${stable} is v${version}`, () => serve(ollama, name, model, { version, seen }));
    await unloadVersion(ollama, name, seen.served);
  }
  if (model.resident === true)
    await task(`${stable} stays loaded`, (progress) => loadResident(ollama, context.homelab, progress));
  for (const old of removable(await releasesOf(ollama, name, model), model.keep ?? KEEP, before))
    await task(`remove ${versionName(name, old)}`, () => ollama.remove(versionName(name, old)));
}

/** Checks the digest first, to find a broken disk before an hour of copying. Ollama checks it again after the copy. */
async function copyBlob(
  ollama: Ollama,
  { file, digest, size, name }: ExportRecord['blobs'][number],
  progress: (what: string) => void,
): Promise<void> {
  progress(`computes the digest of ${name}`);
  const got = `sha256:${await fileDigest(file)}`;
  if (got !== digest)
    throw new Blocked(
      `${name} must have the digest\n  ${digest}\ngot\n  ${got}\nThe file changed after its check. Nothing was copied. Remove the file and export again:\n  rm ${file}`,
    );
  await ollama.uploadBlob(digest, file, (bytes) =>
    progress(`copies ${name}: ${gigabytes(bytes)} of ${gigabytes(size)} (${Math.floor((bytes / size) * 100)} %)`),
  );
  if (!(await ollama.hasBlob(digest)))
    throw new Refusal(`${name} was copied to ${ollama.vm.name}, but Ollama does not find it there`);
}

async function make(ollama: Ollama, record: ExportRecord, progress: (what: string) => void): Promise<void> {
  const { name, version, blobs, wording } = record;
  const files = Object.fromEntries(blobs.map((blob) => [blob.name, blob.digest]));
  await ollama.create({ model: versionName(name, version), files, ...wording }, progress);
  if (!(await isThere(ollama, record)))
    throw new Refusal(`Ollama created ${versionName(name, version)}, but does not find it`);
}

/** Tests a version. Then loads the models again that the test evicted. Removes a version that fails, unless it is served. */
async function tryOut(
  { homelab }: Context,
  ollama: Ollama,
  model: TunedModel,
  { name, version }: ExportRecord,
  seen: Releases,
  progress: (what: string) => void,
): Promise<Evaluation> {
  const tag = versionName(name, version);
  const undo = async (isBad: boolean) => {
    await ollama.unload(tag);
    if (isBad && seen.served !== version) await ollama.remove(tag);
    await loadResident(ollama, homelab, progress);
  };
  try {
    const tried = await evaluate(ollama, tag, model, ollama.vm.machine.gpu === true, progress);
    await undo(false);
    return tried;
  } catch (error) {
    // If the connection broke or the user interrupted, the next run tests it again.
    if (isFault(error) && !(error instanceof Interrupted)) await undo(true).catch(() => undefined);
    throw error;
  }
}
