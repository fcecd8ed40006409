import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Mac } from './mac';
import type { ModelSuite } from './suite';

/** A silent fault: replaces a line of a script in the copy. */
interface Fault {
  readonly what: string;
  readonly script: string;
  readonly from: string;
  readonly to: string;
}

const FAULTS: readonly Fault[] = [
  {
    what: 'a fuse that does nothing',
    script: 'fuse.py',
    from: 'result = module.fuse(dequantize=True)',
    to: 'result = inner',
  },
  {
    what: 'a fuse that ignores the adapter',
    script: 'fuse.py',
    from: 'adapter_path=asked["adapter"]',
    to: 'adapter_path=None',
  },
  {
    what: 'a fuse that loses the scale',
    script: 'fuse.py',
    from: 'result = module.fuse(dequantize=True)',
    to: 'module.scale = 1.0\n    result = module.fuse(dequantize=True)',
  },
  {
    what: 'a comparison that ignores the adapter',
    script: 'greedy.py',
    from: 'adapter_path=asked.get("adapter")',
    to: 'adapter_path=None',
  },
];

/** Exports the trained model with each silent fault. Every export must fail and leave no export behind. */
export async function injected({ tally, laps, full }: ModelSuite, mac: Mac, name: string): Promise<void> {
  const faults = full ? FAULTS : FAULTS.slice(0, 3);
  for (const { what, script, from, to } of faults) {
    const path = join(mac.path, 'scripts', 'models', 'python', script);
    const text = fs.readFileSync(path, 'utf8');
    if (!text.includes(from)) throw new Error(`${script} must hold ${JSON.stringify(from)}: ${what} is injected there`);
    fs.writeFileSync(
      path,
      text.replace(from, () => to),
    );
    const { code, stdout, stderr } = await mac.run('export', name);
    fs.writeFileSync(path, text);
    const said = stdout + stderr;
    tally.check(`${what} is caught`, code === 1 && said.includes(`${name} is not exported`), `${code}\n${said}`);
  }
  await scaleOfTheFile(tally, mac, name);
  await refusesToPublish(tally, mac, name);
  laps.lap(`chain: caught ${faults.length + 1} silent faults`);
}

/** The scale that MLX reads is in a file beside the adapter. */
async function scaleOfTheFile(tally: ModelSuite['tally'], mac: Mac, name: string): Promise<void> {
  const files = (fs.readdirSync(join(mac.path, '.homelab', 'models', name), { recursive: true }) as string[])
    .filter((file) => file.endsWith('adapter_config.json'))
    .map((file) => join(mac.path, '.homelab', 'models', name, file));
  const texts = files.map((file) => fs.readFileSync(file, 'utf8'));
  for (const [at, file] of files.entries()) {
    const config = JSON.parse(texts[at]!);
    fs.writeFileSync(file, JSON.stringify({ ...config, lora_parameters: { ...config.lora_parameters, scale: 1 } }));
  }
  const { code, stdout, stderr } = await mac.run('export', name);
  for (const [at, file] of files.entries()) fs.writeFileSync(file, texts[at]!);
  const what = 'a scale that is lost from the file of the adapter';
  tally.check(`${what} is caught`, files.length > 0 && code !== 0, `${code}\n${stdout}${stderr}`);
}

async function refusesToPublish(tally: ModelSuite['tally'], mac: Mac, name: string): Promise<void> {
  const { code, stdout, stderr } = await mac.run('publish', name);
  tally.check('after failed exports nothing can be published', code === 4, `${code}\n${stdout}${stderr}`);
}
