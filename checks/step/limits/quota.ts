import { groupOf } from '../../../constructs/kinds';
import { podSpecOf } from '../../../constructs/footprint';
import { identity, type Manifest } from '../objects';
import type { Risk } from '../plan';
import { sameTemplate } from '../same-template';
import { templateOf } from '../workloads';
import type { Namespace } from './namespace';
import { amount, countOf, most, podUsage, quantity, sum, times, type Usage } from './pods';

/** One workload before and after. */
interface Load {
  readonly name: string;
  readonly id: string;
  /** Once the step is done. */
  readonly rest: Usage;
  /** At most, while it is carried out. */
  readonly peak: Usage;
  /** Whether new pods come before old ones go. */
  readonly surges: boolean;
}

const NONE: Usage = {};

/** Quotas of one namespace that do not admit what runs in the end, or what is there on the way. */
export function quotaRisks(space: Namespace, nodes: number): Risk[] {
  const loads = [...space.workloads.values()].map((pair) => loadOf(pair, space, nodes));
  return space.quotas
    .filter(({ spec }) => !spec.scopes && !spec.scopeSelector)
    .flatMap((quota) => quotaRisk(quota, loads, space));
}

function loadOf({ before, after }: { before?: Manifest; after?: Manifest }, space: Namespace, nodes: number): Load {
  const of = (object: Manifest | undefined) => {
    const spec = object && podSpecOf(object as Record<string, any>);
    return spec ? { one: podUsage(spec, space.ranges), ...countOf(object, nodes, space.scalers) } : undefined;
  };
  const [was, is] = [of(before), of(after)];
  const { kind, metadata } = (after ?? before)!;
  const common = { name: metadata.name as string, id: identity((after ?? before)!), surges: false };
  // A Job that leaves has ended, as a rule.
  if (!is) return { ...common, rest: NONE, peak: was && kind !== 'Job' ? times(was.one, was.pods) : NONE };
  const rest = times(is.one, is.pods);
  if (!was) return { ...common, rest, peak: rest };
  const [old, now] = [templateOf(before!), templateOf(after!)];
  const same = (old && now && sameTemplate(old, now)) ?? false;
  if (same) return { ...common, rest, peak: most(rest, times(was.one, was.pods)) };
  if (kind !== 'Deployment' || is.surge === 0) return { ...common, rest, peak: most(rest, times(was.one, was.pods)) };
  // First all old pods and the first new ones, in the end all new ones and the last old ones.
  const first = sum([times(was.one, was.pods), times(is.one, is.surge)]);
  const last = sum([times(is.one, is.pods), times(was.one, Math.min(is.surge, was.pods))]);
  return { ...common, rest, peak: most(first, last), surges: true };
}

function quotaRisk(quota: Manifest, loads: readonly Load[], space: Namespace): Risk[] {
  const rest = { ...sum(loads.map((load) => load.rest)), ...countsOf(space) };
  const peak = { ...most(sum(loads.map((load) => load.peak)), rest) };
  const { name, namespace } = quota.metadata;
  return Object.entries<unknown>(quota.spec.hard ?? {}).flatMap(([given, hard]): Risk[] => {
    const key = KEYS[given] ?? given;
    const allowed = quantity(hard);
    const [end, way] = [rest[key] ?? 0, peak[key] ?? 0];
    if (!(way > allowed)) return [];
    const text = (value: number) => amount(key, value);
    const culprits = loads.filter((load) => (load.peak[key] ?? 0) > (end > allowed ? 0 : (load.rest[key] ?? 0)));
    const parts = loads
      .filter((load) => (load.peak[key] ?? 0) > 0)
      .map((load) => `${load.name} ${text((end > allowed ? load.rest : load.peak)[key] ?? 0)}`);
    const arithmetic = `${parts.slice(0, 8).join(' + ')}${parts.length > 8 ? ' + ...' : ''} = ${text(end > allowed ? end : way)}`;
    return [
      {
        verdict: 'limit',
        what: `${namespace}/${name}.${given}`,
        objects: [identity(quota), ...culprits.map(({ id }) => id)],
        path: `spec.hard[${given}]`,
        from: text(allowed),
        to: text(end > allowed ? end : way),
        problem:
          end > allowed
            ? `The quota ${name} of ${namespace} allows ${text(allowed)} of ${given}, and what is rendered takes ${arithmetic}: the last pods are never made.`
            : `The quota ${name} of ${namespace} allows ${text(allowed)} of ${given}; while old and new pods are there at once, ${arithmetic}: ${stuck(culprits)}`,
        way: [
          `Raise ${given} of the quota to ${text(way)} in a commit before this one, or change fewer workloads at once.`,
        ],
      },
    ];
  });
}

function stuck(culprits: readonly Load[]): string {
  const rolling = culprits.filter(({ surges }) => surges).map(({ name }) => name);
  return rolling.length > 1
    ? `rollouts of ${rolling.slice(0, 5).join(', ')} wait for each other, and stop where none has room for its first new pod.`
    : 'new pods are refused until others end, and a rollout that ends none before (maxUnavailable 0) stops.';
}

/** The short names of what they mean. */
const KEYS: Readonly<Record<string, string>> = {
  cpu: 'requests.cpu',
  memory: 'requests.memory',
  'count/pods': 'pods',
};

/** Objects, and what claims ask for. */
function countsOf({ objects, secrets }: Namespace): Usage {
  const counts: Record<string, number> = { secrets, 'count/secrets': secrets };
  const add = (key: string, value = 1) => (counts[key] = (counts[key] ?? 0) + value);
  const claim = ({ resources, storageClassName }: Manifest, pods = 1) => {
    const size = quantity(resources?.requests?.storage ?? 0) * pods;
    add('persistentvolumeclaims', pods);
    add('count/persistentvolumeclaims', pods);
    add('requests.storage', size);
    if (storageClassName) {
      add(`${storageClassName}.storageclass.storage.k8s.io/requests.storage`, size);
      add(`${storageClassName}.storageclass.storage.k8s.io/persistentvolumeclaims`, pods);
    }
  };
  for (const { apiVersion, kind, spec } of objects) {
    const group = groupOf(apiVersion);
    const plural = `${kind.toLowerCase()}${/(s|x|ch)$/i.test(kind) ? 'es' : 's'}`.replace(/ys$/, 'ies');
    if (kind === 'PersistentVolumeClaim') claim(spec);
    else add(`count/${plural}${group ? `.${group}` : ''}`);
    if (kind === 'ConfigMap' || kind === 'Service') add(plural);
    if (kind === 'StatefulSet')
      for (const template of spec.volumeClaimTemplates ?? []) claim(template.spec, spec.replicas ?? 1);
    if (kind === 'Service' && spec.type === 'LoadBalancer') add('services.loadbalancers');
    if (kind === 'Service' && ['NodePort', 'LoadBalancer'].includes(spec.type))
      add('services.nodeports', spec.ports.length);
  }
  return counts;
}
