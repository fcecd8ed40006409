import { majorsBetween } from '../../../checks/step/data/versions';

test.each([
  ['mongodb', [6, 0, 5], [8, 0, 26], ['7.0', '8.0.26']],
  ['mongodb', [4, 2, 24], [6, 0, 5], ['4.4', '5.0', '6.0.5']],
  ['mongodb', [7, 0, 37], [8, 0, 26], ['8.0.26']],
  ['cassandra', [3, 11, 19], [5, 0, 8], ['4', '5.0.8']],
  ['elasticsearch', [7, 17], [9, 1], ['8', '9.1']],
] as const)('%s from %j to %j upgrades through %j', (engine, before, after, way) => {
  expect(majorsBetween(engine, before, after)).toEqual(way);
});
