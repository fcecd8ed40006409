import { adviceFor, servicesStatus } from '../../cli/status-services';
import homelab from '../fixtures/homelab';

const NAME = 'app.kubernetes.io/name';
const INSTANCE = 'app.kubernetes.io/instance';

interface Cluster {
  readonly pods?: readonly object[];
  readonly jobs?: readonly object[];
  readonly log?: string;
}

/** What is printed for a cluster in which only the namespace of services has objects. */
function found({ pods = [], jobs = [], log = '' }: Cluster) {
  return servicesStatus(homelab, (verb, kind, ...rest) => {
    if (verb === 'logs') return log;
    const isServices = rest[rest.indexOf('-n') + 1] === 'services';
    return JSON.stringify({ items: !isServices ? [] : kind === 'pods' ? pods : jobs });
  });
}

function pod(state: object, lastState = {}) {
  return {
    metadata: { namespace: 'services', name: 'search-1', labels: { [NAME]: 'microservice', [INSTANCE]: 'search' } },
    spec: { containers: [{ name: 'search' }] },
    status: { containerStatuses: [{ name: 'search', state, lastState }] },
  };
}

const crashed = (exitCode: number, reason = 'Error') =>
  pod({ waiting: { reason: 'CrashLoopBackOff' } }, { terminated: { exitCode, reason } });

test('a crash shows the last line of the log, and the setting that fixes it', () => {
  const log = 'starting\nmkdir: cannot create directory "/var/cache/nginx/client_temp": Read-only file system\n';
  expect(found({ pods: [crashed(1)], log })).toEqual({
    summary: 'services: 0 of 1 pods are ready',
    problems: [
      'services/search-1, container search ended with 1: mkdir: cannot create directory "/var/cache/nginx/client_temp": Read-only file system\n' +
        "    give it a folder to write, as scratch: { '/var/cache/nginx': Size.mebibytes(200) }; if it writes all over its root: allow: { writableRoot: 'why' }",
    ],
  });
});

test('an image that cannot be pulled is named', () => {
  const [problem] = found({ pods: [pod({ waiting: { reason: 'ImagePullBackOff', message: 'not found' } })] }).problems;
  expect(problem).toBe('services/search-1, container search: ImagePullBackOff: not found');
});

test('a container that runs is no problem', () => {
  expect(found({ pods: [pod({ running: {} }, { terminated: { exitCode: 1 } })] }).problems).toEqual([]);
});

const job = (name: string, labels: object, created: string, failed: boolean, ownerReferences: object[] = []) => ({
  metadata: { namespace: 'services', name, labels, creationTimestamp: created, ownerReferences },
  status: { conditions: failed ? [{ type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded' }] : [] },
});
const before = { [NAME]: 'before-rollout', [INSTANCE]: 'documents' };
const nightly = { [NAME]: 'job', [INSTANCE]: 'nightly' };
const ofCron = [{ kind: 'CronJob', name: 'nightly' }];

test('a failed job before a rollout is named with the command for its log, until a newer one succeeds', () => {
  const old = job('documents-before-1', before, '2026-11-01T00:00:00Z', true);
  expect(found({ jobs: [old] }).problems).toEqual([
    'the job before the rollout of documents failed, so its old pods stay (BackoffLimitExceeded); its log:\n' +
      '    kubectl -n services logs job/documents-before-1 --all-pods --prefix',
  ]);
  expect(found({ jobs: [old, job('documents-before-2', before, '2026-11-02T00:00:00Z', false)] }).problems).toEqual([]);
});

test('the last run of a schedule counts, and jobs of others do not', () => {
  const [first, second] = ['2026-11-01T00:00:00Z', '2026-11-02T00:00:00Z'] as const;
  const jobs = [job('nightly-1', nightly, first, false, ofCron), job('nightly-2', nightly, second, true, ofCron)];
  expect(found({ jobs }).problems).toEqual([
    expect.stringMatching(/^the last run of nightly failed .*job\/nightly-2/s),
  ]);
  expect(found({ jobs: [job('other', {}, first, true)] }).problems).toEqual([]);
});

/** Last lines of images in public use, as their programs write them. */
test.each([
  ['nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)', 1, 'let it listen on a port from 1024 on'],
  ['chown: /var/lib/redis: Operation not permitted', 1, 'capabilities: { CHOWN'],
  ['nginx: [emerg] setgid(101) failed (1: Operation not permitted)', 1, 'capabilities: { CHOWN'],
  ['s6-overlay-suexec: fatal: you need to be root', 100, "allow: { root: 'why' }"],
  ["Error: EROFS: read-only file system, open '/app/.next/cache/x'", 1, 'as scratch: {'],
  ["Error: EACCES: permission denied, mkdir '/app/uploads'", 1, 'user: 1000'],
  ['exec /usr/local/bin/docker-entrypoint.sh: exec format error', 255, 'linux/amd64'],
  ['sh: migrate: not found', 127, 'correct its command'],
])('advises for %s', (log, exitCode, advice) => expect(adviceFor(log, { exitCode })).toContain(advice));

test('advises to raise the memory of what the kernel killed, and nothing where nothing is known', () => {
  expect(adviceFor('', { exitCode: 137, reason: 'OOMKilled' })).toBe('raise its memory');
  expect(adviceFor('panic: nil', { exitCode: 2, reason: 'Error' })).toBeUndefined();
});
