import { action } from '../engine/actions';
import type { Context } from './context';
import { Blocked, isFault } from '../engine/problem';
import type { Action, Progress } from '../engine/step';
import { SECOND } from '../engine/wait';
import { OllamaApi } from './ollama-api';
import { parseLog, type OllamaLog } from './ollama-log';
import { ubuntuVm, type UbuntuVm } from './ubuntu';

/** Time for the largest model that fits (40 GB) on a line of 16 Mbit/s; pull.sh ends a smaller one earlier. */
const PULL_SECONDS = 6 * 3600;
const PULL_PROGRESS_SECONDS = 5;

/** Ollama on a machine of the homelab. Runs curl on that machine, so the firewall needs no rule for it. */
export class Ollama extends OllamaApi {
  constructor(
    readonly vm: UbuntuVm,
    private readonly port: number,
  ) {
    super(vm.commands, vm.target, `http://127.0.0.1:${port}`);
  }

  /** @throws Blocked when Ollama does not answer, or is another version than homelab.ts says */
  async assertVersion(wanted: string): Promise<void> {
    const fix = 'npm run bootstrap -- apply ai-vm';
    const version = await this.version().catch((error: unknown) => {
      if (!isFault(error) || error instanceof Blocked) throw error;
      throw new Blocked(`Ollama must answer on ${this.vm.name}, but does not: ${error.message}\n  ${fix}`);
    });
    if (version !== wanted)
      throw new Blocked(`Ollama on ${this.vm.name} must be ${wanted}, but is ${version}\n  ${fix}`);
  }

  /** Its compute devices, from the log of its last start. */
  async log(): Promise<OllamaLog> {
    const { commands, target } = this.vm;
    const { stdout } = await commands.readScript(target, 'ubuntu/ollama-log.sh', [], { asRoot: true });
    return parseLog(stdout);
  }

  /** Starts or restarts it with its present units. */
  restart(): Action {
    return this.vm.script('ollama.sh', ['start'], { seconds: 180 });
  }

  /** Pulls a model. Ollama keeps the parts of an interrupted pull. */
  pull(tag: string): Action {
    const options = { seconds: PULL_SECONDS, waitsFor: `the pull of ${tag}` };
    const pulling = this.vm.script('pull.sh', [`${this.port}`, tag], options);
    return action(pulling.lines, async (progress) => {
      let ended = false;
      const end = pulling.run(progress).finally(() => (ended = true));
      // Awaited below; until then a failure must not count as unhandled.
      end.catch(() => undefined);
      for (;;) {
        // The pull itself keeps the process alive.
        await Promise.race([
          end,
          new Promise((resolve) => setTimeout(resolve, PULL_PROGRESS_SECONDS * SECOND).unref()),
        ]);
        if (ended) break;
        await this.tellPull(tag, progress);
      }
      await end;
    });
  }

  private async tellPull(tag: string, progress: Progress): Promise<void> {
    const { commands, target } = this.vm;
    try {
      const options = { seconds: 20, asRoot: true };
      const { stdout } = await commands.readScript(target, 'ubuntu/pull.sh', ['progress'], options);
      const seen = parsePullProgress(stdout);
      if (seen !== undefined) progress(`pulls ${tag}: ${seen}`);
    } catch (error) {
      if (!isFault(error)) throw error;
    }
  }
}

/** Of a homelab with models. */
export function ollama(context: Context): Ollama {
  const { machine, port } = context.homelab.llm!;
  return new Ollama(ubuntuVm(context, machine), port);
}

/** Of what pull.sh prints: bytes in total, and bytes there. */
export function parsePullProgress(text: string): string | undefined {
  const [total, there] = text.trim().split(' ').map(Number);
  if (!(total! > 0) || !(there! >= 0)) return undefined;
  const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(1);
  return `${gigabytes(there!)} of ${gigabytes(total!)} GB (${Math.floor((there! / total!) * 100)} %)`;
}
