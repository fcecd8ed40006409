import { FIELD_MANAGER, type Client, type Json } from '../cluster/client';
import { until } from '../cluster/processes';
import type { Case } from './workload-cases';
import type { Mutation } from './workload-changes';

/** What the API server and the controllers made of one case. */
export interface Seen {
  readonly case: Case;
  /** What was sent before and after. */
  readonly before: Json;
  readonly after: Json;
  /** What the API server held before and after; the same where it refused. */
  readonly live: Json;
  readonly next: Json;
  /** The API server's words, where it refused the change. */
  readonly refused?: string;
  /** Whether the controller counts the template as another one: a new ReplicaSet, or another revision. */
  readonly revision: boolean;
  /** Whether the object is another one. */
  readonly anew: boolean;
  /** Pods, where all of them could run. */
  readonly pods?: PodsSeen;
}

export interface PodsSeen {
  /** Pods that ended while another came in their place. */
  readonly replaced: number;
  /** Of a StatefulSet: names, in the order in which they were made. */
  readonly names?: readonly string[];
  /** Of a StatefulSet: those that are gone. */
  readonly gone?: readonly string[];
  /** How many pods were missing at once, as far as it was seen. */
  readonly away: number;
}

/** Label of the pods of one case. */
const LABEL = 'case';

/** Tries cases in a namespace of its own, one after the other. */
export class Trial {
  private count = 0;

  constructor(
    private readonly client: Client,
    private readonly namespace: string,
  ) {}

  /** The namespace and what pods ask for by name. */
  async prepare(rendered: readonly Json[]): Promise<void> {
    const metadata = (name: string) => ({ name, namespace: this.namespace });
    const accounts = new Set(
      rendered.flatMap(({ spec }) => {
        const name = spec?.template?.spec?.serviceAccountName;
        return name === undefined ? [] : [String(name), `${name}x`];
      }),
    );
    await this.made({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: this.namespace } });
    for (const name of accounts)
      await this.made({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: metadata(name) });
    await until('the default service account', 30, () =>
      this.client.get({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: metadata('default') }),
    );
  }

  /** Undefined where one of the objects is not valid by itself, so that there is no step to judge. */
  async run(tried: Case, recreate = false): Promise<Seen | undefined> {
    const object = this.placed(tried.sample.object);
    try {
      if (!(await this.applied(object))) return undefined;
      if (object.kind === 'CronJob') await this.runOf(object);
      let live = await this.settled(object);
      if (live === undefined) return undefined;
      for (const mutation of tried.history) {
        if (!(await this.applied(changed(object, mutation)))) return undefined;
        live = await this.settled(object);
        if (live === undefined) return undefined;
      }
      const before = structuredClone(object);
      const pods = await this.pods(object);
      const revision = await this.revision(object);
      changed(object, tried.change);
      if (!(await this.canRun(object))) return undefined;
      if (recreate) await this.deleted(object);
      const answer = await this.client.apply(object);
      if (answer.status >= 300) {
        const alone = { ...object, metadata: { ...object.metadata, name: `${object.metadata.name}-alone` } };
        const valid = (await this.appliedAlone(alone)).status < 300;
        const refused = String(answer.body.message);
        return valid
          ? { case: tried, before, after: object, live, next: live, refused, revision: false, anew: false }
          : undefined;
      }
      const away = { most: 0 };
      const next = await this.settled(object, away, pods.length);
      const common = {
        case: tried,
        before,
        after: object,
        live,
        next: next ?? answer.body,
        revision: (await this.revision(object)) !== revision,
        anew: answer.body.metadata.uid !== live.metadata.uid,
      };
      if (next === undefined) return common;
      return { ...common, pods: compared(object, pods, await this.pods(object), away.most) };
    } finally {
      await this.client.delete(object, { propagationPolicy: 'Background' });
    }
  }

  /** A copy under a name of its own, with pods that run on any node and wait for no disk. */
  private placed(sample: Json): Json {
    const object = structuredClone(sample);
    const id = `c${this.count++}`;
    const template = object.kind === 'CronJob' ? object.spec.jobTemplate.spec.template : object.spec.template;
    Object.assign(object.metadata, { name: `${object.kind.toLowerCase()}-${id}`, namespace: this.namespace });
    if (object.spec.selector) object.spec.selector.matchLabels[LABEL] = id;
    template.metadata = { ...template.metadata, labels: { ...template.metadata?.labels, [LABEL]: id } };
    // Ports of nodes are taken one case at a time.
    for (const container of template.spec.containers)
      for (const port of container.ports ?? []) if (port.hostPort) port.hostPort += this.offset();
    // kwok ends pods of Jobs at once; without a node they stay.
    if (object.kind === 'Job' || object.kind === 'CronJob') template.spec.nodeSelector = { nowhere: 'x' };
    return object;
  }

  /** Each namespace and each of its next cases has ports of its own. */
  private offset(): number {
    return 2000 + (Number(this.namespace.replace(/\D/g, '')) * 50 + (this.count % 50)) * 20;
  }

  /** A run that has begun, as kubectl create job --from makes it. */
  private async runOf({ spec, metadata }: Json): Promise<void> {
    const { uid } = (await this.client.get({ apiVersion: 'batch/v1', kind: 'CronJob', metadata }))!.metadata;
    const owner = { apiVersion: 'batch/v1', kind: 'CronJob', name: metadata.name, uid, controller: true };
    const { namespace, name } = metadata;
    await this.made({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { namespace, name: `${name}-run`, ownerReferences: [owner] },
      spec: spec.jobTemplate.spec,
    });
  }

  private async applied(object: Json): Promise<boolean> {
    return (await this.canRun(object)) && (await this.client.apply(object)).status < 300;
  }

  /** Kubernetes 1.31 takes any template of a StatefulSet, ends a pod for it, and then refuses the new one. */
  private async canRun({ kind, metadata, spec }: Json): Promise<boolean> {
    if (kind !== 'StatefulSet') return true;
    const { labels, annotations } = spec.template.metadata;
    const pod = { namespace: metadata.namespace, name: `${metadata.name}-tried`, labels, annotations };
    return (await this.dryRun({ apiVersion: 'v1', kind: 'Pod', metadata: pod, spec: spec.template.spec })).status < 300;
  }

  private async made(object: Json): Promise<void> {
    const { status, body } = await this.client.apply(object);
    if (status >= 300) throw new Error(`${object.kind} ${object.metadata.name}: ${body.message}`);
  }

  /** As a new object: what server-side apply itself refuses, such as a name that is there twice, is no step. */
  private async appliedAlone(object: Json) {
    const path = `${await this.client.pathOf(object)}?dryRun=All&fieldManager=${FIELD_MANAGER}`;
    return this.client.request('PATCH', path, object, 'application/apply-patch+yaml');
  }

  private async dryRun(object: Json) {
    const path = (await this.client.pathOf(object)).replace(/\/[^/]+$/, '');
    return this.client.request('POST', `${path}?dryRun=All`, object);
  }

  /** As kubectl replace --force does: deleted in the background, gone, made again. */
  private async deleted(object: Json): Promise<void> {
    await this.client.delete(object, { propagationPolicy: 'Background' });
    await until(`${object.metadata.name} is gone`, 20, async () => (await this.client.get(object)) === undefined);
  }

  /** Waits until the controller has done what it will do. Undefined where pods find no node, and nothing goes on. */
  private async settled(object: Json, away = { most: 0 }, before = 0): Promise<Json | undefined> {
    const deadline = Date.now() + 30_000;
    for (;;) {
      const [live, pods] = [(await this.client.get(object))!, await this.pods(object)];
      const ready = pods.filter(isReady).length;
      away.most = Math.max(away.most, Math.min(before, live.spec.replicas ?? before) - ready);
      if (isDone(live, pods)) {
        // What has no generation to wait for gets a moment.
        if (['Job', 'CronJob', 'ReplicaSet'].includes(live.kind))
          await new Promise((resolve) => setTimeout(resolve, 600));
        return (await this.client.get(object))!;
      }
      if (pods.some(isNowhere) && !['Job', 'CronJob'].includes(live.kind)) return undefined;
      if (Date.now() > deadline)
        throw new Error(`${object.kind} ${object.metadata.name} does not settle: ${JSON.stringify(live.status)}`);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
  }

  private async pods({ metadata, kind }: Json): Promise<Json[]> {
    const id = metadata.name.slice(kind.length + 1);
    const { items } = await this.client.ask(
      'GET',
      `/api/v1/namespaces/${this.namespace}/pods?labelSelector=${LABEL}%3D${id}`,
    );
    return items;
  }

  /** What the controller calls the template that it has now. */
  private async revision(object: Json): Promise<string> {
    const { kind, metadata } = object;
    const live = (await this.client.get(object))!;
    if (kind === 'StatefulSet') return String(live.status.updateRevision);
    const owned = (list: readonly Json[]) =>
      list.filter(({ metadata: { ownerReferences = [] } }) =>
        ownerReferences.some(({ uid }: Json) => uid === live.metadata.uid),
      );
    if (kind === 'Deployment') {
      const sets = owned(await this.client.list('apps/v1', 'ReplicaSet', metadata.namespace));
      const number = (set: Json) => Number(set.metadata.annotations?.['deployment.kubernetes.io/revision'] ?? 0);
      return sets.sort((a, b) => number(b) - number(a))[0]?.metadata.name ?? '';
    }
    if (kind === 'DaemonSet') {
      const revisions = owned(await this.client.list('apps/v1', 'ControllerRevision', metadata.namespace));
      return revisions.sort((a, b) => b.revision - a.revision)[0]?.metadata.name ?? '';
    }
    return '';
  }
}

function changed(object: Json, mutations: readonly Mutation[]): Json {
  for (const mutation of mutations) mutation.apply(object);
  return object;
}

function isReady({ metadata, status }: Json): boolean {
  return (
    !metadata.deletionTimestamp &&
    Boolean(status.conditions?.some(({ type, status: is }: Json) => type === 'Ready' && is === 'True'))
  );
}

function isNowhere({ status }: Json): boolean {
  return Boolean(status.conditions?.some(({ reason }: Json) => reason === 'Unschedulable'));
}

function isDone({ kind, metadata, spec, status = {} }: Json, pods: readonly Json[]): boolean {
  const still = pods.every(({ metadata: { deletionTimestamp } }) => !deletionTimestamp);
  const current = status.observedGeneration >= metadata.generation;
  const count = (wanted: number) => still && pods.length === wanted && pods.every(isReady);
  switch (kind) {
    case 'Deployment':
      return (
        current &&
        count(spec.replicas) &&
        (status.replicas ?? 0) === spec.replicas &&
        (spec.paused === true ||
          ((status.updatedReplicas ?? 0) === spec.replicas && (status.availableReplicas ?? 0) === spec.replicas))
      );
    case 'StatefulSet': {
      const rolls = spec.updateStrategy.type === 'RollingUpdate';
      const partition = spec.updateStrategy.rollingUpdate?.partition ?? 0;
      const updated = !rolls || (status.updatedReplicas ?? 0) >= Math.max(0, spec.replicas - partition);
      return (
        current &&
        count(spec.replicas) &&
        (status.replicas ?? 0) === spec.replicas &&
        updated &&
        (status.availableReplicas ?? 0) === spec.replicas
      );
    }
    case 'DaemonSet': {
      const wanted = status.desiredNumberScheduled;
      const updated = spec.updateStrategy.type === 'OnDelete' || (status.updatedNumberScheduled ?? 0) === wanted;
      return current && wanted > 0 && count(wanted) && updated && (status.numberAvailable ?? 0) === wanted;
    }
    case 'ReplicaSet':
      return current && count(spec.replicas);
    case 'Job':
      return (
        still && pods.length === (spec.suspend ? 0 : Math.min(spec.parallelism, spec.completions ?? spec.parallelism))
      );
    default:
      return true;
  }
}

function compared({ kind }: Json, before: readonly Json[], after: readonly Json[], away: number): PodsSeen {
  const uid = ({ metadata }: Json) => metadata.uid as string;
  const name = ({ metadata }: Json) => metadata.name as string;
  const was = new Set(before.map(uid));
  const kept = after.filter((pod) => was.has(uid(pod)));
  if (kind === 'StatefulSet') {
    const known = new Set(before.map(name));
    const made = after.filter((pod) => !was.has(uid(pod)) && known.has(name(pod)));
    const there = new Set(after.map(name));
    const names = made
      .sort((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
      .map(name);
    return { replaced: made.length, names, gone: [...known].filter((each) => !there.has(each)).sort(), away };
  }
  if (kind === 'DaemonSet') {
    const nodes = new Map(before.map((pod) => [pod.spec.nodeName, uid(pod)]));
    const replaced = after.filter((pod) => nodes.has(pod.spec.nodeName) && nodes.get(pod.spec.nodeName) !== uid(pod));
    return { replaced: replaced.length, away };
  }
  return { replaced: Math.min(before.length, after.length) - kept.length, away };
}
