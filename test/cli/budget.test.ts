import { homelabApp } from '../../charts';
import { budgetTable } from '../../cli/budget';
import homelab from '../../homelab';
import { render } from '../../synth';

test('the budget of this homelab: every container on every node, and what is free', () => {
  const table = budgetTable(render(homelabApp(homelab)), homelab);
  // The name of a hash-named Job follows what it runs, and is no figure of the budget.
  expect(table.replace(/-[0-9a-f]{10}\b/g, '-0123456789')).toMatchSnapshot();
});
