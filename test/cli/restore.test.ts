import { jobOf, requested, told } from '../../cli/restore';

test('options of the command become variables of the containers', () => {
  const given = new Map([
    ['at', '2026-11-28T02:30Z'],
    ['only', 'shop'],
    ['hosts', 'a-0,a-1'],
    ['replace', 'yes'],
  ]);
  expect(requested(given)).toEqual({
    RESTORE_AT: '2026-11-28T02:30:00Z',
    RESTORE_ONLY: 'shop',
    RESTORE_HOSTS: 'a-0 a-1',
    RESTORE_REPLACE: 'yes',
  });
  expect(requested(new Map())).toEqual({});
});

test('a Job equals the rendered CronJob, except for the variables', () => {
  const container = (name: string) => ({
    name,
    env: [
      { name: 'RESTORE_AT', value: '' },
      { name: 'HOME', value: '/tmp' },
    ],
  });
  const cronJob = {
    metadata: { name: 'db-restore', namespace: 'db' },
    spec: {
      jobTemplate: {
        metadata: { labels: { a: 'b' } },
        spec: {
          backoffLimit: 3,
          template: { spec: { initContainers: [container('fetch')], containers: [container('restore')] } },
        },
      },
    },
  };
  const job = jobOf(cronJob, 'db-restore-1', { RESTORE_AT: 'then', HOMES: 'x' });
  expect(job).toMatchObject({ kind: 'Job', metadata: { name: 'db-restore-1', namespace: 'db', labels: { a: 'b' } } });
  for (const each of [...job.spec.template.spec.initContainers, ...job.spec.template.spec.containers])
    expect(each.env).toEqual([
      { name: 'RESTORE_AT', value: 'then' },
      { name: 'HOME', value: '/tmp' },
    ]);
  expect(cronJob.spec.jobTemplate.spec.template.spec.containers[0]!.env[0]!.value).toBe('');
});

test('prints the last line as a sentence, and every other line unchanged', () => {
  expect(told('{"restored":{"snapshot":"T","databases":["a","b"],"documents":3,"seconds":7}}')).toBe(
    'restored: the backup of T, in 7 s; databases a, b; documents 3',
  );
  expect(told('{"drill":{"ok":true,"snapshot":"T","documents":3,"seconds":7}}')).toBe(
    'the backup is complete and can be restored: the backup of T, in 7 s; documents 3',
  );
  const nodes = {
    tables: 2,
    notCompared: [],
    differs: ['a.t'],
    seconds: 26,
    snapshots: { 'c-r1-0': 'T1', 'c-r2-0': 'T2' },
  };
  expect(told(JSON.stringify({ restored: nodes }))).toBe(
    'restored: the backups of c-r1-0 of T1, c-r2-0 of T2, in 26 s; tables 2; differs a.t',
  );
  expect(told(JSON.stringify({ drill: { ...nodes, notCompared: ['b.t'], ok: true, snapshot: 'T2' } }))).toMatch(
    /^the backup is complete .*: the backups of c-r1-0 of T1, c-r2-0 of T2, in 26 s; tables 2; not compared b\.t; differs a\.t$/,
  );
  for (const line of ['{not json', '{"other":{}}', 'a: 3 documents, equal']) expect(told(line)).toBe(line);
});
