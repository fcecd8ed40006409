import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { ExportRecord } from '../../../scripts/models/export-record';
import { create } from './bases';
import type { Ended } from './lan';
import { Mac } from './mac';
import { TestOllama } from './ollama';
import { Disk, refusedReleases } from './refused-releases';
import type { ModelPart, ModelSuite } from './suite';
import { BASE_ANSWER, PROMPT, tinyBase } from './tiny';

const QUANTIZATIONS = ['f16', 'q8_0', 'q4_K_M'] as const;

/** Changes on the machine at which publish is killed: before the change, in the middle of a copy, or after the change. */
const CHANGES = ['the copy of the weights', 'the new version', 'the move of the name', 'the removal of an old version'];
const KILLS = CHANGES.flatMap((what, at) => [
  { what: `before ${what}`, fault: `${at} before` },
  ...(at === 0 ? [{ what: 'in the middle of the copy', fault: '0 half' }] : []),
  { what: `after ${what}`, fault: `${at} after` },
]);
const SAMPLE = ['in the middle of the copy', 'after the new version', 'after the move of the name'];

/**
 * Tests publish and rollback with a real Ollama: killed at every change, with a copy that is damaged on its way, and with each
 * quantization and architecture. A stand-in for SSH runs the command here, and injects the fault that a file names.
 */
export const RELEASE: ModelPart = { name: 'release', seconds: 120, run: release };

async function release(suite: ModelSuite): Promise<void> {
  const { processes } = suite;
  const own = await TestOllama.start(processes, 'ollama-that-converts');
  const disk = new Disk(join(processes.folder, 'ollama-that-serves', 'models'));
  const served = await TestOllama.start(processes, 'ollama-that-serves', { port: 11434 });
  const mac = new Mac(own.url);
  try {
    await new Release(suite, own, served, mac, disk).run();
  } finally {
    await own.stop();
    await served.stop();
    disk.remove();
    mac.remove();
  }
}

export class Release {
  readonly fault: string;

  constructor(
    readonly suite: ModelSuite,
    private readonly own: TestOllama,
    readonly served: TestOllama,
    readonly mac: Mac,
    readonly disk: Disk,
  ) {
    this.fault = join(mac.path, '.homelab', 'fault');
    const root = join(mac.path, '.homelab', 'root-of-ai-vm');
    fs.mkdirSync(join(root, 'usr/share/ollama/.ollama'), { recursive: true });
    fs.symlinkSync(disk.path, join(root, 'usr/share/ollama/.ollama/models'));
    const ssh = join(mac.path, 'bin', 'ssh');
    const text = SSH.replaceAll('FAULT', this.fault).replaceAll('MODELS', disk.path).replaceAll('TOP', root);
    fs.writeFileSync(ssh, text, { mode: 0o755 });
  }

  async run(): Promise<void> {
    const { mac, suite } = this;
    await mac.declare('writer', 'llama', undefined, (model) => {
      model.prompts = [{ prompt: PROMPT, similarTo: BASE_ANSWER, tolerance: 0, tokens: 24 }];
      model.keep = 1;
    });
    // Versions 1 to 3 give the answer of the base, version 4 gives another one.
    await this.publish(1, 'llama', tinyBase('llama'), 'q8_0');
    await this.publish(2, 'llama', tinyBase('llama'), 'f16');
    await this.publish(3, 'qwen2', tinyBase('qwen2'), 'q8_0');
    const other = await this.export_(4, 'qwen2', shiftedCopy(suite.processes.folder), 'q4_K_M');
    const kills = suite.full ? KILLS : KILLS.filter(({ what }) => SAMPLE.includes(what));
    for (const { what, fault } of kills) await this.killed(what, fault, other);
    await this.damaged(other);
    await refusedReleases(this, other);
    await this.back(other);
    if (suite.full)
      for (const [at, quantization] of QUANTIZATIONS.entries())
        for (const [and, architecture] of (['llama', 'qwen2'] as const).entries())
          await this.publish(5 + 2 * at + and, architecture, tinyBase(architecture), quantization);
  }

  /** Kills publish, and lets the next run finish. */
  private async killed(what: string, fault: string, other: ExportRecord): Promise<void> {
    const { tally, laps } = this.suite;
    await this.reset(other);
    fs.writeFileSync(this.fault, fault);
    const killed = await this.mac.run('publish', 'writer');
    fs.rmSync(this.fault, { force: true });
    tally.check(
      `killed ${what}: the run was killed`,
      killed.code === -1,
      `${killed.code}\n${killed.stdout}${killed.stderr}`,
    );
    const moved = /after the move|removal/.test(what);
    const between = await this.answer();
    tally.check(
      `killed ${what}: clients get the complete ${moved ? 'new' : 'old'} version`,
      (between === BASE_ANSWER) !== moved,
      between,
    );
    const next = await this.mac.run('publish', 'writer');
    const names = [...(await this.served.digests()).keys()].sort();
    tally.check(
      `killed ${what}: the next run finishes`,
      next.code === 0 && (await this.answer()) !== BASE_ANSWER && names.join() === 'writer:stable,writer:v3,writer:v4',
      `${next.code}\n${next.stdout}${next.stderr}\n${names.join()}`,
    );
    laps.lap(`release: killed ${what}`);
  }

  /** Adds a byte to the copy. Ollama rejects it with the reason. */
  private async damaged(other: ExportRecord): Promise<void> {
    await this.reset(other);
    fs.writeFileSync(this.fault, '0 damage');
    const { code, stdout, stderr } = await this.mac.run('publish', 'writer');
    fs.rmSync(this.fault);
    const refused = code === 1 && /digest/.test(stderr);
    this.suite.tally.check('a copy that was damaged on its way is rejected', refused, `${code}\n${stdout}${stderr}`);
    const answer = await this.answer();
    this.suite.tally.check('clients keep the previous version', answer === BASE_ANSWER, answer);
  }

  private async back(other: ExportRecord): Promise<void> {
    const { tally, laps } = this.suite;
    await this.reset(other);
    await this.good('publish', 'writer');
    tally.check('the other model gives another answer', (await this.answer()) !== BASE_ANSWER);
    const { seconds } = await this.good('rollback', 'writer');
    const answer = await this.answer();
    tally.check('after a rollback clients get the old answers', answer === BASE_ANSWER, answer);
    tally.check('a rollback takes less than 5 s', seconds < 5, `${seconds}`);
    laps.lap(`release: a rollback took ${seconds.toFixed(1)} s`);
    const { stdout } = await this.good('status', '--json');
    const [model] = JSON.parse(stdout).models;
    tally.check('status shows the served version', model.version === 3, stdout);
    const file = join(this.mac.path, 'page.html');
    await this.good('compare', 'writer', 'v3', 'v4', '--html', file);
    tally.check('compare writes a page', fs.readFileSync(file, 'utf8').includes(BASE_ANSWER.slice(0, 12)));
  }

  /** Exports and publishes a model that answers like the base. */
  private async publish(
    version: number,
    architecture: 'llama' | 'qwen2',
    folder: string,
    quantization: (typeof QUANTIZATIONS)[number],
  ): Promise<void> {
    await this.export_(version, architecture, folder, quantization);
    await this.good('publish', 'writer');
    const answer = await this.answer();
    this.suite.tally.check(`${architecture} in ${quantization} is published`, answer === BASE_ANSWER, answer);
    this.suite.laps.lap(`release: published ${architecture} in ${quantization}`);
  }

  /** Writes the files of `export`, without a training. Part chain compares an export with its training. */
  private async export_(
    version: number,
    architecture: string,
    folder: string,
    quantization: string,
  ): Promise<ExportRecord> {
    const model = `writer:v${version}`;
    const whole = 'whole:f16';
    await create(this.own, whole, folder);
    // Like export: Ollama 0.9.6 quantizes f16 to garbage until it has loaded a model.
    await this.own.answer(whole, PROMPT, 1);
    const digestOf = async (name: string) => `sha256:${(await this.weights(name)).slice(-64)}`;
    const quantize = quantization === 'f16' ? {} : { quantize: quantization };
    const files = { 'model.gguf': await digestOf(whole) };
    await this.own.ask('/api/create', { model, files, stream: false, ...quantize });
    const { template } = await this.own.ask('/api/show', { model });
    const file = await this.weights(model);
    const { base } = this.mac.homelab.llm!.models.writer as any;
    const content = fs.readFileSync(file);
    const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
    const record: ExportRecord = {
      name: 'writer',
      version,
      source: {
        base: base.repository,
        revision: base.revision,
        adapterDigest: `${architecture}-${version}`,
        quantization,
      },
      blobs: [{ name: 'model.gguf', digest, size: content.length, file }],
      wording: { template, system: '', parameters: { stop: ['<|im_start|>', '<|im_end|>'] } },
      checks: [],
      versions: {},
      training: trainingOf(base, architecture),
      made: new Date().toISOString(),
    };
    const target = join(this.mac.path, '.homelab', 'models', 'writer', 'export');
    fs.mkdirSync(target, { recursive: true });
    fs.writeFileSync(join(target, 'export.json'), JSON.stringify(record));
    return record;
  }

  /** File with the weights of a model on the Mac. */
  private async weights(model: string): Promise<string> {
    const { modelfile } = await this.own.ask('/api/show', { model });
    return /^FROM (.*)$/m.exec(modelfile)![1]!;
  }

  /** Serves version 3. Version 2 was served before, and version 4 does not exist. */
  async reset(other: ExportRecord): Promise<void> {
    const names = [...(await this.served.digests()).keys()];
    if (names.includes('writer:v4')) {
      await this.served.ask('/api/copy', { source: 'writer:v3', destination: 'writer:stable' });
      await this.served.ask('/api/delete', { model: 'writer:v4' });
    }
    if (!names.includes('writer:v2')) await create(this.served, 'writer:v2', tinyBase('llama'));
    fs.rmSync(join(this.mac.path, 'models', 'writer', `v${other.version}`), { recursive: true, force: true });
  }

  answer(): Promise<string> {
    return this.served.answer('writer:stable', PROMPT, 24);
  }

  private async good(...args: readonly string[]): Promise<Ended & { readonly seconds: number }> {
    const ended = await this.mac.run(...args);
    if (ended.code !== 0)
      throw new Error(`${args.join(' ')} ended with ${ended.code}\n${ended.stdout}\n${ended.stderr}`);
    return ended;
  }
}

/** Result of a training that never ran. Part chain runs a real one. */
function trainingOf(base: { repository: string; revision: string }, architecture: string): ExportRecord['training'] {
  const digest = `sha256:${'0'.repeat(64)}`;
  return {
    ...{
      name: 'writer',
      base: base.repository,
      revision: base.revision,
      license: 'Apache-2.0',
      config: { architecture },
    },
    ...{ data: { digest, train: 10, valid: 2 }, iterations: 1, best: { iteration: 1, loss: 1 } },
    ...{ losses: [{ iteration: 1, valid: 1 }], seconds: 1, peakMemory: 1e9, seed: 0, versions: {} },
    ...{ adapter: 'adapters', adapterDigest: digest },
  };
}

/** A copy of the base with other answers: swaps the two halves of its last matrix. */
function shiftedCopy(parent: string): string {
  const folder = join(parent, 'shifted');
  fs.cpSync(tinyBase('qwen2'), folder, { recursive: true });
  const path = join(folder, 'model.safetensors');
  const bytes = fs.readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const [begin, end] = JSON.parse(bytes.subarray(8, 8 + length).toString())['lm_head.weight'].data_offsets;
  const matrix = bytes.subarray(8 + length + begin, 8 + length + end);
  const half = matrix.length / 2;
  matrix.set(Buffer.concat([matrix.subarray(half), matrix.subarray(0, half)]));
  fs.writeFileSync(path, bytes);
  return folder;
}

/**
 * Runs the command here. The file names a change and a fault: kill the caller before or after the change, pass half of the standard
 * input and then kill it, add a byte, or leave no space on the disk.
 */
const SSH = `#!/bin/bash
command="\${@: -1}"
# models-disk.sh looks below ROOT.
command="\${command//sudo -n /sudo -n ROOT=TOP }"
if [[ "$command" != *--close* || ! -f FAULT ]]; then exec sh -c "$command"; fi
read -r at how <FAULT
if ((at > 0)); then
  echo "$((at - 1)) $how" >FAULT
  exec sh -c "$command"
fi
case "$how" in
  before) ;;
  half) head -c 100000 | sh -c "$command" >/dev/null ;;
  after) sh -c "$command" >/dev/null ;;
  damage)
    { echo x; cat; } | exec sh -c "$command"
    exit
    ;;
  full)
    mount -o remount,size=$(df --output=used --block-size=1 MODELS | tail -n 1) MODELS
    exec sh -c "$command"
    ;;
esac
rm FAULT
kill -9 $PPID
`;
