import * as fs from 'node:fs';
import { join } from 'node:path';
import { exportSettings, trainingSettings, versionName, type TunedModel } from '../../inventory';
import type { OllamaApi } from '../clients/ollama-api';
import type { Context } from '../clients/context';
import { json } from '../engine/json';
import { Blocked, EXIT, Problem } from '../engine/problem';
import type { Progress } from '../engine/step';
import { fileDigest } from './digests';
import {
  effectCheck,
  quantizedCheck,
  sameCheck,
  scaleCheck,
  templateCheck,
  trainingCheck,
  type ExportCheck,
  type Greedy,
} from './equality';
import { ANSWER_TOKENS } from './evaluation';
import {
  assertSameBase,
  forgetExport,
  readExport,
  writeExport,
  type ExportRecord,
  type ExportSource,
} from './export-record';
import { exportFolder } from './folders';
import { alone } from './lock';
import { Mlx, type Asked } from './mlx';
import { assertOwnOllama, ownOllama, weightsOf } from './own-ollama';
import { cardVersions } from '../stages/models/published';
import { environment } from './python';
import { gigabytes, task } from './task';
import { baseFolder } from './base';
import { finishedTraining } from './trained';
import type { TrainingResult } from './training';
import { tunedModel } from './tuned';

/** Disk space that Ollama needs, in sizes of the fused model: the upload, the f16 model and the quantized model. */
const ROOM = 3;

/** Makes the next version: fuses, converts and quantizes the trained model, and compares it with MLX. */
export async function exportModel(context: Context, args: readonly string[]): Promise<number> {
  const [name, model] = tunedModel(context.homelab, args);
  const training = await finishedTraining(name);
  const source = sourceOf(model, training);
  assertSameBase(name, model, source);
  const prompts = (model.prompts ?? []).map(({ prompt, tokens = ANSWER_TOKENS }) => ({ prompt, tokens }));
  if (prompts.length === 0)
    throw new Blocked(
      `${name} has no prompts in homelab.ts, so its export cannot be compared with the trained model. Add one:\n  prompts: [{ prompt: '...', contains: '...' }]`,
    );
  return alone(name, async () => {
    context.commands.changing = true;
    try {
      const known = readExport(name);
      if (known !== undefined && isOf(known, source)) {
        if (fs.existsSync(fusedFolder(name))) await tidy(ownOllama(context), name, known.version);
        console.log(`${versionName(name, known.version)} is exported already:\n  npm run models -- publish ${name}`);
        return EXIT.done;
      }
      const record = await new Export(context, name, model, training, source, prompts).run();
      console.log(`${versionName(name, record.version)} is exported:\n  npm run models -- publish ${name}`);
    } finally {
      context.commands.changing = false;
    }
    return EXIT.done;
  });
}

function sourceOf(model: TunedModel, { base, revision, adapterDigest }: TrainingResult): ExportSource {
  const { quantization, template, system } = exportSettings(model);
  const wording = { ...(template !== undefined && { template }), ...(system !== undefined && { system }) };
  return { base, revision, adapterDigest, quantization, ...wording };
}

function isOf({ source, blobs }: ExportRecord, wanted: ExportSource): boolean {
  const keys = ['base', 'revision', 'adapterDigest', 'quantization', 'template', 'system'] as const;
  return keys.every((key) => source[key] === wanted[key]) && blobs.every(({ file }) => fs.existsSync(file));
}

/** One export. It writes export.json when all checks are made. The next export removes or replaces the files of a killed one. */
class Export {
  private readonly ollama: OllamaApi;
  private readonly folder: string;
  private readonly fused: string;
  private readonly checks: ExportCheck[] = [];
  private readonly whole: string;

  constructor(
    private readonly context: Context,
    private readonly name: string,
    private readonly model: TunedModel,
    private readonly training: TrainingResult,
    private readonly source: ExportSource,
    private readonly prompts: readonly Asked[],
  ) {
    this.ollama = ownOllama(context);
    this.folder = exportFolder(name);
    this.fused = fusedFolder(name);
    this.whole = wholeName(name);
  }

  async run(): Promise<ExportRecord> {
    const { name, context, model } = this;
    const version = Math.max(0, readExport(name)?.version ?? 0, ...cardVersions(name)) + 1;
    const tag = versionName(name, version);
    const ollama = await assertOwnOllama(this.ollama);
    forgetExport(name);
    const python = await environment(context);
    const mlx = new Mlx(context, python);
    const base = await baseFolder(context, python, model.base);
    const answers = await this.fuseAndCheck(mlx, base);
    await this.convert(answers);
    await this.quantize(tag, answers);
    const { file, digest, size } = await weightsOf(this.ollama, tag);
    const { template, system, parameters } = (await this.ollama.show(tag))!;
    const record: ExportRecord = {
      name,
      version,
      source: this.source,
      training: this.training,
      blobs: [{ name: 'model.gguf', digest, size, file }],
      wording: { template, system, parameters },
      checks: this.checks,
      versions: { ...this.training.versions, ollama },
      made: new Date().toISOString(),
    };
    writeExport(record);
    await tidy(this.ollama, name, version);
    return record;
  }

  private async fuseAndCheck(mlx: Mlx, base: string): Promise<Greedy[]> {
    const { fused, prompts, training } = this;
    const { adapter } = training;
    const { kind, scale } = trainingSettings(this.model.training);
    if (kind === 'lora') this.check(scaleCheck(scale, configuredScale(adapter)));
    fs.rmSync(this.folder, { recursive: true, force: true });
    await task('fuse', () => mlx.fuse(base, adapter, fused));
    this.check(
      await task('compare the weights', async () => effectCheck(await mlx.effect(base, adapter, fused, scale))),
    );
    const { system } = this.source;
    const asked = { prompts, ...(system !== undefined && { system }) };
    return task('compare base, adapter and fused model with MLX', async (progress) => {
      progress('the base answers');
      const ofBase = await mlx.greedy(base, asked);
      progress('base and adapter answer');
      const ofAdapter = await mlx.greedy(base, { ...asked, adapter });
      progress('the fused model answers');
      const ofFused = await mlx.greedy(fused, asked);
      this.check(trainingCheck(ofBase, ofAdapter, ofFused));
      return ofFused;
    });
  }

  /**
   * Lets Ollama convert the fused model to f16, and compares its answers with MLX. This loads the model, which must happen before
   * the quantization: Ollama 0.9.6 quantizes f16 to garbage until it has loaded a model.
   */
  private async convert(answers: readonly Greedy[]): Promise<void> {
    const { fused, whole, source } = this;
    const files = fs.readdirSync(fused).filter((file) => /\.(safetensors|json|model)$/.test(file));
    this.assertRoom(files);
    const digests: Record<string, string> = {};
    await task('upload the fused model to Ollama', async (progress) => {
      for (const file of files) {
        progress(`uploads ${file}`);
        digests[file] = `sha256:${await fileDigest(join(fused, file))}`;
        if (!(await this.ollama.hasBlob(digests[file]))) await this.ollama.uploadBlob(digests[file], join(fused, file));
      }
    });
    const { template, system } = source;
    const wording = { ...(template !== undefined && { template }), ...(system !== undefined && { system }) };
    await task('convert', (progress) => this.ollama.create({ model: whole, files: digests, ...wording }, progress));
    await task('compare Ollama in f16 with MLX', async (progress) => {
      for (const [at, { prompt }] of this.prompts.entries()) {
        const text = await this.say(whole, at, answers[at]!.rendered, progress);
        this.check(sameCheck(prompt, answers[at]!, text));
        this.check(templateCheck(prompt, text, await this.say(whole, at, undefined, progress)));
      }
    });
  }

  private async quantize(tag: string, answers: readonly Greedy[]): Promise<void> {
    const { source, whole } = this;
    const { quantization } = source;
    if (quantization === 'f16') return this.ollama.copy(whole, tag);
    const { digest } = await weightsOf(this.ollama, whole);
    const { template, system, parameters } = (await this.ollama.show(whole))!;
    const request = {
      model: tag,
      files: { 'model.gguf': digest },
      template,
      system,
      parameters,
      quantize: quantization,
    };
    await task(`quantize to ${quantization}`, (progress) => this.ollama.create(request, progress));
    const { tolerance } = exportSettings(this.model);
    await task(`compare ${quantization} with f16`, async (progress) => {
      for (const [at, { prompt }] of this.prompts.entries()) {
        const text = await this.say(tag, at, answers[at]!.rendered, progress);
        this.check(quantizedCheck(prompt, answers[at]!.text, text, tolerance));
      }
    });
  }

  /** @param rendered prompt after the chat template; undefined applies the template of Ollama */
  private async say(tag: string, at: number, rendered: string | undefined, progress: Progress): Promise<string> {
    const { prompt, tokens } = this.prompts[at]!;
    progress(`${tag} answers prompt ${at + 1} of ${this.prompts.length}`);
    const { context } = this.model;
    const { text } = await this.ollama.answer({
      tag,
      context,
      tokens,
      prompt: rendered ?? prompt,
      raw: rendered !== undefined,
    });
    return text;
  }

  /** @throws Problem when the check failed: the exported model differs from the trained one */
  private check(made: ExportCheck): void {
    this.checks.push(made);
    if (!made.good) throw new Problem(`${this.name} is not exported. A check failed: ${made.what}, got: ${made.saw}`);
  }

  private assertRoom(files: readonly string[]): void {
    const size = files.reduce((sum, file) => sum + fs.statSync(join(this.fused, file)).size, 0);
    const { bavail, bsize } = fs.statfsSync(this.folder);
    if (bavail * bsize < size * ROOM)
      throw new Blocked(
        `this machine needs ${gigabytes(size * ROOM)} of free disk to convert and quantize ${this.name}, but has ${gigabytes(bavail * bsize)}. Remove models that you do not need:\n  ollama list\n  ollama rm MODEL`,
      );
  }
}

/**
 * Removes earlier versions, the conversion and the fused model. Each takes gigabytes and is not needed any more. The folder goes last:
 * while it exists, the next `export` tidies up.
 */
async function tidy(ollama: OllamaApi, name: string, version: number): Promise<void> {
  const old = (tag: string) => tag.startsWith(`${name}:v`) && tag !== versionName(name, version);
  for (const tag of (await ollama.tags()).keys()) if (tag === wholeName(name) || old(tag)) await ollama.remove(tag);
  fs.rmSync(fusedFolder(name), { recursive: true, force: true });
}

/** Folder of the fused model in f16. */
function fusedFolder(name: string): string {
  return join(exportFolder(name), 'fused');
}

/** Name of the f16 model in Ollama, for the comparison. */
function wholeName(name: string): string {
  return `${name}:export-f16`;
}

/** Scale that MLX uses when it applies the adapter. */
function configuredScale(adapter: string): unknown {
  const file = join(adapter, 'adapter_config.json');
  if (!fs.existsSync(file)) throw new Blocked(`${file} is missing. It holds the scale of the adapter. Train again.`);
  return json(fs.readFileSync(file, 'utf8'), file).lora_parameters?.scale;
}
