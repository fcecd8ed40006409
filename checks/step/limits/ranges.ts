import { podSpecOf } from '../../../constructs/footprint';
import { identity, type Manifest } from '../objects';
import type { Risk } from '../plan';
import type { Namespace } from './namespace';
import { amount, podUsage, quantity, rulesFor, withDefaults } from './pods';

/** Pods and claims that a LimitRange refuses, and pods that a quota refuses because they do not say what they need. */
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
    problem: `${name} (${rules.join(', ')}) refuses what ${object.kind} ${object.metadata.name} makes: ${problems.join('; ')}.`,
  };
}

function podProblems(spec: Manifest, { ranges, quotas }: Namespace): string[] {
  const filled = withDefaults(spec, ranges);
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
    ...quotas.flatMap(({ spec: { hard = {} } }) => unsaid(containers, Object.keys(hard))),
  ];
}

function claimProblems({ resources = {} }: Manifest, { ranges }: Namespace): string[] {
  return rulesFor('PersistentVolumeClaim', ranges).flatMap((rule) => outside('the claim', resources, rule));
}

function outside(
  name: string,
  { requests = {}, limits = {} }: Manifest,
  { max = {}, min = {}, maxLimitRequestRatio = {} }: Manifest,
): string[] {
  const text = (key: string, value: unknown) => amount(key, quantity(value));
  return [
    ...Object.keys(max).flatMap((key) => {
      const value = limits[key] ?? requests[key];
      return value !== undefined && quantity(value) > quantity(max[key])
        ? [`${name} asks for ${text(key, value)} of ${key}, at most ${text(key, max[key])} are allowed`]
        : [];
    }),
    ...Object.keys(min).flatMap((key) => {
      const value = requests[key] ?? limits[key];
      return value !== undefined && quantity(value) < quantity(min[key])
        ? [`${name} asks for ${text(key, value)} of ${key}, at least ${text(key, min[key])} must be asked for`]
        : [];
    }),
    ...Object.keys(maxLimitRequestRatio).flatMap((key) => {
      const ratio = quantity(limits[key] ?? 0) / quantity(requests[key] ?? 1);
      return ratio > quantity(maxLimitRequestRatio[key])
        ? [
            `the limit of ${name} is ${ratio.toFixed(1)} times its request of ${key}, at most ${maxLimitRequestRatio[key]} are allowed`,
          ]
        : [];
    }),
  ];
}

/** With a quota of a resource, every container must say how much it takes. */
function unsaid(containers: readonly Manifest[], keys: readonly string[]): string[] {
  const wanted = keys.flatMap((key) => {
    const [, part = 'requests', resource] = /^(?:(requests|limits)\.)?(cpu|memory)$/.exec(key) ?? [];
    return resource ? [[part, resource] as const] : [];
  });
  return containers.flatMap(({ name, resources }) =>
    wanted
      .filter(([part, resource]) => resources[part]?.[resource] === undefined)
      .map(([part, resource]) => `${name} must say ${part}.${resource}, because a quota counts it`),
  );
}
