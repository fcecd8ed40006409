import type { Plan } from '../../../checks/step/plan';
import { exitCode, summary, verdictOf } from '../../../synth/plan';
import { shares, type Section } from '../../../synth/plan/summary';
import { named, short, span, time, value, workloads } from '../../../synth/plan/words';
import { PLAN } from '../../fixtures/plan';

const EMPTY: Plan = { base: 'HEAD', changes: [], risks: [], machines: [], next: [], notes: [] };
const change = (verdict: any, more: object = {}) => ({
  id: `apps/Deployment services/${verdict}`,
  folder: 'services',
  verdict,
  itself: verdict,
  reason: 'why',
  fields: [],
  ...more,
});
const risk = (verdict: any, more: object = {}) => ({
  verdict,
  what: `thing.${verdict}`,
  objects: [],
  from: 'a',
  to: 'b',
  problem: 'Something is lost.',
  ...more,
});

test.each([
  ['nothing', 0],
  ['live', 0],
  ['created', 0],
  ['pruned', 0],
  ['kept', 0],
  ['restart', 10],
  ['recreate', 10],
  ['access', 15],
  ['limit', 20],
  ['not-deployed', 20],
  ['refused', 20],
  ['data', 30],
])('an object that is %s gives exit code %d', (verdict, code) => {
  expect(exitCode({ ...EMPTY, changes: [change(verdict)] })).toBe(code);
});

test('the verdict is the worst of objects, risks and machines', () => {
  expect(verdictOf(EMPTY)).toBe('nothing');
  expect(verdictOf({ ...EMPTY, changes: [change('restart')], risks: [risk('access')] })).toBe('access');
  const machine = { machine: 'm', files: [], reason: '', pods: [], clients: [] };
  expect(exitCode({ ...EMPTY, machines: [{ ...machine, effect: 'node-reboot' }] })).toBe(10);
  expect(exitCode({ ...EMPTY, machines: [{ ...machine, effect: 'data' }] })).toBe(30);
  expect(exitCode({ ...EMPTY, machines: [{ ...machine, effect: 'next-start' }] })).toBe(0);
});

test('an accepted risk does not count, other effects of its object do', () => {
  const accepted = risk('data', { objects: ['apps/Deployment services/data'], accepted: 'nothing is in it yet' });
  const step = { ...EMPTY, changes: [change('data', { itself: 'restart' })] };
  expect(exitCode({ ...step, risks: [accepted] })).toBe(10);
  expect(exitCode({ ...step, risks: [accepted, risk('data', { objects: ['other'] })] })).toBe(30);
  const { sections } = summary({ ...step, risks: [accepted] });
  expect(sections.find(({ title }) => title === 'Data at risk')).toBeUndefined();
  expect(sections.find(({ title }) => title === 'Accepted in homelab.ts')!.lines).toHaveLength(1);
});

test('shows every danger, the worst first', () => {
  const { headline, sections } = summary(PLAN);
  expect(sections.map(({ title, lines }) => [title, lines.length])).toEqual([
    ['Data at risk', 1],
    ['Refused by the API server', 1],
    ['Never deployed, or waiting', 1],
    ['Limits that are reached', 1],
    ['More access than before', 1],
    ['Restarts: 1 pod, 12 s to 2 min', 1],
    ['Machines', 1],
    ['Accepted in homelab.ts', 1],
    ['Harmless', 2],
    ['Next commits', 1],
    ['Notes', 1],
  ]);
  expect(headline).toBe(
    '1 data at risk, 1 refused, 1 never deployed, 1 at a limit, 1 with more access, 1 restart (1 pod, 12 s to 2 min), 1 reboot',
  );
});

test('shows a refused object also if its data is at risk', () => {
  const both = change('data', { itself: 'refused', reason: 'immutable' });
  const { sections } = summary({ ...EMPTY, changes: [both], risks: [risk('data', { objects: [both.id] })] });
  expect(sections.map(({ title }) => title)).toEqual(['Data at risk', 'Refused by the API server']);
});

test('pods of one wave restart at once, waves one after another', () => {
  const rollout = (wave: string, least: number, most: number) => ({
    pods: ['p'],
    count: 2,
    order: 'in order',
    wave,
    seconds: { least, most },
    available: 'one serves',
    clients: [],
  });
  const changes = [
    change('restart', { rollout: rollout('1/0', 60, 600) }),
    change('restart', { rollout: rollout('1/0', 120, 300) }),
    change('restart', { rollout: rollout('2/0', 60, 300) }),
  ];
  expect(summary({ ...EMPTY, changes }).headline).toBe('3 restarts (6 pods, 3 to 15 min)');
});

test('each section gets some lines, the worst gets the rest', () => {
  const section = (count: number): Section => ({
    title: 't',
    verdict: 'data',
    lines: Array.from({ length: count }, () => ({ subject: 's', says: '' })),
  });
  expect(shares([section(5), section(2)], 50)).toEqual([5, 2]);
  expect(shares([section(100), section(100), section(1)], 20)).toEqual([13, 6, 1]);
  expect(shares([section(9), section(9), section(9)], 2)).toEqual([1, 1, 0]);
});

test('formats times, names and values for people', () => {
  expect([time(45), time(150), time(7200), time(7500)]).toEqual(['45 s', '3 min', '2 h', '2 h 5 min']);
  expect([span(10, 10), span(10, 90), span(60, 150), span(180, 900), span(180, 7500)]).toEqual([
    '10 s',
    '10 to 90 s',
    '60 s to 3 min',
    '3 to 15 min',
    '3 min to 2 h 5 min',
  ]);
  expect(named(['a', 'b', 'c', 'd'])).toBe('a, b, c, d');
  expect(named(['a', 'b', 'c', 'd', 'e'])).toBe('a, b, c and 2 more');
  expect(workloads(['services/a', 'services/b'])).toBe('a, b of services');
  expect(workloads(['services/a', 'web/b'])).toBe('services/a, web/b');
  expect(workloads(['services/a'])).toBe('services/a');
  expect(value(undefined)).toBe('none');
  expect(value({ a: 1 })).toBe('{"a":1}');
  expect(short('a\nb\u001b[31m', 40)).toBe('a\\u000ab\\u001b[31m');
  expect([...short('x'.repeat(1_000_000), 10)]).toHaveLength(10);
});
