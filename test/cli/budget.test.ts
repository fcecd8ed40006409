import { homelabApp } from '../../charts';
import { budgetTable } from '../../cli/budget';
import homelab from '../../homelab';
import { render } from '../../synth';

test('the budget of this homelab: every container on every node, and what is free', () => {
  expect(budgetTable(render(homelabApp(homelab)), homelab)).toMatchSnapshot();
});
