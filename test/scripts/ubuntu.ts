import homelab from '../fixtures/homelab';
import type { Homelab, UbuntuMachine } from '../../inventory';
import { CommandFailed, Commands, type CommandOptions, type Output, type Target } from '../../scripts/engine/commands';
import type { Context } from '../../scripts/clients/context';
import { Log } from '../../scripts/engine/log';
import type { Action, Step } from '../../scripts/engine/step';
import { ubuntuVm } from '../../scripts/clients/ubuntu';
import { fakeKubernetes } from './kubernetes';

type Said = string | { readonly code: number; readonly stdout?: string; readonly stderr?: string };

/** Answer of the API server about the pods that use the machine. */
export const podsOf = jest.fn();
const kubernetes = Object.assign(fakeKubernetes(), { read: () => podsOf() });

/** Machines with the answers of a test, by a part of the command or the name of the script. They record changes. */
export class Told extends Commands {
  readonly changed: string[] = [];

  constructor(readonly says: Record<string, Said | (() => Said)>) {
    super(new Log());
    this.changing = true;
  }

  context(of: Homelab = homelab): Context {
    return { homelab: of, commands: this, log: new Log(), kubernetes, ask: {}, sops: {} } as unknown as Context;
  }

  override async read(place: Target, argv: readonly string[], options: CommandOptions = {}): Promise<Output> {
    return this.answer(place, argv.join(' '), options);
  }

  override readScript(place: Target, name: string, args: readonly string[] = [], options: CommandOptions = {}) {
    return this.read(place, [name, ...args], options);
  }

  override async change(place: Target, argv: readonly string[], options: CommandOptions = {}): Promise<Output> {
    this.changed.push(argv.join(' '));
    return this.answer(place, argv.join(' '), options, '');
  }

  override changeScript(place: Target, name: string, args: readonly string[] = [], options: CommandOptions = {}) {
    return this.change(place, [name, ...args], options);
  }

  private answer({ name }: Target, words: string, { accepts = [0] }: CommandOptions, otherwise?: string): Output {
    const where = `${name}: ${words}`;
    const key = Object.keys(this.says).find((each) => where.includes(each));
    const said = key === undefined ? otherwise : this.says[key];
    if (said === undefined) throw new Error(`unexpected: ${where}`);
    const value = typeof said === 'function' ? said() : said;
    const output: Output = Object.assign(
      { stdout: '', stderr: '', code: 0 },
      typeof value === 'string' ? { stdout: value } : value,
    );
    if (!accepts.includes(output.code)) throw new CommandFailed(output, `${where} ended with ${output.code}`);
    return output;
  }
}

/** Applies the plan of a step. */
export async function apply(step: Step): Promise<void> {
  await run((await step.plan())?.actions);
}

export async function run(actions: readonly Action[] = []): Promise<void> {
  for (const action of actions) await action.run(() => undefined);
}

export const aiVm = (commands: Told, of?: Homelab) => ubuntuVm(commands.context(of), 'ai-vm');

/** The homelab with another machine for models. */
export function withAiVm(change: Partial<UbuntuMachine>, llm: Partial<NonNullable<Homelab['llm']>> = {}): Homelab {
  const machine = { ...(homelab.machines['ai-vm'] as UbuntuMachine), ...change };
  return { ...homelab, machines: { ...homelab.machines, 'ai-vm': machine }, llm: { ...homelab.llm!, ...llm } };
}
