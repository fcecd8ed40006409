import {
  worst,
  type ChangeVerdict,
  type MachineChange,
  type ObjectChange,
  type Plan,
  type Risk,
} from '../../checks/step/plan';
import { restartSeconds } from '../../checks/step/waves';
import {
  counted,
  EFFECT_WORDS,
  HARMLESS_WORDS,
  named,
  severity,
  span,
  succeeded,
  value,
  withoutGroup,
  workloads,
} from './words';

/** One line of the first screen. */
export interface SummaryLine {
  /** The object, or the thing and its aspect. */
  readonly subject: string;
  readonly says: string;
}

/** A paragraph of the first screen. */
export interface Section {
  readonly title: string;
  /** The verdict that sets its colour. */
  readonly verdict: ChangeVerdict;
  readonly lines: readonly SummaryLine[];
}

/** What the reader must know first. */
export interface Summary {
  /** The worst verdict that is not accepted. */
  readonly verdict: ChangeVerdict;
  /** As "5 data at risk, 5 refused". */
  readonly headline: string;
  /** Sections, the worst first; none is empty. */
  readonly sections: readonly Section[];
}

/** Exit codes of the command by the worst verdict; 1 and 2 are failures of the command itself. */
export const EXIT_CODES: Readonly<Partial<Record<ChangeVerdict, number>>> = {
  restart: 10,
  recreate: 10,
  access: 15,
  limit: 20,
  'not-deployed': 20,
  refused: 20,
  data: 30,
};

/** The exit code for CI. */
export function exitCode(plan: Plan): number {
  return EXIT_CODES[verdictOf(plan)] ?? 0;
}

/** The worst verdict of a plan. Changes that homelab.ts accepts do not count. */
export function verdictOf({ changes, risks, machines }: Plan): ChangeVerdict {
  const named = new Set(risks.filter(({ accepted }) => accepted !== undefined).flatMap(({ objects }) => objects));
  return worst([
    ...risks.filter(({ accepted }) => accepted === undefined).map(({ verdict }) => verdict),
    // An object with an accepted danger counts with its other effects.
    ...changes.map((change) => (named.has(change.id) ? itself(change) : change.verdict)),
    ...machines.map(machineVerdict),
  ]);
}

/** What the API server, the controllers and Argo CD make of an object, without the risks that name it. */
export function itself(change: ObjectChange): ChangeVerdict {
  return change.itself ?? change.verdict;
}

export function machineVerdict({ effect }: MachineChange): ChangeVerdict {
  if (effect === 'data') return 'data';
  if (effect === 'node-reboot' || effect === 'host-reboot') return 'restart';
  return effect === 'nothing' ? 'nothing' : effect === 'new-machine' ? 'created' : 'live';
}

const FAMILIES = [
  ['data', 'Data at risk', 'data at risk'],
  ['refused', 'Refused by the API server', 'refused'],
  ['not-deployed', 'Never deployed, or waiting', 'never deployed'],
  ['limit', 'Limits that are reached', 'at a limit'],
  ['access', 'More access than before', 'with more access'],
] as const;

/** The content of the first screen. */
export function summary(plan: Plan): Summary {
  const dangers = FAMILIES.map(([verdict, title, word]) => ({
    verdict,
    title,
    word,
    lines: dangerLines(plan, verdict),
  }));
  const restarts = restartLines(plan);
  const machines = [...plan.machines].sort((a, b) => severity(machineVerdict(b)) - severity(machineVerdict(a)));
  const reboots = machines.filter((machine) => machineVerdict(machine) === 'restart').length;
  const parts = [
    ...dangers.filter(({ lines }) => lines.length > 0).map(({ lines, word }) => `${lines.length} ${word}`),
    ...(restarts.length > 0 ? [`${counted(restarts.length, 'restart')} (${restartTotal(plan)})`] : []),
    ...(reboots > 0 ? [counted(reboots, 'reboot')] : []),
  ];
  const sections: Section[] = [
    ...dangers,
    { verdict: 'restart', title: `Restarts: ${restartTotal(plan)}`, lines: restarts },
    { verdict: worst(machines.map(machineVerdict)), title: 'Machines', lines: machines.map(machineLine) },
    { verdict: 'live', title: 'Accepted in homelab.ts', lines: plan.risks.filter(isAccepted).map(acceptedLine) },
    { verdict: 'nothing', title: 'Harmless', lines: harmlessLines(plan) },
    {
      verdict: 'nothing',
      title: 'Next commits',
      lines: plan.next.map(({ what, when }) => ({ subject: what, says: when })),
    },
    { verdict: 'nothing', title: 'Notes', lines: plan.notes.map((note) => ({ subject: '', says: note })) },
  ];
  return {
    verdict: verdictOf(plan),
    headline:
      parts.length > 0
        ? parts.join(', ')
        : plan.changes.length + machines.length > 0
          ? 'nothing dangerous'
          : 'nothing changes',
    sections: sections.filter(({ lines }) => lines.length > 0),
  };
}

/** How many lines of each section fit: each gets a few, then the worst sections get the rest. */
export function shares(sections: readonly Section[], rows: number): number[] {
  const wanted = sections.map(({ lines }) => lines.length);
  const given = wanted.map(() => 0);
  let left = rows;
  for (const most of [1, 3, 6, Infinity])
    wanted.forEach((lines, at) => {
      const more = Math.max(0, Math.min(lines, most, given[at]! + left) - given[at]!);
      given[at]! += more;
      left -= more;
    });
  return given;
}

function dangerLines({ changes, risks }: Plan, verdict: Risk['verdict'] | 'refused'): SummaryLine[] {
  const found = risks.filter((risk) => risk.verdict === verdict && !isAccepted(risk));
  const told = new Set(found.flatMap(({ objects }) => objects));
  // An object that is itself refused, or waits behind a refused one.
  const alone = verdict === 'refused' || verdict === 'not-deployed';
  const objects = changes.filter((change) => alone && itself(change) === verdict && !told.has(change.id));
  return [...found.map(riskLine), ...objects.map(({ id, reason }) => ({ subject: withoutGroup(id), says: reason }))];
}

function riskLine({ what, from, to, problem }: Risk): SummaryLine {
  const change =
    from === to || (from === '' && to === '') ? '' : `${value(from || 'none', 40)} -> ${value(to || 'none', 40)}: `;
  return { subject: what, says: `${change}${problem}` };
}

function acceptedLine(risk: Risk): SummaryLine {
  return { subject: risk.what, says: `${value(risk.from, 40)} -> ${value(risk.to, 40)}, because ${risk.accepted}` };
}

function isAccepted({ accepted }: Risk): boolean {
  return accepted !== undefined;
}

/** Objects whose pods are replaced, the longest first, then those that are deleted and recreated. */
function restartLines({ changes }: Plan): SummaryLine[] {
  const rolled = changes.filter(({ rollout }) => rollout !== undefined);
  rolled.sort((a, b) => b.rollout!.seconds.most - a.rollout!.seconds.most);
  const made = changes.filter((change) => itself(change) === 'recreate' && change.rollout === undefined);
  return [
    ...rolled.map(({ id, rollout }) => {
      const { count, after, seconds, available, clients } = rollout!;
      const waits = after === undefined ? '' : ` after ${succeeded(after)}`;
      const noticed = clients.length > 0 ? `; noticed by ${workloads(clients)}` : '';
      return {
        subject: withoutGroup(id),
        says: `${counted(count, 'pod')}, ${span(seconds.least, seconds.most)}${waits}${noticed}; ${available}`,
      };
    }),
    ...made.map(({ id, reason }) => ({ subject: withoutGroup(id), says: `deleted and recreated: ${reason}` })),
  ];
}

/** How many pods and how long. */
function restartTotal(plan: Plan): string {
  const pods = plan.changes.reduce((sum, { rollout }) => sum + (rollout?.count ?? 0), 0);
  const { least, most } = restartSeconds(plan);
  return `${counted(pods, 'pod')}, ${span(least, most)}`;
}

function machineLine({ machine, effect, reason, pods, clients, command }: MachineChange): SummaryLine {
  const stops = pods.length > 0 ? `; stops ${named(pods)}` : '';
  const noticed = clients.length > 0 ? `; noticed by ${workloads(clients)}` : '';
  return {
    subject: machine,
    says: `${EFFECT_WORDS[effect]}: ${reason}${stops}${noticed}${command ? `; ${command}` : ''}`,
  };
}

/** How many objects of each kind change without a danger, one line for each verdict. */
function harmlessLines({ changes }: Plan): SummaryLine[] {
  return Object.entries(HARMLESS_WORDS).flatMap(([verdict, words]) => {
    const here = changes.filter((change) => change.verdict === verdict);
    if (here.length === 0) return [];
    const kinds = new Map<string, string[]>();
    for (const { id } of here) {
      const [kind = '', name = ''] = withoutGroup(id).split(' ');
      const names = kinds.get(kind);
      if (names) names.push(name);
      else kinds.set(kind, [name]);
    }
    const says = [...kinds]
      .sort(([, a], [, b]) => b.length - a.length)
      .map(([kind, names]) => `${names.length} ${kind} (${named(names, 3)})`);
    return [{ subject: words, says: says.join(', ') }];
  });
}
