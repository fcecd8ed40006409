import { Placement, spreadOverNodes } from '../../constructs/placement';

const expression = { key: 'disk', operator: 'In', values: ['ssd', 'nvme'] };

test('pods require or prefer labelled nodes', () => {
  expect(Placement.onNodesLabelled('disk', 'ssd', 'nvme').nodeAffinity).toEqual({
    requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [expression] }] },
  });
  expect(Placement.preferNodesLabelled('disk', 'ssd', 'nvme').nodeAffinity).toEqual({
    preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, preference: { matchExpressions: [expression] } }],
  });
});

test('pods spread over nodes if possible, and are scheduled anyway', () => {
  const spread = {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: { app: 'a' } },
  };
  expect(spreadOverNodes({ app: 'a' })).toEqual([spread]);
  expect(spreadOverNodes({ app: 'a' }, ['pod-template-hash'])).toEqual([
    { ...spread, matchLabelKeys: ['pod-template-hash'] },
  ]);
});
