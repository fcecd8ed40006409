import { firstScreen, terminal } from '../../../synth/plan';
import { largePlan, PLAN } from '../../fixtures/plan';

// eslint-disable-next-line no-control-regex
const COLOR = /\x1b\[[\d;]*m/g;

test('the first screen, the details of each danger, and the objects by folder', () => {
  expect(terminal(PLAN)).toMatchSnapshot();
});

test('colour does not change the text', () => {
  expect(terminal(PLAN)).not.toMatch(COLOR);
  const colored = terminal(PLAN, { color: true });
  expect(colored).toMatch(COLOR);
  expect(colored.replace(COLOR, '')).toBe(terminal(PLAN));
});

test.each([60, 80, 120, 200])('no line is wider than %d columns', (width) => {
  const long = largePlan(3, () => ({ id: `/ConfigMap services/${'long-'.repeat(60)}`, reason: 'word '.repeat(90) }));
  for (const plan of [PLAN, long])
    for (const line of terminal(plan, { width }).split('\n')) expect([...line].length).toBeLessThanOrEqual(width);
});

test('the first screen keeps its number of rows, and says how much it leaves out', () => {
  const refused = largePlan(300, (index) => ({
    id: `apps/Deployment services/s${index}`,
    verdict: 'refused',
    itself: 'refused',
  }));
  const lines = firstScreen({ ...refused, risks: PLAN.risks, machines: PLAN.machines, next: PLAN.next }, { rows: 50 });
  expect(lines.length).toBeLessThanOrEqual(50);
  const shown = lines.filter((line) => line.includes('Deployment services/s')).length;
  expect(shown).toBeGreaterThan(15);
  expect(lines).toContain(`  and ${300 - shown} more below`);
});

test('a value cannot move the cursor', () => {
  const evil = largePlan(1, () => ({ reason: '\x1b[2J\r\u202e', fields: [] }));
  expect(terminal(evil)).toContain('\\u001b[2J\\u000d\\u202e');
});

test('a plan without changes is one line', () => {
  expect(terminal(largePlan(0))).toBe('Plan against HEAD (1a2b3c4)\nnothing changes\n');
});
