import { command } from '../engine/actions';
import { LOCALHOST, type CommandOptions, type Commands, type Output } from '../engine/commands';
import { json } from '../engine/json';
import type { Log } from '../engine/log';
import { NotReady, Blocked } from '../engine/problem';
import type { Sops } from '../engine/sops';
import type { Action } from '../engine/step';
import { KUBECONFIG, readKubeconfig, writeKubeconfig } from './kubeconfig';

/** An object for kubectl: its kind (`job` or `job.batch`), its name, and its namespace if it has one. */
export interface ObjectName {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

/** The Kubernetes API, through kubectl. Every call throws NotReady while there is no kubeconfig. */
export class Kubernetes {
  private isConfigured = false;

  constructor(
    private readonly commands: Commands,
    private readonly sops: Sops,
    readonly log: Log,
  ) {}

  async read(args: readonly string[], options: CommandOptions = {}): Promise<Output> {
    return this.commands.read(LOCALHOST, await this.argv(args), options);
  }

  async change(args: readonly string[], options: CommandOptions = {}): Promise<Output> {
    return this.commands.change(LOCALHOST, await this.argv(args), options);
  }

  /** One object, or the list of a kind, as the API server has it; undefined where there is none. */
  async get(args: readonly string[]): Promise<any> {
    const { stdout } = await this.read(['get', ...args, '--ignore-not-found', '-o', 'json']);
    return stdout.trim() === '' ? undefined : json(stdout, `kubectl get ${args.join(' ')}`);
  }

  /** The objects of a list. @throws Blocked when kubectl answers with something else */
  async list(args: readonly string[]): Promise<any[]> {
    const from = `kubectl get ${args.join(' ')}`;
    const { stdout } = await this.read(['get', ...args, '-o', 'json']);
    const { items } = json(stdout, from) ?? {};
    if (!Array.isArray(items) || items.some((each) => typeof each?.metadata?.name !== 'string'))
      throw new Blocked(`${from} must answer with a list, but answered ${JSON.stringify(stdout.slice(0, 120))}`);
    return items;
  }

  /** A command in a container that is running. */
  exec(
    {
      namespace,
      pod,
      container,
    }: { readonly namespace: string; readonly pod: string; readonly container?: string | undefined },
    argv: readonly string[],
    options: CommandOptions = {},
  ): Promise<Output> {
    const input = options.stdin === undefined ? [] : ['-i'];
    return this.read(
      ['exec', ...input, '-n', namespace, pod, ...(container === undefined ? [] : ['-c', container]), '--', ...argv],
      options,
    );
  }

  /** A changing call. The plan shows it without the path of the kubeconfig. */
  command(args: readonly string[], options: CommandOptions = {}): Action {
    const { lines } = command(this.commands, LOCALHOST, ['kubectl', ...args]);
    return { lines, run: async () => void (await this.change(args, options)) };
  }

  /**
   * Applies objects, and takes over fields that other managers own.
   * @param manager owns the fields from then on
   */
  apply(manager: string, objects: readonly any[]): Action {
    const args = ['apply', '--server-side', `--field-manager=${manager}`, '--force-conflicts', '-f', '-'];
    const stdin = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    const names =
      objects.length > MANY
        ? [`${objects.length} objects`]
        : objects.map(
            ({ kind, metadata: { namespace, name } }) => `${kind} ${namespace ? `${namespace}/` : ''}${name}`,
          );
    return {
      lines: [`kubectl apply --server-side: ${names.join(', ')}`],
      run: async () => void (await this.change(args, { stdin, waitsFor: names.join(', ') })),
    };
  }

  /** Does not wait for the deletion. */
  delete({ kind, name, namespace }: ObjectName): Action {
    const where = namespace === undefined ? [] : ['-n', namespace];
    return this.command(['delete', kind, name, ...where, '--ignore-not-found', '--wait=false']);
  }

  private async argv(args: readonly string[]): Promise<string[]> {
    if (!this.isConfigured) {
      const login = await readKubeconfig(this.sops);
      if (login === undefined) throw new NotReady('there is no kubeconfig yet; stage talos makes it');
      writeKubeconfig(login);
      this.isConfigured = true;
    }
    return ['kubectl', '--kubeconfig', KUBECONFIG, '--request-timeout=30s', ...args];
  }
}

/** Names at most this many objects; otherwise prints their number. */
const MANY = 3;

/**
 * What a Deployment, StatefulSet or DaemonSet still waits for, or undefined if all its pods are new and
 * ready. Polled, because `kubectl rollout status` ends with the request's deadline.
 */
export function rolloutProblem({ kind, metadata, spec, status = {} }: any): string | undefined {
  if (status.observedGeneration === undefined || status.observedGeneration < metadata.generation)
    return 'its controller has not processed the change yet';
  const wanted: number = kind === 'DaemonSet' ? status.desiredNumberScheduled : (spec.replicas ?? 1);
  const updated: number = (kind === 'DaemonSet' ? status.updatedNumberScheduled : status.updatedReplicas) ?? 0;
  const ready: number = (kind === 'DaemonSet' ? status.numberAvailable : status.readyReplicas) ?? 0;
  if (updated < wanted) return `${updated} of ${wanted} pods are new`;
  if (kind !== 'DaemonSet' && (status.replicas ?? 0) > wanted)
    return `${status.replicas - wanted} old pods are still there`;
  return ready < wanted ? `${ready} of ${wanted} pods are ready` : undefined;
}
