import type { Json } from '../cluster/client';
import type { Random } from './random';

/** A change of one place of a workload. */
export interface Mutation {
  /** As spec.template.spec.containers[0].image: another value. */
  readonly what: string;
  readonly apply: (object: Json) => void;
}

/** A place in an object. */
type Path = readonly (string | number)[];

/** What may never change, or would be another object: refused, and nothing to learn of it here. */
const LEFT_OUT =
  /^(apiVersion|kind|metadata\.(name|namespace)|spec\.selector|spec\.serviceName|spec\.podManagementPolicy|.*\.case$|.*volumeClaimTemplates.*|.*\.(restartPolicy|schedulerName|nodeName|priorityClassName)$|.*\.affinity.*|.*nodeSelector.*|.*whenUnsatisfiable)/;

/** Values that a field allows. */
const WORDS: Readonly<Record<string, readonly unknown[]>> = {
  imagePullPolicy: ['Always', 'IfNotPresent', 'Never'],
  protocol: ['TCP', 'UDP'],
  fsGroupChangePolicy: ['Always', 'OnRootMismatch'],
  medium: ['', 'Memory'],
  dnsPolicy: ['ClusterFirst', 'Default'],
  effect: ['NoSchedule', 'NoExecute'],
  schedule: ['0 3 * * *', '0 4 * * *'],
  concurrencyPolicy: ['Forbid', 'Replace'],
  whenDeleted: ['Retain', 'Delete'],
  whenScaled: ['Retain', 'Delete'],
  terminationMessagePolicy: ['File', 'FallbackToLogsOnError'],
  maxSurge: [0, 1, '50%'],
  maxUnavailable: [0, 1, '50%'],
  ip: ['10.0.0.1', '10.0.0.2'],
  fieldPath: ['metadata.name', 'metadata.namespace'],
};

/** What the API server fills in, said aloud: nothing may roll for it. */
const DEFAULTS: Readonly<Record<'pod' | 'container' | 'port' | 'probe' | 'volume', Json>> = {
  pod: {
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    restartPolicy: 'Always',
    schedulerName: 'default-scheduler',
    securityContext: {},
    enableServiceLinks: true,
    hostNetwork: false,
    shareProcessNamespace: false,
    automountServiceAccountToken: true,
    preemptionPolicy: 'PreemptLowerPriority',
    hostUsers: true,
    nodeSelector: {},
    tolerations: [],
    imagePullSecrets: [],
  },
  container: {
    imagePullPolicy: 'IfNotPresent',
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    resources: {},
    securityContext: {},
    stdin: false,
    tty: false,
    env: [],
    args: [],
    lifecycle: {},
    workingDir: '',
  },
  port: { protocol: 'TCP', hostPort: 0, hostIP: '' },
  probe: { successThreshold: 1, timeoutSeconds: 1, periodSeconds: 10, failureThreshold: 3, initialDelaySeconds: 0 },
  volume: {},
};

/** Every change of a workload that this knows, in a fixed order. */
export function mutations(object: Json): Mutation[] {
  return [...places(object, []), ...spoken(object), ...added(object), ...strategies(object)];
}

/** One, two or three changes; most of the time one. */
export function choose(object: Json, random: Random): Mutation[] {
  const all = mutations(object);
  const groups = new Map<string, Mutation[]>();
  // A template has hundreds of leaves and a strategy has few: each group has the same chance.
  for (const each of all) groups.set(group(each.what), [...(groups.get(group(each.what)) ?? []), each]);
  const count = random.pick([1, 1, 1, 2, 3]);
  return [...new Set(Array.from({ length: count }, () => random.pick(random.pick([...groups.values()]))))];
}

function group(what: string): string {
  const kind = what.split(': ')[1]!;
  return what.startsWith('spec.template') || what.startsWith('spec.jobTemplate')
    ? `template ${kind}`
    : `outside ${kind}`;
}

function places(value: unknown, path: Path): Mutation[] {
  const name = text(path);
  if (LEFT_OUT.test(name)) return [];
  if (Array.isArray(value))
    return [
      ...value.flatMap((each, index) => places(each, [...path, index])),
      ...(value.length > 1 ? [at(path, 'another order', (list: unknown[]) => [...list].reverse())] : []),
    ];
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([key, each]) => places(each, [...path, key]));
  const key = String(path.at(-1));
  const changed = at(path, 'another value', (was) => another(key, was));
  const optional = typeof path.at(-1) === 'string' && path.length > 2;
  const quantity = typeof value === 'string' && QUANTITY.test(value) && QUANTITIES.test(name);
  return [
    changed,
    ...(optional ? [at(path, 'left out', () => undefined)] : []),
    ...(quantity ? [at(path, 'written differently', (was) => (typeof was === 'string' ? rewritten(was) : was))] : []),
  ];
}

const QUANTITY = /^\d+(\.\d+)?(m|Ki|Mi|Gi)?$/;
const QUANTITIES = /(requests|limits)\.[^.]+$|sizeLimit$|divisor$/;

function another(key: string, was: unknown): unknown {
  const words = WORDS[key];
  if (words) return words.find((word) => word !== was);
  if (typeof was === 'number') return key === 'successThreshold' ? was : was + 1;
  if (typeof was === 'boolean') return !was;
  if (typeof was === 'string' && QUANTITY.test(was)) return was.replace(/^\d+/, (digits) => String(Number(digits) + 1));
  return key === 'image' ? `${String(was).replace(/:.*/, '')}:9.9.9` : `${String(was)}x`;
}

/** The same amount in another unit. */
function rewritten(was: string): string {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(m|Ki|Mi|Gi)?$/.exec(was)!;
  if (unit === 'Gi') return `${Number(digits) * 1024}Mi`;
  if (unit === 'Mi') return `${Number(digits) * 1024}Ki`;
  if (unit === 'Ki') return String(Number(digits) * 1024);
  return unit === 'm' ? String(Number(digits) / 1000) : `${Number(digits) * 1000}m`;
}

/** Defaults said aloud, in every place that has them. */
function spoken(object: Json): Mutation[] {
  const base: Path =
    object.kind === 'CronJob' ? ['spec', 'jobTemplate', 'spec', 'template', 'spec'] : ['spec', 'template', 'spec'];
  const pod = look(object, base) as Json;
  const say = (path: Path, kind: keyof typeof DEFAULTS) =>
    Object.entries(DEFAULTS[kind])
      .filter(([key]) => !(key in (look(object, path) as Json)))
      .map(([key, value]) => at([...path, key], 'the default said aloud', () => value));
  const containers = (['initContainers', 'containers'] as const).flatMap((list) =>
    ((pod[list] ?? []) as Json[]).flatMap((each, index) => {
      const path = [...base, list, index];
      const probes = ['startupProbe', 'livenessProbe', 'readinessProbe'].filter((probe) => each[probe]);
      return [
        ...say(path, 'container'),
        ...probes.flatMap((probe) => say([...path, probe], 'probe')),
        ...probes
          .filter((probe) => each[probe].httpGet)
          .map((probe) => at([...path, probe, 'httpGet', 'scheme'], 'the default said aloud', () => 'HTTP')),
        ...((each.ports ?? []) as Json[]).flatMap((_, port) => say([...path, 'ports', port], 'port')),
        ...((each.env ?? []) as Json[]).flatMap(({ valueFrom }, env) =>
          valueFrom?.fieldRef
            ? [at([...path, 'env', env, 'valueFrom', 'fieldRef', 'apiVersion'], 'the default said aloud', () => 'v1')]
            : [],
        ),
      ];
    }),
  );
  const volumes = ((pod.volumes ?? []) as Json[]).flatMap((each, index) =>
    ['configMap', 'secret', 'projected']
      .filter((source) => each[source] && each[source].defaultMode === undefined)
      .map((source) => at([...base, 'volumes', index, source, 'defaultMode'], 'the default said aloud', () => 420)),
  );
  return [...say(base, 'pod'), ...containers, ...volumes];
}

/** Labels, annotations and list entries that were not there. */
function added(object: Json): Mutation[] {
  const template: Path = object.kind === 'CronJob' ? ['spec', 'jobTemplate', 'spec', 'template'] : ['spec', 'template'];
  const container = [...template, 'spec', 'containers', 0];
  return [
    at(['metadata', 'labels', 'added'], 'added', () => 'x'),
    at(['metadata', 'annotations', 'added'], 'added', () => 'x'),
    at([...template, 'metadata', 'labels', 'added'], 'added', () => 'x'),
    at([...template, 'metadata', 'annotations', 'added'], 'added', () => 'x'),
    at([...container, 'env'], 'one added', (was: Json[] = []) => [...was, { name: 'ADDED', value: 'x' }]),
    at([...container, 'env'], 'one added in front', (was: Json[] = []) => [{ name: 'ADDED', value: 'x' }, ...was]),
    at([...container, 'ports'], 'one added', (was: Json[] = []) => [...was, { name: 'added', containerPort: 4444 }]),
    at([...template, 'spec', 'volumes'], 'one added', (was: Json[] = []) => [...was, { name: 'added', emptyDir: {} }]),
    at([...template, 'spec', 'hostAliases'], 'added', () => [{ ip: '10.9.9.9', hostnames: ['x.example'] }]),
    at([...template, 'spec', 'tolerations'], 'added', () => [{ key: 'added', operator: 'Exists' }]),
  ];
}

/** What stands around the template. */
function strategies({ kind, spec }: Json): Mutation[] {
  const set = (path: Path, value: unknown, what = `set to ${JSON.stringify(value)}`) => at(path, what, () => value);
  const replicas = [0, 1, 2, 3, 4]
    .filter((count) => count !== spec.replicas)
    .map((count) => set(['spec', 'replicas'], count));
  switch (kind) {
    case 'Deployment':
      return [
        ...replicas,
        set(['spec', 'replicas'], undefined, 'left out'),
        set(['spec', 'paused'], true),
        set(['spec', 'paused'], false),
        set(['spec', 'minReadySeconds'], 1),
        set(['spec', 'progressDeadlineSeconds'], 600),
        set(['spec', 'revisionHistoryLimit'], 10),
        set(['spec', 'strategy'], { type: 'Recreate' }),
        set(['spec', 'strategy'], { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } }),
        set(['spec', 'strategy'], { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } }),
        set(['spec', 'strategy'], undefined, 'left out'),
      ];
    case 'StatefulSet':
      return [
        ...replicas,
        set(['spec', 'updateStrategy'], { type: 'OnDelete' }),
        set(['spec', 'updateStrategy'], { type: 'RollingUpdate' }),
        set(['spec', 'updateStrategy'], { type: 'RollingUpdate', rollingUpdate: { partition: 1 } }),
        set(['spec', 'updateStrategy'], { type: 'RollingUpdate', rollingUpdate: { partition: 2 } }),
        set(['spec', 'updateStrategy'], { rollingUpdate: { partition: 9 } }),
        set(['spec', 'updateStrategy'], undefined, 'left out'),
        set(['spec', 'ordinals'], { start: 2 }),
        set(['spec', 'ordinals'], undefined, 'left out'),
        set(['spec', 'minReadySeconds'], 1),
        set(['spec', 'revisionHistoryLimit'], 10),
        set(['spec', 'persistentVolumeClaimRetentionPolicy'], { whenDeleted: 'Retain', whenScaled: 'Retain' }),
      ];
    case 'DaemonSet':
      return [
        set(['spec', 'updateStrategy'], { type: 'OnDelete' }),
        set(['spec', 'updateStrategy'], { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 2 } }),
        set(['spec', 'updateStrategy'], { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } }),
        set(['spec', 'updateStrategy'], undefined, 'left out'),
        set(['spec', 'minReadySeconds'], 1),
        set(['spec', 'revisionHistoryLimit'], 10),
      ];
    case 'ReplicaSet':
      return [...replicas, set(['spec', 'minReadySeconds'], 1)];
    case 'Job':
      return [
        set(['spec', 'suspend'], true),
        set(['spec', 'parallelism'], 2),
        set(['spec', 'backoffLimit'], 7),
        set(['spec', 'activeDeadlineSeconds'], 500),
        set(['spec', 'ttlSecondsAfterFinished'], 500),
      ];
    case 'CronJob':
      return [
        set(['spec', 'suspend'], true),
        set(['spec', 'successfulJobsHistoryLimit'], 1),
        set(['spec', 'startingDeadlineSeconds'], 100),
        set(['spec', 'timeZone'], 'Etc/UTC'),
      ];
    default:
      return [];
  }
}

function at(path: Path, how: string, change: (was: any) => unknown): Mutation {
  return {
    what: `${text(path)}: ${how}`,
    apply: (object) => {
      let place: any = object;
      for (const [index, key] of path.slice(0, -1).entries()) {
        if (place[key] === undefined) place[key] = typeof path[index + 1] === 'number' ? [] : {};
        place = place[key];
        if (typeof place !== 'object' || place === null) return;
      }
      const last = path.at(-1)!;
      const value = change(place[last]);
      if (value !== undefined) place[last] = value;
      else if (Array.isArray(place)) place.splice(Number(last), 1);
      else Reflect.deleteProperty(place, last);
    },
  };
}

function look(object: unknown, path: Path): unknown {
  return path.reduce((value: any, key) => value?.[key], object);
}

function text(path: Path): string {
  return path.map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index > 0 ? '.' : ''}${key}`)).join('');
}
