import { spawn, type ChildProcess } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { builtFromSource } from '../modules';

type Json = any;

interface Answer {
  readonly id: number;
  readonly good: boolean;
  /** What the prober says, as an event of the pod has it. */
  readonly output: string;
}

/** The real parts of a node: the kubelet's own probers for HTTP, TCP and gRPC, and a gRPC server that answers health checks. */
export function nodeParts(): string {
  return builtFromSource(resolve(__dirname, 'go'), 'node-parts');
}

/** The kubelet's probers, as one process for all pods of a node. */
export class Prober {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private asked = 0;

  constructor() {
    this.child = spawn(nodeParts(), ['probe'], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      this.waiting.get(answer.id)?.(answer);
      this.waiting.delete(answer.id);
    });
    // A prober that is stopped answers nothing more.
    this.child.once('exit', () => {
      for (const [id, tell] of this.waiting) tell({ id, good: false, output: 'the node is stopped' });
    });
    this.child.stdin!.on('error', () => undefined);
  }

  /** Tries a probe of a rendered container once. */
  ask(address: string, probe: Json, container: Json): Promise<Answer> {
    const id = this.asked++;
    return new Promise((done) => {
      this.waiting.set(id, done);
      this.child.stdin!.write(`${JSON.stringify({ id, address, probe, container })}\n`);
    });
  }

  close(): void {
    this.child.kill('SIGKILL');
  }
}
