import { createSocket, type Socket } from 'node:dgram';

/** Behaviour of the name server: `slow` answers late, `nobody` knows no names. */
export type Mode = 'answers' | 'silent' | 'slow' | 'nobody';

const TYPE_A = 1;
const NAME_ERROR = 3;
const SLOW_SECONDS = 3;

/** The cluster's name server: A records of names that the test sets, over UDP. */
export class NameServer {
  mode: Mode = 'answers';
  private closed = false;
  private readonly socket: Socket = createSocket('udp4');

  /** @param resolve returns the addresses of a name; undefined if it does not exist */
  constructor(private readonly resolve: (name: string) => readonly string[] | undefined) {
    this.socket.on('message', (message, { address, port }) => {
      if (this.mode === 'silent') return;
      setTimeout(() => this.send(this.answer(message), port, address), this.mode === 'slow' ? SLOW_SECONDS * 1000 : 0);
    });
  }

  async listen(address: string): Promise<void> {
    await new Promise<void>((done) => this.socket.bind(53, address, done));
  }

  close(): void {
    this.closed = true;
    this.socket.close();
  }

  private send(answer: Buffer, port: number, address: string): void {
    if (!this.closed) this.socket.send(answer, port, address);
  }

  /** RFC 1035: the header, the question as it came, and an answer of 16 bytes for each address. */
  private answer(message: Buffer): Buffer {
    const labels: string[] = [];
    let end = 12;
    while (message[end]! > 0) {
      labels.push(message.toString('latin1', end + 1, end + 1 + message[end]!));
      end += 1 + message[end]!;
    }
    const question = message.subarray(12, end + 5);
    const known = this.mode === 'nobody' ? undefined : this.resolve(labels.join('.').toLowerCase());
    const addresses = known !== undefined && message.readUInt16BE(end + 1) === TYPE_A ? known : [];
    const header = Buffer.alloc(12);
    message.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8580 | (known === undefined ? NAME_ERROR : 0), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(addresses.length, 6);
    const records = addresses.map((address) =>
      Buffer.from([0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]),
    );
    return Buffer.concat([header, question, ...records]);
  }
}
