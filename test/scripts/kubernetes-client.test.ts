import { ArgoCd, TRY_AGAIN } from '../../scripts/clients/argo-cd';
import { Kubernetes } from '../../scripts/clients/kubernetes';
import { CommandFailed } from '../../scripts/engine/commands';
import { NotReady } from '../../scripts/engine/problem';
import { secretAction } from '../../scripts/secrets/live';
import { fakeKubernetes } from './kubernetes';

const quiet = () => undefined;

describe('a change through kubectl', () => {
  test('is what the plan shows, without values of secrets', async () => {
    const kubernetes = fakeKubernetes();
    const hide = jest.spyOn(kubernetes.log, 'hide');
    const action = secretAction(kubernetes, { name: 'login', type: 'Opaque' }, 'web', {
      user: 'a',
      password: 'p4ssw0rd',
    });
    expect(action.lines).toEqual(['kubectl apply --server-side: Secret web/login (user, password)']);
    await action.run(quiet);
    const [args, options] = kubernetes.change.mock.calls[0]!;
    expect(args.slice(0, 2)).toEqual(['apply', '--server-side']);
    const [secret] = JSON.parse(String(options!.stdin)).items;
    expect(secret.data).toEqual({ user: 'YQ==', password: Buffer.from('p4ssw0rd').toString('base64') });
    expect(hide).toHaveBeenCalledWith('YQ==', secret.data.password);
  });

  test('names a few objects, and counts many', () => {
    const object = (name: string) => ({ kind: 'ConfigMap', metadata: { name } });
    const kubernetes = fakeKubernetes();
    expect(kubernetes.apply('us', ['a', 'b'].map(object)).lines).toEqual([
      'kubectl apply --server-side: ConfigMap a, ConfigMap b',
    ]);
    expect(kubernetes.apply('us', ['a', 'b', 'c', 'd'].map(object)).lines).toEqual([
      'kubectl apply --server-side: 4 objects',
    ]);
  });

  test('deletes in a namespace, or without one', async () => {
    const kubernetes = fakeKubernetes();
    await kubernetes.delete({ kind: 'job', name: 'schema', namespace: 'cassandra' }).run(quiet);
    await kubernetes.delete({ kind: 'clusterrole', name: 'old' }).run(quiet);
    expect(kubernetes.change.mock.calls.map(([args]) => args.join(' '))).toEqual([
      'delete job schema -n cassandra --ignore-not-found --wait=false',
      'delete clusterrole old --ignore-not-found --wait=false',
    ]);
  });
});

test('passes input to the standard input of a program in a pod', async () => {
  const kubernetes = fakeKubernetes();
  const pod = { namespace: 'mongodb', pod: 'mongodb-0', container: 'mongod' };
  await kubernetes.exec(pod, ['cat']);
  await kubernetes.exec(pod, ['cat'], { stdin: 'x' });
  expect(kubernetes.read.mock.calls.map(([args]) => args.join(' '))).toEqual([
    'exec -n mongodb mongodb-0 -c mongod -- cat',
    'exec -i -n mongodb mongodb-0 -c mongod -- cat',
  ]);
});

test('does not ask a cluster without a kubeconfig', async () => {
  const read = jest.fn();
  const kubernetes = new Kubernetes({ read } as any, { read: async () => undefined } as any, {} as any);
  await expect(kubernetes.get(['nodes'])).rejects.toThrow(NotReady);
  expect(read).not.toHaveBeenCalled();
});

describe('Argo CD', () => {
  test('must be installed first', async () => {
    const kubernetes = fakeKubernetes();
    const stderr = `error: the server doesn't have a resource type "applications"`;
    kubernetes.read.mockRejectedValue(new CommandFailed({ stdout: '', stderr, code: 1 }, stderr));
    await expect(new ArgoCd(kubernetes).applications()).rejects.toThrow(NotReady);
  });

  test('recreates nothing while it has no applications', async () => {
    const kubernetes = fakeKubernetes();
    const has = (applications: object[] | undefined) => {
      kubernetes.get.mockImplementation(async ([kind]) => {
        if (applications === undefined) return undefined;
        return kind === 'crd' ? {} : { items: applications };
      });
      return new ArgoCd(kubernetes).hasApplications();
    };
    expect(await has(undefined)).toBe(false);
    expect(await has([])).toBe(false);
    expect(await has([{ metadata: { name: 'web' } }])).toBe(true);
  });

  test('syncs failed applications again', async () => {
    const kubernetes = fakeKubernetes();
    await new ArgoCd(kubernetes).syncAgain('web');
    const [args] = kubernetes.change.mock.calls[0]!;
    expect(args.slice(0, 2)).toEqual(['patch', 'applications.argoproj.io/web']);
    expect(JSON.parse(args.at(-1)!.replace('--patch=', ''))).toEqual(TRY_AGAIN);
  });
});
