import fc from 'fast-check';
import type { Plan } from '../../../checks/step/plan';
import { markdown, MARKER } from '../../../synth/plan';
import { code, codeBlock, prose, title } from '../../../synth/plan/markdown-text';
import { largePlan, PLAN } from '../../fixtures/plan';

const MarkdownIt = jest.requireActual('markdown-it');
// As GitHub renders it: HTML tags are tags.
const reader = new MarkdownIt({ html: true });
const page = (text: string): string => reader.render(text);
const tags = (text: string): string[] => [...new Set(page(text).match(/<[^>]*>/g) ?? [])].sort();
const ALLOWED = /^<\/?(h2|h3|p|ul|li|strong|code|pre|details|summary)>$|^<code class="language-diff">$/;
const words = (text: string): string =>
  page(text)
    .replace(/<[^>]*>/g, '')
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&quot;/g, '"')
    .replace(/&#39;/g, "'")
    .replace(/&amp;/g, '&')
    .replace(/\u200b/g, '')
    .trim();

/** Texts that try to inject markup. */
const EVIL = [
  '`` ` ``` ````',
  '<script>alert(1)</script>',
  '<!-- hidden',
  '-->',
  '</details></details><h1>done</h1>',
  '</summary>',
  '@octocat @org/team',
  '[click](javascript:alert(1)) ![x](https://example.com/x.png)',
  'https://example.com www.example.com mail@example.com',
  '#1 owner/repo#1 GH-1',
  '| a | b |',
  '# heading',
  '- list',
  '1. list',
  '***',
  '---',
  '===',
  '> quote',
  '    code',
  '&lt;b&gt; &amp;',
  '~~~',
  '$x$ :tada:',
  '\\',
  '\\<b>',
  MARKER,
];

const evilPlan = (text: string): Plan => ({
  base: text,
  changes: [
    {
      id: `/ConfigMap services/${text}`,
      folder: text,
      verdict: 'restart',
      reason: text,
      way: text,
      fields: [
        { path: text, before: text, after: { [text]: text }, verdict: 'live', reason: `${text} besides` },
        { path: text, before: `${text}\n\n${text}\n`, after: `x\n${text}\n </details>\n`, verdict: 'live', reason: '' },
      ],
      rollout: {
        pods: [text],
        count: 1,
        order: text,
        wave: text,
        seconds: { least: 1, most: 2 },
        available: text,
        clients: [text],
      },
    },
  ],
  risks: [
    {
      verdict: 'data',
      what: text,
      objects: [text],
      path: text,
      from: text,
      to: `${text}!`,
      problem: text,
      way: [text],
      docs: text,
    },
  ],
  machines: [{ machine: text, files: [], effect: 'live', reason: text, pods: [text], clients: [text], command: text }],
  next: [{ what: text, when: text }],
  notes: [text],
});

test('a plan as a comment', () => {
  expect(markdown(PLAN)).toMatchSnapshot();
  expect(tags(markdown(PLAN)).filter((tag) => !ALLOWED.test(tag))).toEqual([MARKER]);
});

test.each(EVIL)('the content of an object stays text: %s', (text) => {
  const comment = markdown(evilPlan(text));
  expect(comment.startsWith(`${MARKER}\n`)).toBe(true);
  expect(tags(comment).filter((tag) => !ALLOWED.test(tag))).toEqual([MARKER]);
  // Every opened tag is closed.
  const rendered = page(comment);
  expect(rendered.match(/<details>/g)).toHaveLength(rendered.match(/<\/details>/g)!.length);
  expect(rendered.match(/<details>/g)).toHaveLength(2);
});

test('mentions, issues and addresses outside code become no links', () => {
  const outside = markdown(evilPlan('@octocat #1 GH-1 https://a.example www.a.example x@a.example'))
    .replace(/`[^`]*`/g, '')
    .replace(/```diff[^]*?```/g, '');
  expect(outside).not.toMatch(/@\w|#\d|GH-\d|https:|www\./);
});

test('any text is rendered as it was written', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
      const line = text.replace(/\s+/g, ' ').trim();
      // eslint-disable-next-line no-control-regex
      fc.pre(line !== '' && !/[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/.test(line));
      expect(words(`- x${prose(line)}`)).toBe(`x${line}`);
      expect(words(prose(line))).toBe(line);
      expect(words(code(`x${line}x`))).toBe(`x${line}x`);
      expect(tags(prose(line)).filter((tag) => !/^<\/?p>$/.test(tag))).toEqual([]);
      expect(title(line)).not.toMatch(/<|>/);
    }),
    { numRuns: 500 },
  );
});

test('no line closes a code block', () => {
  for (const text of ['```', '~~~', '````````', ' ```'])
    expect(page(codeBlock('diff', [text, 'after']).join('\n')).match(/<pre>/g)).toHaveLength(1);
});

test.each([
  ['ten thousand objects', largePlan(10_000)],
  ['a megabyte in each of fifty', largePlan(50, () => ({ fields: [long('x'.repeat(1_000_000))] }))],
  ['lines without end', largePlan(50, () => ({ fields: [long('line\n'.repeat(100_000))] }))],
  [
    'letters of four bytes',
    largePlan(3000, (index) => ({
      id: `/ConfigMap services/${'😀'.repeat(100)}${index}`,
      reason: '漢字😀'.repeat(300),
    })),
  ],
  ['what is escaped most', largePlan(3000, () => ({ reason: '@"<&'.repeat(400), fields: [long('`'.repeat(5000))] }))],
  ['many fields', largePlan(100, () => ({ fields: Array.from({ length: 500 }, () => long('y')) }))],
  [
    'ten thousand dangers',
    {
      ...largePlan(0),
      risks: Array.from({ length: 10_000 }, () => ({
        ...PLAN.risks[0]!,
        problem: '<>'.repeat(900),
        way: Array.from({ length: 30 }, () => '"'.repeat(900)),
      })),
    },
  ],
  [
    'ten thousand machines and notes',
    {
      ...PLAN,
      machines: Array.from({ length: 10_000 }, () => PLAN.machines[0]!),
      notes: Array.from({ length: 10_000 }, () => '"'.repeat(500)),
    },
  ],
  ['folders without end', largePlan(5000, (index) => ({ folder: `${'&'.repeat(300)}${index}` }))],
] as [string, Plan][])('is under 60,000 characters and bytes, whatever changes: %s', (_, plan) => {
  const comment = markdown(plan);
  expect(comment.length).toBeLessThan(60_000);
  expect(Buffer.byteLength(comment)).toBeLessThan(60_000);
  const rendered = page(comment);
  expect(rendered.match(/<details>/g) ?? []).toHaveLength((rendered.match(/<\/details>/g) ?? []).length);
  expect(tags(comment).filter((tag) => !ALLOWED.test(tag))).toEqual([MARKER]);
});

test('leaves out the least severe first, and says how much', () => {
  const plan = largePlan(3000, (index) =>
    index % 300 === 0 ? { verdict: 'refused', itself: 'refused', reason: 'immutable' } : {},
  );
  const comment = markdown(plan);
  const details = comment.slice(comment.indexOf('<details>'));
  expect(details.match(/\*\*refused\*\*/g)).toHaveLength(10);
  const live = details.match(/\*\*live\*\*/g)!.length;
  expect(live).toBeGreaterThan(100);
  expect(comment).toContain(
    `room for more: ${3000 - 10 - live} details, the least severe. The whole plan: \`npm run homelab -- plan --base HEAD\``,
  );
});

function long(text: string) {
  return {
    path: 'data.text',
    before: `a${text}`,
    after: `b${text}`,
    verdict: 'live' as const,
    reason: 'updated in place',
  };
}
