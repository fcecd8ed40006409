import { Kubernetes } from '../../scripts/clients/kubernetes';

/** The real client, except for the three calls that reach a cluster. A test sets their answers. */
export function fakeKubernetes() {
  const kubernetes = new Kubernetes({} as any, {} as any, { hide: () => undefined } as any);
  const nothing = { stdout: '', stderr: '', code: 0 };
  return Object.assign(kubernetes, {
    read: jest.fn(async (..._: Parameters<Kubernetes['read']>) => nothing),
    change: jest.fn(async (..._: Parameters<Kubernetes['change']>) => nothing),
    get: jest.fn((...args: Parameters<Kubernetes['get']>): Promise<any> =>
      Kubernetes.prototype.get.apply(kubernetes, args),
    ),
  });
}
