import { VERDICTS, type ChangeVerdict, type ObjectChange, type Plan } from '../../checks/step/plan';
import { visible } from '../../values/problem';
import { byFolder, riskLines, rolloutLines, shownFields, type ShownField } from './details';
import { STYLE } from './html-style';
import { itself, summary } from './summary';
import { ENTITIES, severity, VERDICT_WORDS, withoutGroup } from './words';

/**
 * A plan as one page: no script, no network request, readable on a phone and in dark mode. The check boxes filter by
 * verdict with CSS alone.
 */
export function html(plan: Plan): string {
  const { headline, sections, verdict } = summary(plan);
  const present = VERDICTS.filter((each) => plan.changes.some((change) => change.verdict === each)).reverse();
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    '<meta name="color-scheme" content="light dark">',
    `<title>Plan against ${text(plan.base)}</title>`,
    `<style>${STYLE}${present.map(filterRule).join('')}</style>`,
    '</head>',
    '<body>',
    '<header>',
    `<h1>Plan against <code>${text(plan.base)}</code></h1>`,
    `<p class="headline ${verdict}">${text(headline)}</p>`,
    '</header>',
    '<main>',
    ...sections.flatMap(({ title, verdict: color, lines }) => [
      `<section><h2 class="${color}">${text(title)}</h2>`,
      '<dl>',
      ...lines.map(({ subject, says }) => `<div><dt>${text(subject)}</dt><dd>${text(says)}</dd></div>`),
      '</dl></section>',
    ]),
    ...risks(plan),
    ...(plan.changes.length === 0 ? [] : ['<h2>Objects by folder</h2>', ...filter(present)]),
    ...byFolder(plan).flatMap(({ name, changes }) => [
      `<section class="folder"><h3>${text(name)}/</h3>`,
      ...changes.map(object),
      '</section>',
    ]),
    '</main>',
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

function filterRule(verdict: ChangeVerdict): string {
  return `body:has(#show-${verdict}:not(:checked)) .object.${verdict}{display:none}`;
}

function filter(present: readonly ChangeVerdict[]): string[] {
  return [
    '<fieldset><legend>Show</legend>',
    ...present.map(
      (verdict) =>
        `<label class="${verdict}"><input type="checkbox" id="show-${verdict}" checked> ${VERDICT_WORDS[verdict]}</label>`,
    ),
    '</fieldset>',
  ];
}

function risks(plan: Plan): string[] {
  if (plan.risks.length === 0) return [];
  const sorted = [...plan.risks].sort((a, b) => severity(b.verdict) - severity(a.verdict));
  return [
    '<section><h2>In full</h2>',
    ...sorted.map((risk) => {
      const lines = riskLines(risk).map((line) => `<p>${text(line)}</p>`);
      return `<details><summary>${badge(risk.verdict)} <code>${text(risk.what)}</code></summary>${lines.join('')}</details>`;
    }),
    '</section>',
  ];
}

function object(change: ObjectChange): string {
  const { id, verdict, reason, way, rollout } = change;
  const beside = itself(change) === verdict ? '' : ` ${badge(itself(change))}`;
  const { shown, more } = shownFields(change, 200, 200);
  const lines = [
    ...(way === undefined ? [] : [`instead: ${way}`]),
    ...(rollout === undefined ? [] : rolloutLines(rollout)),
    ...(more > 0 ? [`and ${more} more fields`] : []),
  ];
  const inside = [
    ...lines.map((line) => `<p>${text(line)}</p>`),
    ...(shown.length > 0 ? [`<ul>${shown.map(field).join('')}</ul>`] : []),
  ];
  const title = `${badge(verdict)}${beside} <code>${text(withoutGroup(id))}</code> ${text(reason)}`;
  return inside.length === 0
    ? `<p class="object ${verdict}">${title}</p>`
    : `<details class="object ${verdict}"><summary>${title}</summary>${inside.join('')}</details>`;
}

function field({ path, before, after, diff, reason }: ShownField): string {
  const why = reason === '' ? '' : ` <span>${text(reason)}</span>`;
  if (diff === undefined)
    return `<li><code>${text(path)}</code>: <del>${text(before)}</del> → <ins>${text(after)}</ins>${why}</li>`;
  const tags: Readonly<Record<string, string>> = { '-': 'del', '+': 'ins' };
  const lines = diff.map(({ sign, text: line }) => {
    const tag = tags[sign] ?? 'span';
    return `<${tag}>${text(`${sign} ${line}`)}</${tag}>`;
  });
  return `<li><code>${text(path)}</code>:${why}<pre>${lines.join('\n')}</pre></li>`;
}

function badge(verdict: ChangeVerdict): string {
  return `<b class="badge ${verdict}">${VERDICT_WORDS[verdict]}</b>`;
}

function text(of: string): string {
  return visible(of).replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}
