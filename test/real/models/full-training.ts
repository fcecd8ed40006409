import * as fs from 'node:fs';
import { join } from 'node:path';
import { servedName } from '../../../inventory';
import { clientLibraries } from './binaries';
import { Owner } from './chain';
import { exportKilled } from './export-kills';
import { ended } from './lan';
import { Mac } from './mac';
import { TestOllama } from './ollama';
import type { ModelPart, ModelSuite } from './suite';
import { BASE_ANSWER, PROMPT, TUNED_ANSWER } from './tiny';

/**
 * Trains all weights of a base (`kind: 'full'`), exports them, kills the export at each of its steps, tries base, fused model and export
 * on the Mac with the printed variables, and publishes the export.
 */
export const FULL_TRAINING: ModelPart = { name: 'full-training', seconds: 100, run: fullTraining };

async function fullTraining(suite: ModelSuite): Promise<void> {
  const { tally, processes, laps } = suite;
  const own = await TestOllama.start(processes, 'ollama-that-tries');
  const served = await TestOllama.start(processes, 'ollama-of-a-full-training', { port: 11434 });
  const mac = new Mac(own.url);
  // The AI VM is this machine.
  fs.writeFileSync(join(mac.path, 'bin', 'ssh'), '#!/bin/bash\nexec sh -c "${@: -1}"\n', { mode: 0o755 });
  try {
    await mac.declare('writer', 'llama', TUNED_ANSWER, (model) => {
      const { rank: _rank, scale: _scale, ...training } = model.training;
      model.training = { ...training, kind: 'full' };
      model.prompts = [{ prompt: PROMPT, exact: TUNED_ANSWER }];
      model.export = { quantization: 'q8_0' };
    });
    const owner = new Owner(suite, mac);
    await owner.good('train', 'writer');
    tally.check('a full training writes no adapter of low rank', !configOf(mac).includes('lora_parameters'));
    await owner.good('export', 'writer');
    await exportKilled(suite, mac, own);
    await tried(suite, mac, [], TUNED_ANSWER);
    await tried(suite, mac, ['--fused'], TUNED_ANSWER);
    await tried(suite, mac, ['--base'], BASE_ANSWER);
    await owner.good('publish', 'writer');
    const answer = await served.answer(servedName('writer', mac.homelab.llm!.models.writer!), PROMPT);
    tally.check('clients get the answer of the full training', answer === TUNED_ANSWER, answer);
    laps.lap('full-training: published');
  } catch (error) {
    throw Object.assign(error as Error, { message: `${(error as Error).message}\n${own.tail()}` });
  } finally {
    await own.stop();
    await served.stop();
    mac.remove();
  }
}

function configOf(mac: Mac): string {
  return fs.readFileSync(join(mac.path, '.homelab/models/writer/train/config.yaml'), 'utf8');
}

/** Runs `try`, and asks with the official libraries and the variables that it prints. */
async function tried({ tally, laps }: ModelSuite, mac: Mac, flags: readonly string[], wanted: string): Promise<void> {
  const command = ['try', 'writer', ...flags];
  const { code, stdout, stderr, seconds } = await mac.run(...command);
  tally.check(`${command.join(' ')} succeeds`, code === 0, `${code}\n${stdout}${stderr}`);
  const lines = [...stdout.matchAll(/^export (\w+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]);
  const env = { PATH: process.env.PATH, NODE_PATH: clientLibraries(), ...Object.fromEntries(lines) };
  const client = [join(__dirname, 'clients', 'client.js'), PROMPT, '48'];
  const asked = await ended(process.execPath, client, { env, timeout: 180_000 });
  const answers = asked.stdout === '' ? {} : JSON.parse(asked.stdout);
  for (const call of ['openaiChat', 'openaiStream', 'nativeChat', 'nativeStream'])
    tally.check(
      `${command.join(' ')}: ${call} with the printed variables gives the answer`,
      answers[call]?.text === wanted,
      `${JSON.stringify(answers[call])}\n${stdout}${asked.stderr}`,
    );
  laps.lap(`npm run models -- ${command.join(' ')}: ${seconds.toFixed(1)} s, and asked`);
}
