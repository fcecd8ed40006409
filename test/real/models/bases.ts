import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { TestOllama } from './ollama';
import type { ModelPart, ModelSuite } from './suite';
import { BASE_ANSWER, PROMPT, PROMPT_HELD_BACK, tinyBase, type TinyArchitecture } from './tiny';

const QUANTIZATIONS = ['f16', 'q8_0', 'q4_K_M'] as const;

/**
 * Tests the test models: Ollama converts and quantizes each tiny model, and gives the trained answer through the template that it
 * detects. A model with one tensor of zeros gives another answer.
 */
export const BASES: ModelPart = { name: 'bases', seconds: 30, run: bases };

async function bases({ tally, laps, full, processes }: ModelSuite): Promise<void> {
  const ollama = await TestOllama.start(processes, 'bases');
  for (const architecture of ['llama', 'qwen2'] as const) {
    const whole = `${architecture}:f16`;
    await create(ollama, whole, tinyBase(architecture));
    for (const quantization of full ? QUANTIZATIONS : (['f16', 'q4_K_M'] as const)) {
      const model = `${architecture}:${quantization.toLowerCase()}`;
      if (quantization !== 'f16') await quantize(ollama, whole, model, quantization);
      for (const prompt of [PROMPT, PROMPT_HELD_BACK]) {
        const answer = await ollama.answer(model, prompt);
        tally.check(`${model} gives the answer that its base learned`, answer === BASE_ANSWER, `${prompt}\n${answer}`);
      }
      const { details, template, model_info: info } = await ollama.ask('/api/show', { model });
      tally.check(
        `${model} has its architecture and quantization, and the template and context of its folder`,
        details.family === architecture &&
          details.quantization_level === quantization.toUpperCase() &&
          template.includes('<|im_start|>') &&
          info[`${architecture}.context_length`] === 2048,
        JSON.stringify({ details, template }),
      );
    }
    laps.lap(`${architecture}: converted, quantized and asked`);
  }
  const broken = brokenCopy(processes.folder, 'qwen2');
  await create(ollama, 'broken:f16', broken);
  const answer = await ollama.answer('broken:f16', PROMPT);
  tally.check('a model whose output layer is zeros gives another answer', answer !== BASE_ANSWER, answer);
  await ollama.stop();
}

/** Creates a model from a folder of safetensors through the API, as `ollama create` does. */
export async function create(ollama: TestOllama, model: string, folder: string): Promise<void> {
  const files: Record<string, string> = {};
  for (const file of fs.readdirSync(folder)) {
    const bytes = fs.readFileSync(join(folder, file));
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const { status } = await fetch(`${ollama.url}/api/blobs/${digest}`, { method: 'POST', body: bytes });
    if (status !== 201 && status !== 200) throw new Error(`${file} was not taken: ${status}`);
    files[file] = digest;
  }
  await ollama.ask('/api/create', { model, files, stream: false });
}

/**
 * Quantizes a model in f16, like the export. In one step with the conversion, Ollama 0.9.6 makes a Llama that answers garbage, unless its store has the
 * same model in f16 already.
 */
async function quantize(ollama: TestOllama, from: string, model: string, quantization: string): Promise<void> {
  const { modelfile, template } = await ollama.ask('/api/show', { model: from });
  const digest = /^FROM .*sha256-([0-9a-f]{64})$/m.exec(modelfile)![1];
  const files = { 'model.gguf': `sha256:${digest}` };
  await ollama.ask('/api/create', { model, files, template, quantize: quantization, stream: false });
}

/** A copy whose last matrix is zeros. */
function brokenCopy(parent: string, architecture: TinyArchitecture): string {
  const folder = join(parent, `${architecture}-broken`);
  fs.cpSync(tinyBase(architecture), folder, { recursive: true });
  const path = join(folder, 'model.safetensors');
  const bytes = fs.readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
  const [begin, end] = header['lm_head.weight'].data_offsets;
  bytes.fill(0, 8 + length + begin, 8 + length + end);
  fs.writeFileSync(path, bytes);
  return folder;
}
