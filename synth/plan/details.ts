import type { FieldChange, ObjectChange, Plan, Risk, Rollout } from '../../checks/step/plan';
import { severity, span, succeeded, value } from './words';
import { isLong, textDiff, type DiffLine } from './text-diff';

/** The changes in one folder of dist/, the worst first. */
export interface Folder {
  readonly name: string;
  readonly changes: readonly ObjectChange[];
}

/** The changes of a plan by folder. */
export function byFolder({ changes }: Plan): Folder[] {
  const folders = new Map<string, ObjectChange[]>();
  for (const change of changes) {
    const there = folders.get(change.folder);
    if (there) there.push(change);
    else folders.set(change.folder, [change]);
  }
  return [...folders]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, there]) => ({ name, changes: there.sort((a, b) => severity(b.verdict) - severity(a.verdict)) }));
}

/** A field as shown: one line, or a line diff for a long text. */
export interface ShownField {
  readonly path: string;
  readonly before: string;
  readonly after: string;
  readonly diff?: readonly DiffLine[];
  /** Empty if the object gives the same reason. */
  readonly reason: string;
}

/** The first fields of an object, and the number of the others. */
export function shownFields(
  { fields, reason }: ObjectChange,
  most = 40,
  width = 80,
): { shown: ShownField[]; more: number } {
  const worstFirst = [...fields].sort((a, b) => severity(b.verdict) - severity(a.verdict));
  return {
    shown: worstFirst.slice(0, most).map((field) => shownField(field, reason, width)),
    more: Math.max(0, fields.length - most),
  };
}

function shownField({ path, before, after, reason }: FieldChange, said: string, width: number): ShownField {
  const text = (of: unknown) => (typeof of === 'string' ? of : '');
  return {
    path,
    before: value(before, width),
    after: value(after, width),
    ...(isLong(before, after) ? { diff: textDiff(text(before), text(after)) } : {}),
    reason: reason === said ? '' : reason,
  };
}

/** A rollout, one line for each fact. */
export function rolloutLines({ pods, count, order, wave, after, seconds, available, clients }: Rollout): string[] {
  const names = pods.length > 8 ? `${pods.slice(0, 7).join(', ')} and ${pods.length - 7} more` : pods.join(', ');
  return [
    `restarts ${count === 1 ? '1 pod' : `${count} pods`} (${names}): ${order}; sync wave ${wave}; ${span(seconds.least, seconds.most)}`,
    ...(after === undefined ? [] : [`after ${succeeded(after)}; if one fails, these pods stay as they are`]),
    `meanwhile: ${available}`,
    ...(clients.length > 0 ? [`noticed by ${clients.join(', ')}`] : []),
  ];
}

/** The details of a risk, besides its line. */
export function riskLines({ from, to, problem, way = [], docs, objects, path, accepted }: Risk): string[] {
  return [
    ...(from === to ? [] : [`${value(from || 'none', 200)} -> ${value(to || 'none', 200)}`]),
    problem,
    ...(objects.length > 0
      ? [
          `in ${objects.slice(0, 5).join(', ')}${objects.length > 5 ? ` and ${objects.length - 5} more` : ''}${path === undefined ? '' : `: ${path}`}`,
        ]
      : []),
    ...(accepted === undefined ? [] : [`accepted in homelab.ts: ${accepted}`]),
    ...way.map((step, index) => `${index + 1}. ${step}`),
    ...(docs === undefined ? [] : [`see ${docs}`]),
  ];
}
