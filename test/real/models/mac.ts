import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Homelab, TunedModel } from '../../../inventory';
import { defineHomelab } from '../../../inventory';
import { Size } from 'cdk8s';
import { dataDigest, folderDigest } from '../../../scripts/models/digests';
import fixture from '../../fixtures/homelab';
import { copyOfCheckout } from '../workspace';
import { mlxPython, OLLAMA_BUILT } from './binaries';
import { ended, type Ended } from './lan';
import { tinyBase, TINY_ARCHITECTURE, TINY_TRAINING, writeTinyData, type TinyArchitecture } from './tiny';

/** Entry of a test model in homelab.ts, with everything that a tiny model needs. */
export type ModelChange = (model: any) => void;

/** The owner's checkout on the Mac: homelab.ts with trained models of the test, and `npm run models` in it. */
export class Mac {
  readonly path = copyOfCheckout();
  private readonly models: Record<string, any> = {};
  private readonly bin = join(this.path, 'bin');
  private readonly sshKey: string;
  private gpu = false;

  /** @param ollama address of the Mac's own Ollama, as OLLAMA_HOST @param memory of the AI VM in GiB */
  constructor(
    private readonly ollama: string,
    private readonly memory = 3,
  ) {
    fs.mkdirSync(join(this.path, '.homelab', 'models'), { recursive: true });
    fs.symlinkSync(mlxPython(), join(this.path, '.homelab', 'models', 'python'));
    const key = join(this.path, '.homelab', 'ssh-key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'mac', '-f', key]);
    this.sshKey = fs.readFileSync(`${key}.pub`, 'utf8').trim();
    // ssh looks for keys in the user's home, and ignores HOME.
    fs.mkdirSync(this.bin);
    const known = join(this.path, '.homelab', 'known_hosts');
    fs.writeFileSync(
      join(this.bin, 'ssh'),
      `#!/bin/sh\nexec /usr/bin/ssh -F none -i '${key}' -o IdentitiesOnly=yes -o UserKnownHostsFile='${known}' "$@"\n`,
      { mode: 0o755 },
    );
  }

  /** Declares a model with a tiny base, and writes its data. */
  async declare(
    name: string,
    architecture: TinyArchitecture,
    answer: string | undefined,
    change: ModelChange = () => undefined,
  ): Promise<void> {
    const data = join('models', name, 'data');
    writeTinyData(join(this.path, data), answer);
    const base = tinyBase(architecture);
    const model: TunedModel = {
      base: { repository: base, revision: await folderDigest(base), license: 'Apache-2.0' },
      training: { data, digest: '', ...TINY_TRAINING },
      context: 2048,
      architecture: TINY_ARCHITECTURE,
    };
    this.models[name] = structuredClone(model);
    this.models[name].training.digest = await dataDigest(join(this.path, data));
    change(this.models[name]);
    this.write();
  }

  /** Changes a declared model. */
  change(name: string, change: ModelChange): void {
    change(this.models[name]);
    this.write();
  }

  /** Says in homelab.ts whether the AI VM has a GPU. */
  setGpu(gpu: boolean): void {
    this.gpu = gpu;
    this.write();
  }

  /** The current models of homelab.ts. */
  get homelab(): Homelab {
    const vm = fixture.machines['ai-vm'] as any;
    return defineHomelab({
      ...fixture,
      machines: { ...fixture.machines, 'ai-vm': { ...vm, gpu: this.gpu, memory: Size.gibibytes(this.memory) } },
      access: { sshKeys: [this.sshKey] },
      llm: { ...fixture.llm!, version: `v${OLLAMA_BUILT}`, models: this.models },
      services: servicesOf(this.models),
    } as Homelab);
  }

  /** Writes homelab.ts. */
  private write(): void {
    const json = (value: unknown) => JSON.stringify(value, undefined, 2);
    fs.writeFileSync(
      join(this.path, 'homelab.ts'),
      `import { Size } from 'cdk8s';
import fixture from './test/fixtures/homelab';
import { defineHomelab } from './inventory';

export default defineHomelab({
  ...fixture,
  machines: { ...fixture.machines, 'ai-vm': { ...fixture.machines['ai-vm'], gpu: ${this.gpu}, memory: Size.gibibytes(${this.memory}) } as any },
  access: { sshKeys: [${json(this.sshKey)}] },
  llm: { ...fixture.llm!, version: 'v${OLLAMA_BUILT}', models: ${json(this.models)} as any },
  services: ${json(servicesOf(this.models))} as any,
});
`,
    );
  }

  /** Runs `npm run models -- ARGS`. */
  async run(...args: readonly string[]): Promise<Ended & { readonly seconds: number }> {
    const begin = Date.now();
    const program = ['-r', 'ts-node/register', 'scripts/models.ts', ...args, '--yes'];
    const found = await ended(process.execPath, program, {
      cwd: this.path,
      env: {
        ...process.env,
        PATH: `${this.bin}:${process.env.PATH}`,
        OLLAMA_HOST: this.ollama,
        TS_NODE_TRANSPILE_ONLY: 'true',
      },
      timeout: 600_000,
      maxBuffer: 1e8,
    });
    return { ...found, seconds: (Date.now() - begin) / 1000 };
  }

  remove(): void {
    fs.rmSync(this.path, { recursive: true });
  }
}

/** The services of the fixture, with one client for each test model instead of the clients of its own models. */
function servicesOf(models: Readonly<Record<string, unknown>>): Record<string, any> {
  const own = Object.entries(fixture.services).map(([name, service]) => [
    name,
    { ...service, connects: service.connects?.filter((each) => !('model' in each)) },
  ]);
  const [first] = Object.keys(models);
  const services = JSON.parse(JSON.stringify(Object.fromEntries(own)));
  if (first !== undefined) services.assistant.connects.push({ model: first });
  return services;
}
