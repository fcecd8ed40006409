import { html } from '../../../synth/plan';
import { largePlan, PLAN } from '../../fixtures/plan';

test('one page with every danger and object, and a check box for each verdict', () => {
  const page = html(PLAN);
  for (const { id } of PLAN.changes) expect(page).toContain(id.split('/').at(-1)!);
  for (const { what } of PLAN.risks) expect(page).toContain(what);
  for (const verdict of ['data', 'refused', 'restart', 'created', 'kept']) {
    expect(page).toContain(`<input type="checkbox" id="show-${verdict}" checked>`);
    expect(page).toContain(`body:has(#show-${verdict}:not(:checked)) .object.${verdict}{display:none}`);
  }
  expect(page).not.toContain('id="show-live"');
});

test('makes no request and runs no script', () => {
  const page = html(PLAN);
  expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
  expect(page).not.toMatch(/<script|<link|<img|<iframe|url\(|@import|https?:| on\w+=/i);
  expect(page).toContain('prefers-color-scheme:dark');
  expect(page).toContain('name="viewport"');
});

test('the content of an object stays text', () => {
  const text = `</style></title><script>alert("1")</script><b onclick='x'>&amp;\u202e`;
  const evil = largePlan(1, () => ({
    id: `/ConfigMap services/${text}`,
    folder: text,
    reason: text,
    way: text,
    fields: [
      { path: text, before: text, after: `${text}\n${text}`, verdict: 'live', reason: 'x' },
      { path: text, before: text, after: text, verdict: 'live', reason: text },
    ],
  }));
  const page = html({ ...evil, base: text, notes: [text], next: [{ what: text, when: text }] });
  expect(page).not.toMatch(/<script|<b onclick|\u202e/);
  expect(page.match(/<\/style>/g)).toHaveLength(1);
  expect(page.match(/<\/title>/g)).toHaveLength(1);
  expect(page).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;');
});

test('every opened tag is closed', () => {
  const open: string[] = [];
  for (const [tag, slash, name] of html(PLAN).matchAll(/<(\/?)([a-z]\w*)[^>]*>/g)) {
    if (['meta', 'input'].includes(name!)) continue;
    if (slash === '') open.push(name!);
    else expect([tag, open.pop()]).toEqual([tag, name]);
  }
  expect(open).toEqual([]);
});
