import { podSpecOf, withDefaults, type Json } from '../../../constructs';
import { identity, type Manifest } from '../objects';
import type { Risk } from '../plan';
import type { Namespace } from './namespace';
import { countsPod } from './scopes';
import { amount, podUsage, quantity, rulesFor } from './pods';

/** Pods and claims that a LimitRange rejects, and pods that a quota rejects because they set no requests or limits. */
export function rangeRisks(space: Namespace): Risk[] {
  const everything = space.ranges.some((range) => space.changed.has(identity(range)));
  return space.objects
    .filter((object) => everything || space.changed.has(identity(object)))
    .flatMap((object) => {
      const spec = podSpecOf(object as Record<string, any>);
      const problems = spec
        ? podProblems(spec, space)
        : object.kind === 'PersistentVolumeClaim'
          ? claimProblems(object.spec, space)
          : [];
      const claims: readonly Manifest[] = object.kind === 'StatefulSet' ? (object.spec.volumeClaimTemplates ?? []) : [];
      const all = [...problems, ...claims.flatMap((claim) => claimProblems(claim.spec, space))];
      return all.length === 0 ? [] : [risk(object, all, space)];
    });
}

function risk(object: Manifest, problems: readonly string[], { name, ranges, quotas }: Namespace): Risk {
  const rules = [...ranges, ...quotas].map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  return {
    verdict: 'limit',
    what: `${name}/${object.metadata.name}.limits`,
    objects: [identity(object)],
    path: 'spec',
    from: 'admitted',
    to: 'refused',
    problem: `${name} (${rules.join(', ')}) refuses the pods or claims of ${object.kind} ${object.metadata.name}: ${problems.join('; ')}.`,
  };
}

function podProblems(spec: Manifest, { ranges, quotas }: Namespace): string[] {
  const filled = withDefaults(spec as Json, ranges as readonly Json[]);
  const containers: readonly Manifest[] = [...(filled.initContainers ?? []), ...filled.containers];
  const whole = podUsage(spec, ranges);
  const pod = {
    requests: { memory: whole['requests.memory'] || undefined, cpu: whole['requests.cpu'] || undefined },
    limits: { memory: whole['limits.memory'] || undefined, cpu: whole['limits.cpu'] || undefined },
  };
  return [
    ...containers.flatMap((container) =>
      rulesFor('Container', ranges).flatMap((rule) => outside(container.name, container.resources, rule)),
    ),
    ...rulesFor('Pod', ranges).flatMap((rule) => outside('the pod', pod, rule)),
    ...quotas
      .filter((quota) => countsPod(quota, spec))
      .flatMap(({ spec: { hard = {} } }) => unsaid(containers, Object.keys(hard))),
  ];
}

function claimProblems({ resources = {} }: Manifest, { ranges }: Namespace): string[] {
  return rulesFor('PersistentVolumeClaim', ranges).flatMap((rule) => outside('the claim', resources, rule));
}

/** The comparison of the API server (plugin/pkg/admission/limitranger). It also rejects a missing value if a bound exists. */
function outside(
  name: string,
  { requests = {}, limits = {} }: Manifest,
  { max = {}, min = {}, maxLimitRequestRatio = {} }: Manifest,
): string[] {
  const text = (key: string, value: unknown) => amount(key, quantity(value));
  const above = (key: string) => [limits[key], requests[key]].find((each) => more(each, max[key]));
  const below = (key: string) => [requests[key], limits[key]].find((each) => more(min[key], each));
  return [
    ...Object.keys(max).flatMap((key) => {
      const allowed = `at most ${text(key, max[key])} are allowed`;
      if (above(key) !== undefined) return [`${name} asks for ${text(key, above(key))} of ${key}, ${allowed}`];
      // Claims have no limits.
      const silent = limits[key] === undefined && key !== 'storage';
      return silent ? [`${name} has no limit of ${key}, and ${allowed}`] : [];
    }),
    ...Object.keys(min).flatMap((key) => {
      const wanted = `at least ${text(key, min[key])} must be asked for`;
      if (below(key) !== undefined) return [`${name} asks for ${text(key, below(key))} of ${key}, ${wanted}`];
      return requests[key] === undefined ? [`${name} has no request of ${key}, and ${wanted}`] : [];
    }),
    ...Object.keys(maxLimitRequestRatio).flatMap((key) => {
      const allowed = `at most ${maxLimitRequestRatio[key]} times are allowed`;
      if (!limits[key] || !requests[key])
        return [`${name} must give a request and a limit of ${key}, of which ${allowed}`];
      const ratio = quantity(limits[key]) / quantity(requests[key]);
      return ratio > quantity(maxLimitRequestRatio[key])
        ? [`the limit of ${name} is ${ratio.toFixed(1)} times its request of ${key}, ${allowed}`]
        : [];
    }),
  ];
}

function more(one: unknown, other: unknown): boolean {
  return one !== undefined && other !== undefined && quantity(one) > quantity(other);
}

/** A quota of a resource requires every container to set that resource. */
function unsaid(containers: readonly Manifest[], keys: readonly string[]): string[] {
  const wanted = keys.flatMap((key) => {
    const [, part = 'requests', resource] = /^(?:(requests|limits)\.)?(cpu|memory)$/.exec(key) ?? [];
    return resource ? [[part, resource] as const] : [];
  });
  return containers.flatMap(({ name, resources }) =>
    wanted
      .filter(([part, resource]) => resources[part]?.[resource] === undefined)
      .map(([part, resource]) => `${name} must set ${part}.${resource}, because a quota counts it`),
  );
}
