import { talosNodes, type ClusterNode } from '../life';
import type { State } from '../state';
import { Failure, program, type Call } from './program';

/**
 * kubectl is real, but that nobody answers while every control plane is off, and for `exec`: kwok's pods run nothing. What they were told is kept in `state.extra.executed`, as
 * `NAMESPACE/POD CONTAINER: COMMAND`; a test may set `state.extra.executeFails` to a text that such a command fails with.
 */
export const kubectl = [
  {
    ...program(['local'], ['kubectl'], ({ call, simulation, state }) => {
      const { argv } = call;
      if (isOff(state) && !argv.includes('--client'))
        throw new Failure('The connection to the server was refused - did you specify the right host or port?', 1);
      if (!executes(call)) return { exec: simulation.options.real.kubectl!, argv };
      const end = argv.indexOf('--');
      const words = argv.slice(argv.indexOf('exec') + 1, end);
      const value = (flag: string) => words[words.indexOf(flag) + 1];
      const pod = words.find((word, index) => !word.startsWith('-') && !['-n', '-c'].includes(words[index - 1] ?? ''));
      if (state.extra.executeFails) throw new Failure(String(state.extra.executeFails));
      const told = `${value('-n')}/${pod} ${value('-c')}: ${argv.slice(end + 1).join(' ')}`;
      (state.extra.executed ??= []).push(told);
      return '';
    }),
    isReal: (call: Call) => !executes(call),
  },
];

function executes({ argv }: Call): boolean {
  return argv.slice(0, argv.indexOf('--')).includes('exec');
}

/** Whether the cluster has begun, and no control plane of it is on. */
function isOff(state: State): boolean {
  const members: ClusterNode[] = Object.values(state.extra.members ?? {});
  return members.some((each) => each.controlPlane) && !talosNodes(state).some(({ config }) => config?.controlPlane);
}
