import { podSecurityFaults } from '../../checks';
import { CASES, hardened } from '../fixtures/pod-security';

test.each(CASES)('%s', (_, pod, level, annotations = {}) => {
  const judged = ['restricted', 'baseline', 'privileged'].filter(
    (each) => podSecurityFaults(pod, { annotations }, each).length === 0,
  );
  // The first level that accepts it, and all below.
  const from = { restricted: 3, baseline: 2, privileged: 1 }[level];
  expect(judged).toHaveLength(from);
});

test('names the container, the field and the value', () => {
  const pod = { ...hardened(), initContainers: [{ name: 'init', securityContext: { privileged: true } }] };
  expect(podSecurityFaults(pod, {}, 'restricted')).toEqual([
    'container init must not be privileged',
    'container init must set allowPrivilegeEscalation: false',
    "container init must set capabilities: { drop: ['ALL'] }",
  ]);
});
