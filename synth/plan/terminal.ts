import type { ChangeVerdict, ObjectChange, Plan } from '../../checks/step/plan';
import { byFolder, riskLines, rolloutLines, shownFields, type ShownField } from './details';
import { itself, shares, summary, type Section, type SummaryLine } from './summary';
import { severity, short, VERDICT_WORDS, withoutGroup } from './words';

/** Format of a plan in a terminal. */
export interface TerminalOptions {
  /** @default false */
  readonly color?: boolean;
  /** Columns. @default 120 */
  readonly width?: number;
  /** Lines of the first screen. @default 50 */
  readonly rows?: number;
}

const COLORS: Readonly<Record<ChangeVerdict, string>> = {
  nothing: '2',
  live: '32',
  created: '32',
  pruned: '36',
  kept: '36',
  restart: '33',
  recreate: '33',
  access: '35',
  limit: '35',
  'not-deployed': '31',
  refused: '31',
  data: '1;31',
};

type Paint = (code: string, text: string) => string;

/** A plan for a terminal: the first screen, then the details of each danger, then every object by folder. */
export function terminal(plan: Plan, options: TerminalOptions = {}): string {
  const width = Math.max(60, options.width ?? 120);
  const paint: Paint = options.color ? (code, text) => `\x1b[${code}m${text}\x1b[0m` : (_, text) => text;
  return [
    ...firstScreen(plan, { ...options, width }, paint),
    ...inFull(plan, width, paint),
    ...folders(plan, width, paint),
  ]
    .map((line) => line.trimEnd())
    .join('\n')
    .concat('\n');
}

/** The first screen, line by line: whole sentences if they fit, else one cut line for each. */
export function firstScreen(
  plan: Plan,
  { width = 120, rows = 50 }: TerminalOptions,
  paint: Paint = (_, text) => text,
): string[] {
  const { verdict, headline, sections } = summary(plan);
  const lines = [
    paint('1', short(`Plan against ${plan.base}`, width)),
    ...wrapped(headline, width, '').map((line) => paint(COLORS[verdict], line)),
  ];
  const longest = Math.max(0, ...sections.flatMap((section) => section.lines.map((line) => [...line.subject].length)));
  const whole = sections.flatMap((section) => [
    '',
    ...sectionLines(section, section.lines.length, { width, subject: Math.min(36, longest), whole: true }, paint),
  ]);
  if (lines.length + whole.length <= rows) return [...lines, ...whole];
  // Each section has a title and one line for what is left out; without space there are no blank lines.
  const wanted = sections.reduce((all, section) => all + section.lines.length + 2, lines.length);
  const blank = wanted <= rows;
  const given = shares(sections, Math.max(sections.length, rows - lines.length - sections.length * 2));
  sections.forEach((section, at) => {
    if (blank) lines.push('');
    lines.push(...sectionLines(section, given[at]!, { width, subject: Math.min(46, longest), whole: false }, paint));
  });
  return lines;
}

interface Columns {
  readonly width: number;
  /** Width of a line's subject; a longer one is cut, or gets its own line. */
  readonly subject: number;
  /** Whether to wrap a long line instead of cutting it. */
  readonly whole: boolean;
}

function sectionLines({ title, verdict, lines }: Section, given: number, columns: Columns, paint: Paint): string[] {
  const more = lines.length - given;
  return [
    paint(COLORS[verdict], short(title, columns.width)),
    ...lines.slice(0, given).flatMap((line) => summaryLines(line, columns)),
    ...(more > 0 ? [`  and ${more} more below`] : []),
  ];
}

function summaryLines({ subject: about, says }: SummaryLine, { width, subject, whole }: Columns): string[] {
  if (about === '') return whole ? wrapped(says, width, '  ') : [`  ${short(says, width - 2)}`];
  const margin = ' '.repeat(subject + 4);
  const beside = whole ? wrapped(says, width, margin) : [margin + short(says, Math.max(10, width - margin.length))];
  if ([...about].length > subject && whole) return [...wrapped(about, width, '  '), ...beside];
  const name = short(about, subject);
  return [`  ${name}${' '.repeat(subject - [...name].length)}  ${beside[0]!.slice(margin.length)}`, ...beside.slice(1)];
}

function inFull({ risks }: Plan, width: number, paint: Paint): string[] {
  if (risks.length === 0) return [];
  const sorted = [...risks].sort((a, b) => severity(b.verdict) - severity(a.verdict));
  return [
    '',
    paint('1', 'In full'),
    ...sorted.flatMap((risk) => [
      '',
      `${paint(COLORS[risk.accepted === undefined ? risk.verdict : 'live'], VERDICT_WORDS[risk.verdict].toUpperCase())} ${short(risk.what, width - 15)}`,
      ...riskLines(risk).flatMap((line) => wrapped(line, width, '  ')),
    ]),
  ];
}

function folders(plan: Plan, width: number, paint: Paint): string[] {
  return byFolder(plan).flatMap(({ name, changes }) => [
    '',
    paint('1', `${name}/`),
    ...changes.flatMap((change) => objectLines(change, width, paint)),
  ]);
}

function objectLines(change: ObjectChange, width: number, paint: Paint): string[] {
  const { id, verdict, reason, way, rollout } = change;
  const word = VERDICT_WORDS[verdict];
  const beside = itself(change) === verdict ? '' : `, ${VERDICT_WORDS[itself(change)]}`;
  const { shown, more } = shownFields(change, 40, Math.max(20, Math.floor((width - 30) / 2)));
  return [
    `  ${paint(COLORS[verdict], word.padEnd(12))} ${short(withoutGroup(id), width - 16)}${beside}`,
    ...wrapped(reason, width, ' '.repeat(15)),
    ...(way === undefined ? [] : wrapped(`instead: ${way}`, width, ' '.repeat(15))),
    ...(rollout === undefined ? [] : rolloutLines(rollout).flatMap((line) => wrapped(line, width, ' '.repeat(15)))),
    ...shown.flatMap((field) => fieldLines(field, width, paint)),
    ...(more > 0 ? [`${' '.repeat(15)}and ${more} more fields (--json has them all)`] : []),
  ];
}

function fieldLines({ path, before, after, diff, reason }: ShownField, width: number, paint: Paint): string[] {
  const indent = ' '.repeat(15);
  const why = reason === '' ? [] : wrapped(reason, width, `${indent}  `);
  if (diff === undefined) {
    const line = `${path}: ${before} -> ${after}`;
    const change =
      [...line].length + 15 <= width
        ? [`${indent}${short(line, width)}`]
        : [`${indent}${short(path, width - 16)}:`, `${indent}  ${short(`${before} -> ${after}`, width - 17)}`];
    return [...change, ...why];
  }
  return [
    `${indent}${short(path, width - 16)}:`,
    ...diff.map(({ sign, text }) => {
      const line = `${indent}  ${sign} ${short(text, width - 19)}`;
      return sign === '-' ? paint('31', line) : sign === '+' ? paint('32', line) : paint('2', line);
    }),
    ...why,
  ];
}

/** Wraps a text to a width; breaks words that are longer than a line. */
function wrapped(text: string, width: number, indent: string): string[] {
  if (text === '') return [];
  const room = Math.max(20, width - indent.length);
  const lines: string[] = [];
  let line = '';
  const parts = new RegExp(`.{1,${room}}`, 'gu');
  for (const word of short(text, 2000)
    .split(' ')
    .flatMap((each) => each.match(parts) ?? [''])) {
    if (line !== '' && [...line].length + 1 + [...word].length > room) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each) => `${indent}${each}`);
}
