import * as fs from 'node:fs';
import type { State } from '../state';
import { Failure, program, type Answer, type Context } from './program';

const WITH_VALUE = 'BbcDEeFIiJLlmOoPpQRSWw';

/** ssh as OpenSSH reads its command line; the command runs in a shell on the machine, and goes on when ssh is killed. */
export const ssh = [
  program(['local'], ['ssh'], async (context) => {
    const { user, address, port, command, options, identity, noInput } = parse(context.call.argv);
    if (options.O !== undefined) return;
    const [name, machine] = Object.entries(context.state.machines).find(([, each]) => each.address === address) ?? [];
    if (!machine) throw new Failure(`ssh: connect to host ${address} port ${port}: No route to host`, 255);
    if (machine.upAt === undefined || Date.now() < machine.upAt)
      throw new Failure(
        `ssh: connect to host ${address} port ${port}: Connection ${machine.upAt === undefined ? 'timed out' : 'refused'}`,
        255,
      );
    checkHostKey(context.state, address, machine.hostKey, options);
    const keys = machine.users[user];
    if (!keys || !offers(identity, keys)) throw new Failure(`${user}@${address}: Permission denied (publickey).`, 255);
    return run(context, name!, user, command, noInput);
  }),
];

function run(
  { simulation, state, onInput, write }: Context,
  name: string,
  user: string,
  command: string,
  noInput: boolean,
) {
  // Without a command it is a shell that reads its commands.
  const argv = command === '' ? ['bash', '-s'] : ['bash', '-c', command];
  const child = simulation.spawn(name, user, argv);
  let said = '';
  child.stdout.on('data', (stdout: Buffer) => write({ stdout }));
  child.stderr.on('data', (stderr: Buffer) => {
    said += stderr.toString();
    write({ stderr });
  });
  if (noInput) child.stdin.end();
  else
    onInput(
      (chunk) => child.stdin.write(chunk),
      () => child.stdin.end(),
    );
  return new Promise<Answer>((done) =>
    child.once('close', (code, signal) => {
      for (const [, missing] of said.matchAll(/^\S*sh: (?:line )?\d+: (\S+): (?:command )?not found$/gm))
        simulation.unexpected.push(`${name}: no program ${missing}`);
      const { upAt, address } = state.machines[name] ?? {};
      const gone = signal !== null && (upAt === undefined || Date.now() < upAt);
      if (gone) done({ stderr: `Connection to ${address} closed by remote host.\r\n`, code: 255 });
      else done({ code: code ?? 255 });
    }),
  );
}

function parse(argv: readonly string[]) {
  const options: Record<string, string> = {};
  const identity: string[] = [];
  let noInput = false;
  let destination: string | undefined;
  let index = 0;
  // Options may come before and after the destination, up to a -- or the command.
  for (; index < argv.length; index++) {
    const word = argv[index]!;
    if (word === '--') {
      if (destination === undefined) destination = argv[++index];
      index++;
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      if (destination !== undefined) break;
      destination = word;
      continue;
    }
    for (let at = 1; at < word.length; at++) {
      const letter = word[at]!;
      if (!WITH_VALUE.includes(letter)) {
        if (!'46AaCfGgKkMNnqsTtVvXxYy'.includes(letter))
          throw new Failure(`unknown option -- ${letter}\nusage: ssh [...] destination [command]`, 255);
        if (letter === 'n') noInput = true;
        continue;
      }
      const value = word.slice(at + 1) || argv[++index];
      if (value === undefined) throw new Failure(`option requires an argument -- ${letter}`, 255);
      if (letter === 'o') {
        const [, key, text] = /^\s*(\w+)\s*[= ]\s*(.*)$/.exec(value) ?? [];
        if (key === undefined) throw new Failure(`command-line line 0: missing argument.`, 255);
        options[key.toLowerCase()] = text!;
        if (key.toLowerCase() === 'identityfile') identity.push(text!);
      } else if (letter === 'i') identity.push(value);
      else options[letter] = value;
      break;
    }
  }
  if (!destination) throw new Failure('usage: ssh [...] destination [command [argument ...]]', 255);
  const at = destination.lastIndexOf('@');
  return {
    user: at < 0 ? (options.l ?? options.user ?? 'root') : destination.slice(0, at),
    address: destination.slice(at + 1),
    port: options.p ?? options.port ?? '22',
    command: argv.slice(index).join(' '),
    options,
    identity,
    noInput,
  };
}

/** As StrictHostKeyChecking says. Without a file of its own, the hosts of the start are known. */
function checkHostKey(state: State, address: string, key: string, options: Readonly<Record<string, string>>): void {
  const strict = options.stricthostkeychecking ?? 'ask';
  const file = options.userknownhostsfile;
  const remembered: Record<string, string> = (state.extra.knownHosts ??= {});
  const lines = file && fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n') : [];
  const known = file
    ? lines.find((line) => line.split(' ')[0]!.split(',').includes(address))?.replace(/^\S+ /, '')
    : (remembered[address] ?? (address === state.machines.host!.address ? key : undefined));
  if (known?.startsWith(key) || ['no', 'off'].includes(strict)) return;
  if (known !== undefined)
    throw new Failure(
      `@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@@@@\nHost key verification failed.`,
      255,
    );
  if (strict !== 'accept-new')
    throw new Failure(
      `No ED25519 host key is known for ${address} and you have requested strict checking.\nHost key verification failed.`,
      255,
    );
  if (file) fs.appendFileSync(file, `${address} ${key}\n`);
  else remembered[address] = key;
}

/** Whether one of the keys opens the machine. What cannot be read is taken for an agent's key. */
function offers(identity: readonly string[], keys: readonly string[]): boolean {
  const mine = identity.map((file) => `${file}.pub`).filter((file) => fs.existsSync(file));
  if (mine.length === 0 || keys.length === 0) return true;
  const bodies = keys.map((key) => key.trim().split(/\s+/)[1]);
  return mine.some((file) => bodies.includes(fs.readFileSync(file, 'utf8').trim().split(/\s+/)[1]));
}
