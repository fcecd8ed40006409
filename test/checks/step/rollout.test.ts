import { Duration } from 'cdk8s';
import { planStep } from '../../../checks/step';
import type { ObjectChange, Plan } from '../../../checks/step/plan';
import { replacedPods } from '../../../checks/step/replaced-pods';
import type { State } from '../../../checks/step/step';
import { restartSeconds } from '../../../checks/step/waves';
import { rolloutLines } from '../../../synth/plan/details';
import { renderedHomelab } from '../../homelab';
import * as change from './changes';

type Json = Record<string, any>;

const base = stateOf(renderedHomelab());

function stateOf(rendering: readonly { file: string; object: unknown }[]): State {
  return {
    objects: rendering.map(({ file, object }) => ({ folder: file.split('/')[0]!, file, object: object as Json })),
    secrets: [],
  };
}

function planned(change: (homelab: any) => void): Plan {
  return planStep({ before: base, after: stateOf(renderedHomelab(change)) }, 'HEAD');
}

function of(plan: Plan, id: string): ObjectChange {
  const found = plan.changes.find((change) => change.id === id);
  if (!found) throw new Error(`${id} does not change; what does: ${plan.changes.map((each) => each.id).join(', ')}`);
  return found;
}

/** A rendered workload, and a changed copy of it. */
function pair(
  kind: string,
  name: string,
  change: (object: any) => void,
  first: (object: any) => void = () => undefined,
) {
  const found = base.objects.find(({ object }) => object.kind === kind && object.metadata.name === name)!;
  const live = structuredClone(found.object) as Json;
  first(live);
  const next = structuredClone(live);
  change(next);
  return replacedPods(live, next)!;
}

describe('which pods are replaced', () => {
  const container = (object: Json) => object.spec.template.spec.containers[0];

  test('a label or an annotation of the template, the order of variables and of volumes replace pods', () => {
    for (const change of [
      (o: Json) => (o.spec.template.metadata.labels.more = 'x'),
      (o: Json) => (o.spec.template.metadata.annotations = { more: 'x' }),
      (o: Json) => container(o).env.reverse(),
      (o: Json) => (container(o).image = 'other:1.0.0'),
      (o: Json) => o.spec.template.spec.volumes.push({ name: 'more', emptyDir: {} }),
    ])
      expect(pair('Deployment', 'chat', change)).toMatchObject({ does: 'replace', count: 1 });
  });

  test('changes outside the template, another order of keys and another notation of a quantity replace no pods', () => {
    for (const change of [
      (o: Json) => (o.metadata.labels.more = 'x'),
      (o: Json) => (o.spec.minReadySeconds = 10),
      (o: Json) => (o.spec.strategy = { type: 'Recreate' }),
      (o: Json) => (o.spec.revisionHistoryLimit = 1),
      (o: Json) => (o.spec.template = Object.fromEntries(Object.entries(o.spec.template).reverse())),
      (o: Json) => (container(o).resources.limits.memory = '262144Ki'),
      (o: Json) => (container(o).resources.requests.cpu = '0.1'),
      (o: Json) => (o.spec.template.spec.volumes[0].emptyDir.sizeLimit = '65536Ki'),
    ])
      expect(pair('Deployment', 'chat', change)).toMatchObject({ does: 'none', count: 0 });
    expect(pair('Deployment', 'chat', (o) => (container(o).env[1].value = '9042Mi')).does).toBe('replace');
  });

  test('a StatefulSet replaces from the last ordinal down to its partition, and nothing with OnDelete', () => {
    const change = (o: Json) => (container(o).image = 'other:1.0.0');
    const rolling = (partition: number) => (o: Json) => (o.spec.updateStrategy = { rollingUpdate: { partition } });
    expect(pair('StatefulSet', 'mongodb', change).names).toEqual(['mongodb-2', 'mongodb-1', 'mongodb-0']);
    expect(pair('StatefulSet', 'mongodb', change, rolling(2)).names).toEqual(['mongodb-2']);
    expect(pair('StatefulSet', 'mongodb', change, rolling(3))).toMatchObject({ does: 'held', count: 0 });
    expect(pair('StatefulSet', 'mongodb', change, (o) => (o.spec.updateStrategy = { type: 'OnDelete' })).does).toBe(
      'held',
    );
    expect(pair('StatefulSet', 'mongodb', rolling(0), rolling(2))).toMatchObject({
      does: 'perhaps',
      names: ['mongodb-1', 'mongodb-0'],
    });
    // The partition counts from the first ordinal, which need not be 0.
    const from5 = (o: Json) =>
      Object.assign(o.spec, { ordinals: { start: 5 }, updateStrategy: { rollingUpdate: { partition: 1 } } });
    expect(pair('StatefulSet', 'mongodb', change, from5).names).toEqual(['mongodb-7', 'mongodb-6']);
  });

  test('fewer pods: removes the highest ordinals, and replaces the others only if the template changes', () => {
    const fewer = (o: Json) => (o.spec.replicas = 1);
    const effect = pair('StatefulSet', 'mongodb', fewer);
    expect(effect).toMatchObject({ does: 'none', removedNames: ['mongodb-2', 'mongodb-1'] });
    expect(effect.reason).toBe(
      '3 pods become 1: mongodb-2, mongodb-1 end all at once, from the last ordinal down; their claims stay',
    );
    expect(
      pair('StatefulSet', 'mongodb', (o) => {
        fewer(o);
        container(o).image = 'other:1.0.0';
      }).names,
    ).toEqual(['mongodb-0']);
    expect(pair('Deployment', 'chat', (o) => (o.spec.replicas = 3))).toMatchObject({ does: 'none', added: 2 });
    expect(
      pair(
        'Deployment',
        'chat',
        (o) => (container(o).image = 'x:1'),
        (o) => (o.spec.replicas = 0),
      ).does,
    ).toBe('none');
  });

  test('a paused Deployment waits, and rolls when it resumes', () => {
    const paused = (o: Json) => (o.spec.paused = true);
    expect(pair('Deployment', 'chat', (o) => (container(o).image = 'x:1'), paused).does).toBe('held');
    expect(pair('Deployment', 'chat', (o) => delete o.spec.paused, paused).does).toBe('perhaps');
  });

  test('a DaemonSet replaces node by node; a CronJob changes with its next run', () => {
    expect(pair('DaemonSet', 'traefik', (o) => (container(o).image = 'x:1'))).toMatchObject({
      does: 'replace',
      order: 'one node after another',
    });
    const cron = (image: string) => ({
      kind: 'CronJob',
      metadata: { name: 'n' },
      spec: { jobTemplate: { spec: { template: { spec: { containers: [{ name: 'a', image }] } } } } },
    });
    expect(replacedPods(cron('a:1'), cron('a:2'))).toMatchObject({ does: 'held', count: 0 });
  });
});

describe('the plan of a restart', () => {
  test('one service: restarts without a gap, and lists its clients', () => {
    const change = of(
      planned((h) => (h.services.chat.env = { A: 'b' })),
      'apps/Deployment services/chat',
    );
    expect(change.verdict).toBe('restart');
    expect(change.rollout).toEqual({
      pods: ['chat'],
      count: 1,
      order: 'one more first, then an old one ends',
      wave: '2/0',
      // The startup probe allows 30 x 2 s, the readiness probe runs every 5 s, and the old pod sleeps 5 s of the 30 s it has to end.
      seconds: { least: 5, most: 95 },
      available: 'No gap: a new pod is ready before an old one ends.',
      clients: ['services/gateway'],
    });
  });

  test('a ring: restarts rack by rack, and adds up the times of the racks', () => {
    const plan = planned((h) => (h.databases.cassandra.cpu = h.databases.cassandra.cpu.constructor.millis(900)));
    const racks = ['r1', 'r2', 'r3'].map((rack) => of(plan, `apps/StatefulSet cassandra/cassandra-${rack}`));
    expect(racks.map(({ itself, rollout }) => [itself, rollout!.pods.join(), rollout!.wave])).toEqual([
      ['restart', 'cassandra-r1-0', '1/1'],
      ['restart', 'cassandra-r2-0', '1/2'],
      ['restart', 'cassandra-r3-0', '1/3'],
    ]);
    expect(racks[0]!.rollout!.clients).toEqual([
      'services/chat',
      'services/collaboration',
      'services/documents',
      'services/presence',
    ]);
    expect(racks[0]!.rollout!.available).toContain('QUORUM still succeeds');
    expect(racks[0]!.rollout!.seconds.most).toBe(120 + 360 * 10 + 10);
    expect(restartSeconds(plan).most).toBe(3 * (120 + 360 * 10 + 10));
  });

  test('a replica set: restarts the last member first, and has an election', () => {
    const plan = planned((h) => (h.databases.mongodb.cpu = h.databases.mongodb.cpu.constructor.millis(400)));
    const { rollout } = of(plan, 'apps/StatefulSet mongodb/mongodb');
    expect(rollout).toMatchObject({ pods: ['mongodb-2', 'mongodb-1', 'mongodb-0'], count: 3 });
    expect(rollout!.available).toContain('election');
  });

  test('folders run side by side', () => {
    const both = planned((h) => {
      h.services.chat.env = { A: 'b' };
      h.webApps.web.env = { A: 'b' };
    });
    expect(restartSeconds(both)).toEqual(restartSeconds(planned((h) => (h.services.chat.env = { A: 'b' }))));
  });

  test('more pods: nothing restarts', () => {
    const change = of(
      planned((h) => (h.services.chat.replicas = 3)),
      'apps/Deployment services/chat',
    );
    expect(change).toMatchObject({ verdict: 'live' });
    expect(change.rollout).toBeUndefined();
    expect(change.reason).toBe('1 pod becomes 3: existing pods do not change');
  });

  test('pods behind a job before the rollout wait for it, those of other services and other changes do not', () => {
    const identity = (version: string, more: object = {}) => ({
      image: `ghcr.io/owner/identity:${version}`,
      beforeRollout: { command: ['migrate'] },
      ...more,
    });
    const before = stateOf(renderedHomelab((h) => Object.assign(h.services.identity, identity('1.0.0'))));
    const to = (change: (h: any) => void) => planStep({ before, after: stateOf(renderedHomelab(change)) }, 'HEAD');
    const plan = to((h) => {
      Object.assign(h.services.identity, identity('1.1.0'));
      h.services.chat.env = { LOG_LEVEL: 'debug' };
    });
    const job = plan.changes.find(({ id, after }) => id.includes('Job services/identity-before') && after)!;
    expect(job.reason).toMatch(/^the work of identity-before has changed: it runs again/);
    const { rollout } = of(plan, 'apps/Deployment services/identity');
    expect(rollout).toMatchObject({ wave: '2/2', after: [job.id.split(' ')[1]] });
    expect(of(plan, 'apps/Deployment services/chat').rollout).not.toHaveProperty('after');
    expect(rolloutLines(rollout!)).toContainEqual(
      `after Job ${job.id.split(' ')[1]} has succeeded; if one fails, these pods stay as they are`,
    );
    // The number of pods is not part of the job, so nothing runs and nothing is replaced.
    const scaled = to((h) => Object.assign(h.services.identity, identity('1.0.0', { replicas: 2 })));
    expect(scaled.changes.filter(({ id }) => id.includes('Job'))).toEqual([]);
  });

  test('a new job says when it runs', () => {
    const plan = planned((h) => {
      h.services.nightly = {
        kind: 'job',
        image: 'ghcr.io/owner/nightly:1.0.0',
        schedule: '0 3 * * *',
        timeZone: 'Europe/Berlin',
        connects: [],
      };
      Object.assign(h.services.chat, { image: 'ghcr.io/owner/chat:1.0.0', beforeRollout: { command: ['migrate'] } });
    });
    expect(of(plan, 'batch/CronJob services/nightly').reason).toBe(
      'new: it runs first by its schedule, 0 3 * * * Europe/Berlin',
    );
    const job = plan.changes.find(({ id }) => id.includes('Job services/chat-before'))!;
    expect(job.reason).toBe('new: it runs now');
  });

  test('a Job with a hash runs again, a hook runs with the ConfigMap beside it', () => {
    const plan = planned((h) => {
      h.services.chat.connects.push({ mongodb: 'mongodb', database: 'chat' });
      h.llm.models.embeddings.tag = 'nomic-embed-text:v1.6';
    });
    const job = plan.changes.find(({ id, itself }) => itself === 'created' && id.startsWith('batch/Job mongodb/'))!;
    expect(job.reason).toMatch(
      /^the work of mongodb-users has changed: it runs again, and mongodb-users-\w+ is pruned$/,
    );
    const hook = of(plan, 'batch/Job services/llm-service-proof');
    expect(hook.verdict).toBe('recreate');
    const users = of(plan, '/ConfigMap mongodb/mongodb-users');
    expect(users).toMatchObject({ verdict: 'live' });
    expect(users.reason).toMatch(/^pods of mongodb\/mongodb-users-\w+ restart anyway/);
  });
});

describe('what a ConfigMap does to pods', () => {
  const changedMap = (volume: Json, mount: Json, env: Json[] = []) => {
    const objects = (value: string): Json[] => [
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings', namespace: 'own' }, data: { a: value } },
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'app', namespace: 'own' },
        spec: {
          template: {
            metadata: { labels: { app: 'app' } },
            spec: { containers: [{ name: 'app', image: 'a:1', volumeMounts: [mount], env }], volumes: [volume] },
          },
        },
      },
    ];
    const state = (value: string) =>
      stateOf(objects(value).map((object, index) => ({ file: `own/${index}.yaml`, object })));
    return of(planStep({ before: state('1'), after: state('2') }, 'HEAD'), '/ConfigMap own/settings');
  };
  const volume = { name: 'v', configMap: { name: 'settings' } };

  test('mounted files change within a minute, subPath and variables only with a restart', () => {
    expect(changedMap(volume, { name: 'v', mountPath: '/v' })).toMatchObject({
      verdict: 'live',
      reason: 'pods of own/app see it in their files within about a minute, without a restart',
    });
    expect(changedMap(volume, { name: 'v', mountPath: '/v', subPath: 'a' }).reason).toContain('subPath');
    const env = [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'settings', key: 'a' } } }];
    expect(changedMap({ name: 'v', emptyDir: {} }, { name: 'v', mountPath: '/v' }, env).reason).toContain(
      'as variables',
    );
    expect(changedMap({ name: 'v', emptyDir: {} }, { name: 'v', mountPath: '/v' }).reason).toBe('no pod reads it');
  });
});

test('hiding a member restarts clients, because their URI changes, but no member; another delay restarts nothing', () => {
  const restarted = (plan: Plan) => plan.changes.flatMap(({ rollout }) => rollout?.pods ?? []);
  const hidden = restarted(planned(change.hidden({ hidden: true })));
  expect(hidden).toContain('identity');
  expect(hidden.filter((pod) => pod.startsWith('mongodb'))).toEqual([]);
  const delayed = (hours: number) =>
    stateOf(renderedHomelab(change.both(change.members(4), change.hidden({ delay: Duration.hours(hours) }, 3))));
  const plan = planStep({ before: delayed(1), after: delayed(2) }, 'HEAD');
  expect(plan.changes.map(({ id }) => id)).toEqual(['/ConfigMap mongodb/mongodb']);
  expect(restarted(plan)).toEqual([]);
});
