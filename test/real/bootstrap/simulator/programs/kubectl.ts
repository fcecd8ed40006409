import { talosNodes, type ClusterNode } from '../life';
import type { State } from '../state';
import { Failure, program, type Call } from './program';

/**
 * kubectl is real, but that nobody answers while every control plane is off, and for `exec`: kwok's pods run nothing. What they were
 * told is kept in `state.extra.executed`, as `NAMESPACE/POD CONTAINER: COMMAND`; a test may set `state.extra.executeFails` to a text
 * that such a command fails with. The containers `backup` tell of `state.extra.backups`.
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
      if (told.endsWith(' backup: cat /handover/status.json')) return backupStatus(state, value('-n')!);
      (state.extra.executed ??= []).push(told);
      return '';
    }),
    isReal: (call: Call) => !executes(call),
  },
];

/** What is known of the backups of a database; a test may set both. */
interface Backups {
  /** How often its pods were asked before there was one. */
  asked: number;
  newest: string | null;
  error: string | null;
}

/** Pods of each database. */
const PODS = 3;

/** The first backup comes once each pod was asked for it, and then again: as one that takes its time. */
function backupStatus(state: State, namespace: string): string {
  const known: Record<string, Backups> = (state.extra.backups ??= {});
  const backups = (known[namespace] ??= { asked: 0, newest: null, error: null });
  if (backups.error === null && backups.newest === null && ++backups.asked > PODS)
    backups.newest = `${new Date().toISOString().slice(0, 19)}Z`;
  const { newest, error } = backups;
  return JSON.stringify({ newest, tried: newest, error, seconds: 1, bytes: 4711 });
}

function executes({ argv }: Call): boolean {
  return argv.slice(0, argv.indexOf('--')).includes('exec');
}

/** Whether the cluster has begun, and no control plane of it is on. */
function isOff(state: State): boolean {
  const members: ClusterNode[] = Object.values(state.extra.members ?? {});
  return members.some((each) => each.controlPlane) && !talosNodes(state).some(({ config }) => config?.controlPlane);
}
