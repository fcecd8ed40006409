import { rebootHost, rebootVm, stopHost, stopVm } from '../life';
import { Failure, program, type Context } from './program';

/** The power of machines as a shell on them sees it, and their sense of time. */
export const power = [
  program(['proxmox', 'ubuntu'], ['reboot'], (context) => end(context, true)),
  program(['proxmox', 'ubuntu'], ['poweroff', 'halt'], (context) => end(context, false)),
  program(['proxmox', 'ubuntu'], ['shutdown'], (context) => {
    const { argv } = context.call;
    if (argv.includes('-c')) return;
    if (!argv.includes('now') && !argv.some((arg) => /^\+\d+$/.test(arg)))
      throw new Failure('Failed to parse time specification');
    return end(
      context,
      argv.some((arg) => /^(--reboot|-\w*r\w*)$/.test(arg)),
    );
  }),
  program(['proxmox', 'ubuntu'], ['sleep'], async ({ call, state }) => {
    const [, number, unit] = /^(\d+(?:\.\d+)?)([smhd]?)$/.exec(call.argv[0] ?? '') ?? [];
    if (number === undefined) throw new Failure(`sleep: invalid time interval '${call.argv[0]}'`);
    state.slept += Number(number) * { s: 1, m: 60, h: 3600, d: 86400 }[unit || 's']!;
    // Long enough for a loop that waits not to spin.
    await new Promise((done) => setTimeout(done, 10));
    return undefined;
  }),
];

function end({ simulation, state, call }: Context, again: boolean): undefined {
  const { kind, vmid } = state.machines[call.machine]!;
  // After the answer, as the machine takes a moment to go down.
  setTimeout(() => {
    if (kind === 'proxmox') (again ? rebootHost : stopHost)(simulation);
    else (again ? rebootVm : stopVm)(simulation, vmid!);
  }, 20);
}
