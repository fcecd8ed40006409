import { startSeconds, stopSeconds } from '../../../checks/step/pod-times';
import { planStep } from '../../../checks/step';
import type { Rollout } from '../../../checks/step/plan';
import { restartSeconds } from '../../../checks/step/waves';

type Json = Record<string, any>;

const pod = (container: Json, spec: Json = {}): Json => ({
  spec: { containers: [{ name: 'a', image: 'a:1', ...container }], ...spec },
});

describe('how long a pod takes', () => {
  test('to end: at most its grace period, and at least the sleep of preStop', () => {
    expect(stopSeconds(pod({}))).toEqual({ least: 0, most: 30 });
    expect(
      stopSeconds(pod({ lifecycle: { preStop: { sleep: { seconds: 5 } } } }, { terminationGracePeriodSeconds: 60 })),
    ).toEqual({
      least: 5,
      most: 60,
    });
  });

  test('to serve: at least the delay of its probes, and at most what they allow', () => {
    expect(startSeconds(pod({}))).toEqual({ least: 0, most: 0 });
    expect(startSeconds(pod({}), 7)).toEqual({ least: 7, most: 7 });
    // 5 s before the first probe and 3 probes; then two successes in a row, 4 s apart, and one probe that came too early.
    const startupProbe = { initialDelaySeconds: 5, periodSeconds: 2, failureThreshold: 3 };
    const readinessProbe = { periodSeconds: 4, successThreshold: 2 };
    expect(startSeconds(pod({ startupProbe, readinessProbe }))).toEqual({ least: 5, most: 5 + 6 + 4 + 4 });
    // Defaults of Kubernetes: every 10 s, three times.
    expect(startSeconds(pod({ livenessProbe: { initialDelaySeconds: 15 } }))).toEqual({ least: 0, most: 45 });
    // A readiness probe alone never ends a container. Its Deployment gives up after 10 minutes.
    expect(startSeconds(pod({ readinessProbe: {} })).most).toBe(610);
  });

  test('counts a sidecar among the init containers, but not an init container that ends', () => {
    const slow = { name: 'b', image: 'b:1', startupProbe: { initialDelaySeconds: 20 } };
    expect(startSeconds(pod({}, { initContainers: [slow] })).least).toBe(0);
    expect(startSeconds(pod({}, { initContainers: [{ ...slow, restartPolicy: 'Always' }] })).least).toBe(20);
  });
});

/** The plan for a changed image of workloads. */
function rollouts(...workloads: Json[]): Rollout[] {
  const state = (image: string) => ({
    objects: workloads.map((object, index) => {
      const copy = structuredClone(object);
      copy.spec.template.spec.containers[0].image = image;
      return { folder: 'own', file: `own/${index}.yaml`, object: copy };
    }),
    secrets: [],
  });
  return planStep({ before: state('a:1'), after: state('a:2') }, 'HEAD').changes.map(({ rollout }) => rollout!);
}

function workload(kind: string, spec: Json, { container = {}, labels = {}, wave = 0 }: Json = {}): Json {
  const name = `${kind.toLowerCase()}-${wave}`;
  const annotations = { 'argocd.argoproj.io/sync-wave': String(wave) };
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { namespace: 'own', name, annotations },
    spec: { template: { metadata: { labels }, ...pod(container, { terminationGracePeriodSeconds: 20 }) }, ...spec },
  };
}

describe('what keeps serving during a restart', () => {
  const available = (...workloads: Json[]) => rollouts(...workloads)[0]!.available;
  const names = { 'app.kubernetes.io/name': 'ring', 'app.kubernetes.io/instance': 'ring' };

  test('a Deployment', () => {
    const rolling = (replicas: number, maxSurge: number | string, maxUnavailable: number | string) =>
      available(workload('Deployment', { replicas, strategy: { rollingUpdate: { maxSurge, maxUnavailable } } }));
    expect(rolling(1, 1, 0)).toBe('No gap: a new pod is ready before an old one ends.');
    expect(rolling(4, '25%', '25%')).toBe('3 of 4 pods serve all the time.');
    // A percentage of maxUnavailable is rounded down.
    expect(rolling(3, '25%', '25%')).toBe('No gap: a new pod is ready before an old one ends.');
    expect(rolling(1, 0, 1)).toBe('Nothing serves for up to 20 s.');
    expect(available(workload('Deployment', { replicas: 2, strategy: { type: 'Recreate' } }))).toContain(
      'Nothing serves',
    );
  });

  test('one pod of a StatefulSet, and one of three', () => {
    expect(available(workload('StatefulSet', { replicas: 1 }))).toBe(
      'Nothing serves for up to 20 s: there is one pod.',
    );
    expect(available(workload('StatefulSet', { replicas: 3 }))).toBe(
      '2 of 3 pods serve all the time; data that only one pod holds is unavailable for up to 20 s.',
    );
  });

  test('a replica set of two has no majority; one of three elects', () => {
    const container = { command: ['mongod'] };
    expect(available(workload('StatefulSet', { replicas: 2 }, { container }))).toContain('no majority');
    expect(available(workload('StatefulSet', { replicas: 3 }, { container }))).toContain('election');
  });

  test('racks of one wave restart at the same time, racks of several waves one after the other', () => {
    const racks = (waves: readonly number[]) =>
      waves.map((wave, index) => {
        const rack = workload(
          'StatefulSet',
          { replicas: 1, serviceName: 'ring' },
          { container: { command: ['CassandraDaemon'] }, labels: names, wave },
        );
        return { ...rack, metadata: { ...rack.metadata, name: `ring-${index}` } };
      });
    expect(available(...racks([1, 2, 3]))).toBe(
      '2 of 3 pods serve all the time: QUORUM still succeeds for keyspaces with three replicas.',
    );
    expect(available(...racks([1, 1, 1]))).toContain('3 StatefulSets of it are in the same wave');
  });

  test('a DaemonSet node after node, by the ports that it holds', () => {
    const container = { ports: [{ containerPort: 80, hostPort: 80 }] };
    expect(available(workload('DaemonSet', {}, { container }))).toBe(
      'Each node in turn: port 80 of a node is without its pod for up to 20 s, the others serve.',
    );
    const surge = { updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } };
    expect(available(workload('DaemonSet', surge))).toContain('No gap');
  });
});

test('waves of one folder add up', () => {
  const found = rollouts(
    workload('StatefulSet', { replicas: 2 }, { wave: 1 }),
    workload('Deployment', { replicas: 1, strategy: { type: 'Recreate' } }, { wave: 2 }),
  );
  expect(found.map(({ seconds }) => seconds.most)).toEqual([40, 20]);
  expect(restartSeconds({ changes: found.map((rollout) => ({ folder: 'own', rollout }) as any) })).toEqual({
    least: 0,
    most: 60,
  });
});
