import { Duration } from 'cdk8s';
import { DeclaredSecret, MicroserviceDeployment, ScheduledJob, type ScheduledJobProps } from '../../constructs';
import { chartIn, objectOf, objects, yamlOf } from './render';

const image = 'ghcr.io/owner/nightly:1.4.2';

function rendered(props: Partial<ScheduledJobProps> = {}) {
  const chart = chartIn();
  const job = new ScheduledJob(chart, 'nightly', { image, schedule: '30 3 * * *', ...props });
  return { chart, job };
}

test('renders the smallest job: no Service, no token, a deadline', () => {
  expect(yamlOf(rendered().chart)).toMatchSnapshot();
});

test('renders what its options say', () => {
  const { chart } = rendered({
    timeZone: 'Europe/Berlin',
    concurrency: 'Replace',
    history: { succeeded: 0, failed: 5 },
    deadline: Duration.minutes(10),
    retries: 0,
    args: ['--all'],
  });
  const { spec } = objectOf(chart, 'CronJob');
  expect(spec).toMatchObject({
    timeZone: 'Europe/Berlin',
    concurrencyPolicy: 'Replace',
    successfulJobsHistoryLimit: 0,
    failedJobsHistoryLimit: 5,
    jobTemplate: { spec: { activeDeadlineSeconds: 600, backoffLimit: 0 } },
  });
  expect(spec.jobTemplate.spec.template.spec.containers[0].args).toEqual(['--all']);
});

test('connects as a service does, and is admitted by its target', () => {
  const { chart, job } = rendered();
  const target = new MicroserviceDeployment(chart, 'documents', { image });
  job.connectTo(target);
  const pod = objectOf(chart, 'CronJob').spec.jobTemplate.spec.template;
  expect(pod.spec.containers[0].env).toContainEqual({
    name: 'DOCUMENTS_URL',
    value: 'http://documents.apps.svc.cluster.local:8080',
  });
  const [rule] = objectOf(chart, 'NetworkPolicy', 'documents').spec.ingress;
  expect(pod.metadata.labels).toMatchObject(rule.from[0].podSelector.matchLabels);
});

test('reads secrets, and refuses a reference to a variable that does not exist', () => {
  const { chart, job } = rendered({ env: { URL: '$(MISSING)' } });
  const secret = new DeclaredSecret(chart, 'mail', { name: 'mail', namespaces: [], keys: { password: { ask: 'it' } } });
  job.addEnv({ PASSWORD: secret.key('password') });
  expect(secret.namespaces).toEqual(['apps']);
  expect(
    chart.node.root.node
      .findAll()
      .flatMap((node) => node.node.validate())
      .join(),
  ).toContain('environment variable URL must refer to variables that are set before it, got "$(MISSING)"');
});

test('a worker has no port and no Service, and nothing connects to it', () => {
  const chart = chartIn();
  const worker = new MicroserviceDeployment(chart, 'indexer', { image, kind: 'worker' });
  expect(objects(chart).map(({ kind }) => kind)).not.toContain('Service');
  const [container] = objectOf(chart, 'Deployment').spec.template.spec.containers;
  expect(Object.keys(container)).not.toEqual(expect.arrayContaining(['ports']));
  expect(Object.keys(container).filter((key) => key.endsWith('Probe'))).toEqual([]);
  expect(() => rendered().job.connectTo(worker)).toThrow(
    'apps/indexer: a connection must lead to a server, got "indexer, which is a worker and listens on no port"; remove the connection, or kind: \'worker\'',
  );
});

test.each<[Partial<ScheduledJobProps>, string]>([
  [{ name: 'n'.repeat(53) }, 'the name of a job must be a DNS label'],
  [{ schedule: '0 3 * *' }, 'schedule must be a cron schedule, got "0 3 * *"'],
  [{ retries: 11 }, 'retries must be a whole number from 0 to 10, got 11'],
  [{ replicas: 2 } as object, 'replicas must be left out of a job'],
])('refuses %j', (props, message) => expect(() => rendered(props)).toThrow(message));
