import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Chart } from 'cdk8s';
import { until } from '../cluster/processes';
import { TestNode } from '../node/node';
import type { Pod } from '../node/pod';
import { run } from '../node/processes';
import { Rendered } from '../node/rendering';
import type { Tally } from '../tally';
import { programs } from './programs';

type Json = any;

export const NAMESPACE = 'services';

/** A node on which the rendered pods of a test app run as processes. */
export class Bench {
  private constructor(
    readonly tally: Tally,
    readonly node: TestNode,
    readonly rendered: Rendered,
  ) {}

  /** Renders what `make` puts into a chart, runs a test with it, and removes all of it. Shows the logs where the test throws. */
  static async with(
    tally: Tally,
    make: (chart: Chart) => void,
    test: (bench: Bench) => Promise<void>,
    asked: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const app = new App();
    make(new Chart(app, 'apps', { namespace: NAMESPACE, disableResourceNameHashes: true }));
    const folder = fs.mkdtempSync(join(tmpdir(), 'services-'));
    const node = new TestNode(folder, { configMaps: new Map(), secrets: new Map(), images: programs() });
    const bench = new Bench(tally, node, new Rendered(app));
    try {
      await bench.rendered.bring(node.cluster, asked);
      await node.start();
      node.clusterIps.add(bench.rendered.of('Service', NAMESPACE));
      await test(bench);
    } catch (error) {
      tally.check('the test ran to its end', false, `${(error as Error).stack}\n${bench.logs()}`);
    } finally {
      await node.stop();
      fs.rmSync(folder, { recursive: true, force: true });
    }
  }

  /** The rendered object of a kind and name. */
  object(kind: string, name: string): Json {
    const found = this.rendered.of(kind, NAMESPACE).find(({ metadata }) => metadata.name === name);
    if (found === undefined) throw new Error(`nothing renders ${kind} ${name}`);
    return found;
  }

  /** Runs the first pod of a Deployment or StatefulSet. */
  run(name: string, kind = 'Deployment'): Pod {
    return this.rendered.runPod(this.node, this.object(kind, name));
  }

  /** Runs pods, and waits until they are ready. @returns them in the same order */
  async ready(...names: readonly string[]): Promise<Pod[]> {
    const pods = names.map((name) => this.run(name));
    await until(
      `${names.join(', ')} ready`,
      40,
      async () => pods.every(({ ready }) => ready),
      () => this.logs(),
    );
    return pods;
  }

  check(what: string, good: boolean, detail = ''): void {
    this.tally.check(what, good, detail);
  }

  /** What a pod's HTTP server answers, asked from the node. */
  async ask(pod: Pod, path: string, port = 8080): Promise<{ readonly code: number; readonly text: string }> {
    const { output } = await run(
      'curl',
      ['-s', '-m', '10', '-w', '\n%{http_code}', `http://${pod.address}:${port}${path}`],
      15,
    );
    const lines = output.split('\n');
    return { code: Number(lines.pop()), text: lines.join('\n') };
  }

  /** Variables that the process of a pod has. */
  async env(pod: Pod): Promise<Readonly<Record<string, string>>> {
    return JSON.parse((await this.ask(pod, '/env')).text);
  }

  logs(): string {
    return [...this.node.pods.values()]
      .flatMap((pod) =>
        [...pod.initContainers, ...pod.sidecars, ...pod.containers].map(
          ({ name, lastProbe }) =>
            `-- ${pod.fullName} ${name}${lastProbe === undefined ? '' : ` (last probe: ${lastProbe})`}\n${pod.log(name).slice(-800)}`,
        ),
      )
      .join('\n');
  }
}
