import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { copyOfCheckout } from '../../workspace';
import { databasePrograms } from '../binaries';
import type { Ended } from '../processes';

/** A laptop: a clone with its homelab.ts, kubectl and the shells of the databases. */
export class Owner {
  private readonly clone = copyOfCheckout();
  private readonly path: string;

  /**
   * @param homelab an expression that gives homelab.ts, with what it imports
   * @param bin folders that stand first on the PATH
   */
  constructor(
    { imports, expression }: { imports: string; expression: string },
    private readonly kubeconfig: string,
    bin: readonly string[],
  ) {
    fs.writeFileSync(join(this.clone, 'homelab.ts'), `${imports}\nexport default ${expression};\n`);
    this.path = [...bin, this.shells(), process.env.PATH].join(':');
  }

  private shells(): string {
    const { mongosh, cqlsh } = databasePrograms();
    const folder = join(this.clone, 'shells');
    fs.mkdirSync(folder);
    const script = (name: string, line: string) =>
      fs.writeFileSync(join(folder, name), `#!/bin/sh\n${line} "$@"\n`, { mode: 0o755 });
    script('mongosh', `exec '${process.execPath}' '${mongosh}/node_modules/mongosh/bin/mongosh.js'`);
    script('cqlsh', `PYTHONPATH='${cqlsh}' exec /usr/bin/python3 -m cqlshlib`);
    return folder;
  }

  /** `npm run homelab -- COMMAND`, on the cluster. */
  homelab(command: string, args: readonly string[] = [], input = ''): Promise<Ended> {
    const words = ['-r', 'ts-node/register', 'cli/main.ts', command, ...args, `--kubeconfig=${this.kubeconfig}`];
    return this.run(process.execPath, words, 600, input);
  }

  /** @throws with what it printed where it fails */
  async kubectl(args: readonly string[], seconds = 60): Promise<string> {
    const { code, output } = await this.run('kubectl', args, seconds);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ').slice(0, 200)}: ${output}`);
    return output;
  }

  private run(program: string, args: readonly string[], seconds: number, input = ''): Promise<Ended> {
    const env = { ...process.env, PATH: this.path, KUBECONFIG: this.kubeconfig, HOME: this.clone };
    const child = spawn(program, args, { cwd: this.clone, env, stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.on('error', () => undefined).end(input);
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    const late = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
    return new Promise((resolve) =>
      child.once('close', (code) => {
        clearTimeout(late);
        resolve({ code: code ?? 137, output });
      }),
    );
  }

  remove(): void {
    fs.rmSync(this.clone, { recursive: true, force: true });
  }
}
