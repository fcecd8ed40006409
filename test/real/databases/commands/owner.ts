import * as fs from 'node:fs';
import { join } from 'node:path';
import { copyOfCheckout } from '../../workspace';
import { run, type Ended } from '../../node/processes';

/** A laptop: a clone with its homelab.ts, and what is on its PATH. */
export class Owner {
  private readonly clone = copyOfCheckout();
  private readonly path: string;

  /**
   * @param bin folders that stand first on the PATH
   * @param homelab the text of another homelab.ts than that of this checkout
   */
  constructor(
    private readonly kubeconfig: string,
    bin: readonly string[],
    homelab?: string,
  ) {
    if (homelab !== undefined) fs.writeFileSync(join(this.clone, 'homelab.ts'), homelab);
    this.path = [...bin, process.env.PATH].join(':');
  }

  /** `npm run homelab -- COMMAND`, on the cluster. */
  homelab(command: string, args: readonly string[] = [], input = ''): Promise<Ended> {
    const words = ['-r', 'ts-node/register', 'cli/main.ts', command, ...args, `--kubeconfig=${this.kubeconfig}`];
    return this.run(process.execPath, words, 600, input);
  }

  /** @throws with what it printed where it fails */
  async kubectl(args: readonly string[], seconds = 60, input = ''): Promise<string> {
    const { code, output } = await this.run('kubectl', args, seconds, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ').slice(0, 200)}: ${output}`);
    return output;
  }

  private run(program: string, args: readonly string[], seconds: number, input = ''): Promise<Ended> {
    const env = { ...process.env, PATH: this.path, KUBECONFIG: this.kubeconfig, HOME: this.clone };
    return run(program, args, seconds, { cwd: this.clone, env, input });
  }

  remove(): void {
    fs.rmSync(this.clone, { recursive: true, force: true });
  }
}
