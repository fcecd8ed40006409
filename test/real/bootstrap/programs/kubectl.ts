import { Failure, program } from './program';

/**
 * kubectl is real, but for `exec`: kwok's pods run nothing. What they were told is kept in `state.extra.executed`, as
 * `NAMESPACE/POD CONTAINER: COMMAND`; a test may set `state.extra.executeFails` to a text that such a command fails with.
 */
export const kubectl = [
  program(['local'], ['kubectl'], ({ call, simulation, state }) => {
    const { argv } = call;
    const end = argv.indexOf('--');
    const before = end < 0 ? argv : argv.slice(0, end);
    if (!before.includes('exec')) return { exec: simulation.options.real.kubectl!, argv };
    const value = (flag: string) => before[before.indexOf(flag) + 1];
    const pod = before
      .slice(before.indexOf('exec') + 1)
      .find((word, index, words) => !/^-/.test(word) && !/^-[nc]$/.test(words[index - 1] ?? ''));
    if (state.extra.executeFails) throw new Failure(String(state.extra.executeFails));
    (state.extra.executed ??= []).push(`${value('-n')}/${pod} ${value('-c')}: ${argv.slice(end + 1).join(' ')}`);
    return '';
  }),
];
