import { budgetTable } from '../../cli/budget';
import homelab from '../../homelab';
import { renderedHomelab } from '../homelab';

test('the budget of this homelab: every container on every node, and what is free', () => {
  expect(budgetTable(renderedHomelab(), homelab)).toMatchSnapshot();
});
