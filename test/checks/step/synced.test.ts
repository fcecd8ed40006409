import { planStep } from '../../../checks/step';
import type { ObjectChange } from '../../../checks/step/plan';
import type { Step } from '../../../checks/step/step';
import { editStep } from './steps';

/** test/real/change runs each of these with a real Argo CD. */
const planned = (step: Step) =>
  new Map(planStep(step, 'HEAD').changes.map((change) => [change.id, change] as [string, ObjectChange]));
const is = (object: any, kind: string, name: string) => object.kind === kind && object.metadata.name === name;
const restart = (object: any) =>
  (object.spec.template.metadata.annotations = { ...object.spec.template.metadata.annotations, more: 'yes' });
const PROOF = 'batch/Job services/llm-service-proof';

test('an object that the project does not permit stops its whole application, and no other', () => {
  const changes = planned(
    editStep((object) => {
      if (is(object, 'Deployment', 'chat') || is(object, 'Deployment', 'web')) restart(object);
      if (is(object, 'ServiceAccount', 'search')) object.metadata.namespace = 'default';
      return object;
    }),
  );
  expect(changes.get('/ServiceAccount default/search')).toMatchObject({
    verdict: 'not-deployed',
    reason: expect.stringContaining('does not permit /ServiceAccount default/search'),
  });
  expect(changes.get('apps/Deployment services/chat')).toMatchObject({ verdict: 'not-deployed', rollout: undefined });
  expect(changes.get('apps/Deployment web/web')!.verdict).toBe('restart');
});

test('later waves of an application wait forever behind a rejected object', () => {
  const changes = planned(
    editStep((object) => {
      if (is(object, 'StatefulSet', 'cassandra-r2')) object.spec.serviceName = 'others';
      if (object.kind === 'StatefulSet' && !is(object, 'StatefulSet', 'cassandra-r2')) restart(object);
      return object;
    }),
  );
  const itself = (name: string) => changes.get(`apps/StatefulSet ${name}`)!.itself;
  if (itself('cassandra/cassandra-r2') !== 'refused') return; // The rules of the API server come from elsewhere.
  expect(itself('cassandra/cassandra-r1')).toBe('restart');
  expect(itself('cassandra/cassandra-r3')).toBe('not-deployed');
  expect(itself('mongodb/mongodb')).toBe('restart');
});

describe('hooks', () => {
  const note = (object: any) => {
    if (is(object, 'ConfigMap', 'llm-service-proof')) object.data.note = 'more';
  };
  const longer = (object: any) => {
    if (is(object, 'Job', 'llm-service-proof')) object.spec.activeDeadlineSeconds = 301;
  };

  test('run again with every other change of their application', () => {
    const { verdict, reason } = planned(editStep((object) => (note(object), object))).get(PROOF)!;
    expect(verdict).toBe('created');
    expect(reason).toContain('runs once more');
  });

  test('that change together with another object are recreated', () =>
    expect(planned(editStep((object) => (note(object), longer(object), object))).get(PROOF)!.verdict).toBe('recreate'));

  test('that change alone wait for the next sync', () =>
    expect(planned(editStep((object) => (longer(object), object))).get(PROOF)!.verdict).toBe('not-deployed'));

  test('do not run after a change of another application', () =>
    expect(
      planned(editStep((object) => (is(object, 'Deployment', 'chat') ? (restart(object), object) : object))).has(PROOF),
    ).toBe(false));

  test('that leave Git stay in the cluster', () =>
    expect(
      planned(
        editStep(
          (object) => (
            object.kind === 'Job' && note(object),
            is(object, 'Job', 'llm-service-proof') ? undefined : object
          ),
        ),
      ).get(PROOF)!.verdict,
    ).toBe('kept'));
});

describe('a folder that leaves Git with its application', () => {
  const without = (folder: string, isOwn: (object: any) => boolean) =>
    planned(editStep((object) => (is(object, 'Application', folder) || isOwn(object) ? undefined : object)));

  test('is deleted with it', () => {
    const changes = without('web', (object) => object.metadata.namespace === 'web' && object.kind === 'Deployment');
    expect(changes.get('apps/Deployment web/web')!.verdict).toBe('pruned');
    expect(changes.get('apps/Deployment web/web')!.reason).toContain('is deleted with its objects');
  });

  test('deletes its hooks', () =>
    expect(without('llm-proof', (object) => object.metadata.name === 'llm-service-proof').get(PROOF)!.verdict).toBe(
      'pruned',
    ));

  test('stays unchanged if the application is kept', () => {
    const changes = without(
      'mongodb',
      (object) => object.metadata.namespace === 'mongodb' && object.kind === 'StatefulSet',
    );
    expect(changes.get('argoproj.io/Application argocd/mongodb')!.itself).toBe('kept');
    expect(changes.get('apps/StatefulSet mongodb/mongodb')!.itself).toBe('kept');
  });
});
