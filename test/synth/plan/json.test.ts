import { json } from '../../../synth/plan';
import { PLAN } from '../../fixtures/plan';

test('holds the whole plan, a version and the exit code', () => {
  const { plan, ...rest } = JSON.parse(json(PLAN));
  expect(plan).toEqual(PLAN);
  expect(rest).toEqual({
    version: 1,
    verdict: 'data',
    exitCode: 30,
    headline: expect.stringContaining('1 data at risk'),
    counts: { data: 1, refused: 1, restart: 1, created: 1, kept: 1 },
  });
});
