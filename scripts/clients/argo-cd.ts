import { NAMESPACES } from '../../inventory';
import { CommandFailed } from '../engine/commands';
import { NotReady } from '../engine/problem';
import type { Kubernetes } from './kubernetes';

/** Argo CD, through the API server. */
export class ArgoCd {
  constructor(private readonly kubernetes: Kubernetes) {}

  /** Its applications by name. @throws NotReady while their kind is not known */
  async applications(): Promise<ReadonlyMap<string, any>> {
    try {
      const items: any[] =
        (await this.kubernetes.get(['applications.argoproj.io', '-n', NAMESPACES.argoCd]))?.items ?? [];
      return new Map(items.map((each) => [each.metadata?.name, each]));
    } catch (error) {
      if (error instanceof CommandFailed && /doesn't have a resource type/.test(error.output.stderr))
        throw new NotReady('Argo CD must be installed first');
      throw error;
    }
  }

  /** Whether it runs and has applications: only then does it make again what is deleted. */
  async hasApplications(): Promise<boolean> {
    if ((await this.kubernetes.get(['crd', 'applications.argoproj.io'])) === undefined) return false;
    return (await this.applications()).size > 0;
  }

  /** Starts a failed sync again, with Argo CD's own retries and options. */
  async syncAgain(name: string): Promise<void> {
    const patch = ['--type=merge', `--patch=${JSON.stringify(TRY_AGAIN)}`];
    await this.kubernetes.change(['patch', `applications.argoproj.io/${name}`, '-n', NAMESPACES.argoCd, ...patch]);
  }
}

/** Why an application is not as it should be, or undefined when it is Synced and Healthy. */
export function applicationProblem(application: any): string | undefined {
  if (application === undefined) return 'it does not exist yet; Argo CD creates it after git push';
  const { sync, health, operationState, conditions = [], resources = [] } = application.status ?? {};
  if (sync?.status === 'Synced' && health?.status === 'Healthy' && operationState?.phase !== 'Running')
    return undefined;
  const waiting = resources
    .filter((each: any) => each.status === 'OutOfSync' || (each.health && each.health.status !== 'Healthy'))
    .slice(0, 3)
    .map(
      ({ kind, name, health: own, status }: any) =>
        `${kind} ${name} ${own?.status ?? status}${own?.message ? ` (${own.message})` : ''}`,
    );
  return [
    `${sync?.status ?? 'not compared yet'}, ${health?.status ?? 'health unknown yet'}`,
    ...waiting,
    ...conditions.map(({ type, message }: any) => `${type}: ${message}`),
    ...(operationState?.phase === 'Failed' || operationState?.phase === 'Error' ? [operationState.message] : []),
  ].join('; ');
}

/** Why Argo CD stopped syncing a revision: it tries ten times in half an hour, and never again by itself. */
export function gaveUp(application: any): string | undefined {
  const { conditions = [], operationState } = application?.status ?? {};
  if (operationState?.phase !== 'Failed' && operationState?.phase !== 'Error') return undefined;
  return (conditions as any[]).find(
    ({ type, message }) => type === 'SyncError' && /^Failed last sync attempt/.test(message),
  )?.message;
}

/** The patch of an application with which Argo CD syncs it again. */
export const TRY_AGAIN = {
  metadata: { annotations: { 'argocd.argoproj.io/refresh': 'normal' } },
  status: { operationState: null },
} as const;
