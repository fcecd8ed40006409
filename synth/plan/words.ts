import { VERDICTS, type ChangeVerdict, type MachineChange } from '../../checks/step/plan';
import { visible } from '../../values/problem';

/** The word for a verdict, printed before an object. */
export const VERDICT_WORDS: Readonly<Record<ChangeVerdict, string>> = {
  nothing: 'nothing',
  live: 'live',
  created: 'new',
  pruned: 'pruned',
  kept: 'kept',
  restart: 'restart',
  recreate: 'recreate',
  access: 'access',
  limit: 'limit',
  'not-deployed': 'not deployed',
  refused: 'refused',
  data: 'data',
};

/** What happens to objects with a harmless verdict. */
export const HARMLESS_WORDS: Readonly<Partial<Record<ChangeVerdict, string>>> = {
  nothing: 'nothing happens',
  live: 'updated in place',
  created: 'created',
  pruned: 'deleted by Argo CD',
  kept: 'left in the cluster',
};

/** What a change does to a machine. */
export const EFFECT_WORDS: Readonly<Record<MachineChange['effect'], string>> = {
  nothing: 'nothing happens',
  live: 'applied while it runs',
  'next-start': 'applied at its next start',
  'node-reboot': 'the node reboots',
  'host-reboot': 'the host reboots',
  'new-machine': 'a new machine',
  gone: 'no longer managed',
  data: 'DATA AT RISK',
};

/** Severity of a verdict, from 0. */
export function severity(verdict: ChangeVerdict): number {
  return VERDICTS.indexOf(verdict);
}

/** 1 pod, 2 pods. */
export function counted(count: number, thing: string, plural = `${thing}s`): string {
  return `${count} ${count === 1 ? thing : plural}`;
}

/** A duration for people: 45 s, 4 min, 2 h 5 min. */
export function time(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h${minutes % 60 === 0 ? '' : ` ${minutes % 60} min`}`;
}

/** The least and the most time, with one unit if both have the same. */
export function span(least: number, most: number): string {
  const [from, to] = [time(least), time(most)];
  if (from === to) return from;
  const unit = to.slice(to.indexOf(' '));
  return `${from.endsWith(unit) && !unit.includes('h') ? from.slice(0, -unit.length) : from} to ${to}`;
}

/** The first names, and the number of the others. */
export function named(names: readonly string[], most = 4): string {
  const shown = names.slice(0, names.length > most ? most - 1 : most);
  return `${shown.join(', ')}${names.length > shown.length ? ` and ${names.length - shown.length} more` : ''}`;
}

/** Workloads by namespace and name, and the number of the others; a namespace that all share is written once. */
export function workloads(names: readonly string[]): string {
  const [space] = names[0]?.split('/') ?? [];
  if (names.length < 2 || !names.every((name) => name.startsWith(`${space}/`))) return named(names);
  return `${named(names.map((name) => name.slice(space!.length + 1)))} of ${space}`;
}

/** As "Job services/chat-before-1a2b3c4d5e has succeeded". */
export function succeeded(jobs: readonly string[]): string {
  return `${jobs.length === 1 ? 'Job' : 'Jobs'} ${workloads(jobs)} ${jobs.length === 1 ? 'has' : 'have'} succeeded`;
}

/** A text on one line, cut to a number of characters. */
export function short(text: string, most: number): string {
  // Cuts a much longer text before it escapes it: a ConfigMap may hold a megabyte.
  const line = visible(text.length > most * 4 ? text.slice(0, most * 4) : text);
  const characters = [...line];
  if (characters.length <= most && text.length <= most * 4) return line;
  return `${characters.slice(0, most - 1).join('')}…`;
}

/** A value of a field on one line. */
export function value(of: unknown, most = 80): string {
  if (of === undefined) return 'none';
  return short(typeof of === 'string' ? of : JSON.stringify(of), most);
}

/** Kind and name of an identity, without its API group: StatefulSet cassandra/cassandra-r1. */
export function withoutGroup(id: string): string {
  return id.slice(id.indexOf('/') + 1).replace(' /', ' ');
}

/** The escapes of characters that are special in HTML. */
export const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
