import type { ObjectChange, Plan, Risk } from '../../checks/step/plan';
import { byFolder, riskLines, rolloutLines, shownFields, type ShownField } from './details';
import { code, codeBlock, prose, title } from './markdown-text';
import { itself, shares, summary, type Section } from './summary';
import { counted, severity, VERDICT_WORDS, withoutGroup } from './words';

/** The workflow finds its earlier comment by this marker. */
export const MARKER = '<!-- collab-homelab plan -->';

/**
 * GitHub accepts comments of 65,536 characters and rejects longer ones. Counted in bytes, which are never fewer
 * than characters.
 */
const MOST_BYTES = 59_500;

/** A paragraph that may be left out. */
interface Part {
  readonly group: string;
  readonly severity: number;
  /** Called only while the comment has room. */
  text(): string;
}

/** A plan for a comment of a pull request: the summary, then collapsed details, the most severe first. */
export function markdown(plan: Plan): string {
  const head = [MARKER, ...summaryLines(plan), ''].join('\n');
  const parts = [...riskParts(plan), ...byFolder(plan).flatMap(({ changes }) => changes.map(objectPart))];
  const { kept, left } = fitting(parts, MOST_BYTES - Buffer.byteLength(head) - 400);
  return [head, ...groups(parts, kept), ...footer(left, plan)].join('\n').concat('\n');
}

function summaryLines(plan: Plan): string[] {
  const { headline, sections } = summary(plan);
  const given = shares(sections, 70);
  return [
    `## What this change does: ${prose(headline, 400)}`,
    '',
    `Compared with ${code(plan.base)}.`,
    ...sections.flatMap((section, at) => ['', ...sectionLines(section, given[at]!)]),
  ];
}

function sectionLines({ title: name, lines }: Section, given: number): string[] {
  const more = lines.length - given;
  return [
    `### ${prose(name, 200)}`,
    '',
    ...lines
      .slice(0, given)
      .map(({ subject, says }) =>
        subject === '' ? `- ${prose(says, 400)}` : `- **${code(subject, 150)}** ${prose(says, 400)}`,
      ),
    ...(more > 0 ? [`- and ${more} more`] : []),
  ];
}

function riskParts({ risks }: Plan): Part[] {
  return risks.map((risk) => ({
    group: 'Details of the dangers, with the safe way',
    severity: severity(risk.verdict),
    text: () => riskText(risk),
  }));
}

function riskText(risk: Risk): string {
  const first = `- **${VERDICT_WORDS[risk.verdict]}** ${code(risk.what, 150)}`;
  return [
    first,
    ...riskLines(risk)
      .slice(0, 20)
      .map((line) => `  - ${prose(line, 900)}`),
  ].join('\n');
}

function objectPart(change: ObjectChange): Part {
  return { group: `${change.folder}/`, severity: severity(change.verdict), text: () => objectText(change) };
}

function objectText(change: ObjectChange): string {
  const { id, verdict, reason, way, rollout } = change;
  const beside = itself(change) === verdict ? '' : `, ${VERDICT_WORDS[itself(change)]}`;
  const { shown, more } = shownFields(change, 15, 120);
  return [
    `- **${VERDICT_WORDS[verdict]}**${beside} ${code(withoutGroup(id), 300)} ${prose(reason)}`.trimEnd(),
    ...(way === undefined ? [] : [`  - instead: ${prose(way)}`]),
    ...(rollout === undefined ? [] : rolloutLines(rollout).map((line) => `  - ${prose(line)}`)),
    ...shown.flatMap(fieldLines),
    ...(more > 0 ? [`  - and ${more} more fields`] : []),
  ].join('\n');
}

function fieldLines({ path, before, after, diff, reason }: ShownField): string[] {
  const why = reason === '' ? '' : ` ${prose(reason, 300)}`;
  if (diff === undefined) return [`  - ${code(path, 200)}: ${code(before, 200)} → ${code(after, 200)}${why}`];
  return [
    `  - ${code(path, 200)}:${why}`,
    '',
    ...codeBlock(
      'diff',
      diff.map(({ sign, text }) => `${sign === '…' ? ' …' : sign}${sign === '…' ? ` ${text}` : text}`),
      '    ',
    ),
  ];
}

/** The most severe parts that fit. */
function fitting(parts: readonly Part[], room: number): { kept: Map<Part, string>; left: Part[] } {
  const kept = new Map<Part, string>();
  const opened = new Set<string>();
  let size = 0;
  const sorted = [...parts].sort((a, b) => b.severity - a.severity);
  for (const [at, part] of sorted.entries()) {
    // A group has a title and its tags.
    const heading = opened.has(part.group) ? 0 : Buffer.byteLength(title(part.group)) + 120;
    const text = part.text();
    size += Buffer.byteLength(text) + 1 + heading;
    // Less severe parts are left out even if they would fit: the list must have one clear end.
    if (size > room) return { kept, left: sorted.slice(at) };
    kept.set(part, text);
    opened.add(part.group);
  }
  return { kept, left: [] };
}

function groups(parts: readonly Part[], kept: ReadonlyMap<Part, string>): string[] {
  const found = new Map<string, string[]>();
  for (const part of parts) {
    const text = kept.get(part);
    if (text === undefined) continue;
    const there = found.get(part.group);
    if (there) there.push(text);
    else found.set(part.group, [text]);
  }
  return [...found].flatMap(([group, texts]) => [
    `<details><summary>${title(group)} (${texts.length})</summary>`,
    '',
    ...texts,
    '',
    '</details>',
    '',
  ]);
}

function footer(left: readonly Part[], { base }: Plan): string[] {
  if (left.length === 0) return [];
  const ref = /^[\w./-]+/.exec(base)?.[0] ?? 'HEAD';
  return [
    `Left out, because a comment has no room for more: ${counted(left.length, 'detail')}, the least severe. The whole plan: ${code(`npm run homelab -- plan --base ${ref}`, 200)}`,
  ];
}
