import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Answer, Call, Exec } from './programs/program';

/** What a shim says of itself when it starts. */
export interface Hello {
  readonly program: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly pid: number;
  readonly uid: number;
  /** Whether its input is no terminal. */
  readonly stdin: boolean;
}

/** The other end of a shim: lines of JSON. */
export class Caller {
  pid = 0;
  private hasInput = false;
  private asked = false;
  private readonly chunks: Buffer[] = [];
  private ended = false;
  private onData?: (chunk: Buffer) => void;
  private onEnd?: () => void;
  private onExit?: (code: number | undefined) => void;

  constructor(
    private readonly socket: Socket,
    hello: (caller: Caller, said: Hello) => void,
  ) {
    // The shim was killed: nobody hears the answer.
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.onExit?.(undefined);
      this.finish();
    });
    let greeted = false;
    const reader = createInterface({ input: socket });
    // It passes on the errors of the socket.
    reader.on('error', () => undefined);
    reader.on('line', (line) => {
      const said = JSON.parse(line);
      if (!greeted) {
        greeted = true;
        this.pid = said.pid;
        this.hasInput = said.stdin;
        hello(this, said);
      } else if (said.data) {
        const chunk = Buffer.from(said.data, 'base64');
        if (this.onData) this.onData(chunk);
        else this.chunks.push(chunk);
      } else if (said.end) this.finish();
      else if (said.exited !== undefined) this.onExit?.(said.exited);
    });
  }

  onInput(data: (chunk: Buffer) => void, end: () => void): void {
    for (const chunk of this.chunks.splice(0)) data(chunk);
    this.onData = data;
    this.onEnd = end;
    this.ask();
    if (this.ended || !this.hasInput) end();
  }

  async input(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    await new Promise<void>((done) => this.onInput((chunk) => chunks.push(chunk), done));
    return Buffer.concat(chunks);
  }

  /** What arrives of the input before the line is cut: half of what comes at once. */
  async readHalf(): Promise<void> {
    this.ask();
    await new Promise((done) => setTimeout(done, 50));
    const all = Buffer.concat(this.chunks.splice(0));
    if (all.length > 0) this.chunks.push(all.subarray(0, all.length / 2));
    this.ended = true;
  }

  say({ stdout, stderr }: { readonly stdout?: string | Buffer; readonly stderr?: string | Buffer }): void {
    this.send({ ...(stdout && { stdout: base64(stdout) }), ...(stderr && { stderr: base64(stderr) }) });
  }

  run(exec: Exec): Promise<number | undefined> {
    const ended = new Promise<number | undefined>((done) => (this.onExit = done));
    this.send(exec);
    return ended;
  }

  end(call: Call, answer: Answer): void {
    this.say(answer);
    call.code = answer.code ?? 0;
    this.send({ code: call.code, ...(answer.leaves && { leaves: true }) });
    this.socket.end();
  }

  private ask(): void {
    if (this.asked || !this.hasInput) return;
    this.asked = true;
    this.send({ stdin: true });
  }

  private finish(): void {
    if (this.ended) return;
    this.ended = true;
    this.onEnd?.();
  }

  private send(message: object): void {
    if (this.socket.writable) this.socket.write(`${JSON.stringify(message)}\n`);
  }
}

function base64(text: string | Buffer): string {
  return Buffer.from(text).toString('base64');
}
