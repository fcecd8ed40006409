import { replacedPods, type PodsEffect } from '../../../checks/step/replaced-pods';
import { sameTemplate } from '../../../checks/step/same-template';
import type { Json } from '../cluster/client';
import type { Seen } from './workload-trial';

/** How many nodes the trial has; each takes a pod of a DaemonSet. */
export const NODES = 3;

/** What a rule says of a case. */
export interface Said {
  readonly effect: PodsEffect;
  /** Whether the template counts as another one. */
  readonly revision: boolean;
  /** How many pods of a StatefulSet may be away at once. */
  readonly away: number;
}

export type Rule = (seen: Seen) => Said;

/** The rule of checks/, on what the API server holds. */
export const rule: Rule = ({ live, next }) => judged(live, next);

function judged(live: Json, next: Json): Said {
  return {
    effect: replacedPods(live, next, { nodes: NODES })!,
    revision: hasRevisions(next) && !sameTemplate(live.spec.template, next.spec.template),
    away: 1,
  };
}

/** A paused Deployment makes no ReplicaSet. */
function hasRevisions({ kind, spec }: Json): boolean {
  return kind === 'StatefulSet' || kind === 'DaemonSet' || (kind === 'Deployment' && spec.paused !== true);
}

/** Where a rule and the controllers disagree; undefined where they do not. */
export function disagreement(seen: Seen, { effect, revision, away }: Said): string | undefined {
  if (seen.anew) return 'the object is another one';
  // A Deployment that goes on makes a ReplicaSet for what was changed while it was paused.
  const resumed = seen.next.kind === 'Deployment' && seen.live.spec.paused === true && seen.case.behind;
  if (!resumed && revision !== seen.revision)
    return `the rule says that the template ${revision ? 'is another one' : 'is the same'}, and the controller says the opposite`;
  const { pods } = seen;
  if (!pods) return undefined;
  const expected = effect.does === 'perhaps' && !seen.case.behind ? 0 : effect.count;
  if (pods.replaced !== expected) return `the rule says that ${expected} pods are replaced, and ${pods.replaced} were`;
  if (seen.next.kind !== 'StatefulSet') return undefined;
  const names = expected === 0 ? [] : (effect.names ?? []);
  if (pods.names!.join() !== names.join()) return `the rule says ${names.join()}, and it was ${pods.names!.join()}`;
  const gone = [...(effect.removedNames ?? [])].sort();
  if (pods.gone!.join() !== gone.join())
    return `the rule says that ${gone.join() || 'no pod'} goes, and it was ${pods.gone!.join()}`;
  if (expected > 1 && (away === 1 ? pods.away > 1 : pods.away <= 1))
    return `the rule says that ${away} pods are away at once, and ${pods.away} were`;
  return undefined;
}

/** Copies of the rule, each with one thing wrong: the cases must show it. */
export const WRONG: Readonly<Record<string, Rule>> = {
  'the order of a list does not count': both((object) => onTemplate(object, sortedLists)),
  'labels of the template do not count': both((object) =>
    onTemplate(object, (template) => ({ ...template, metadata: { ...template.metadata, labels: {} } })),
  ),
  'annotations of the template do not count': both((object) =>
    onTemplate(object, (template) => ({ ...template, metadata: { ...template.metadata, annotations: {} } })),
  ),
  'only images count': both((object) =>
    onTemplate(object, ({ spec }) => ({
      images: [...(spec.initContainers ?? []), ...spec.containers].map(({ image }: Json) => image),
    })),
  ),
  'variables do not count': both((object) => onTemplate(object, (template) => without(template, 'env'))),
  'init containers do not count': both((object) =>
    onTemplate(object, (template) => without(template, 'initContainers')),
  ),
  'volumes do not count': both((object) => onTemplate(object, (template) => without(template, 'volumes'))),
  'probes do not count': both((object) =>
    onTemplate(object, (template) =>
      without(without(without(template, 'livenessProbe'), 'readinessProbe'), 'startupProbe'),
    ),
  ),
  'resources do not count': both((object) => onTemplate(object, (template) => without(template, 'resources'))),
  'what the API server fills in counts': ({ before, after, live, next }) => {
    const said = judged(withTemplate(live, before), withTemplate(next, after));
    return said;
  },
  'how a quantity is written counts': ({ before, after, live, next }) =>
    judged(asText(live, before), asText(next, after)),
  'labels of the object count': (seen) =>
    also(seen, ({ live, next }) => text(live.metadata.labels) !== text(next.metadata.labels)),
  'annotations of the object count': (seen) =>
    also(seen, ({ before, after }) => text(before.metadata.annotations) !== text(after.metadata.annotations)),
  'minReadySeconds counts': (seen) =>
    also(seen, ({ live, next }) => live.spec.minReadySeconds !== next.spec.minReadySeconds),
  'another strategy counts': (seen) =>
    also(seen, ({ live, next }) => text(live.spec.strategy) !== text(next.spec.strategy)),
  'revisionHistoryLimit counts': (seen) =>
    also(seen, ({ live, next }) => live.spec.revisionHistoryLimit !== next.spec.revisionHistoryLimit),
  'the number of pods counts': (seen) => also(seen, ({ live, next }) => live.spec.replicas !== next.spec.replicas),
  'OnDelete replaces pods': both((object) =>
    withStrategy(object, (strategy) => (strategy.type === 'OnDelete' ? { type: 'RollingUpdate' } : strategy)),
  ),
  'a partition is not looked at': both((object) => withStrategy(object, ({ type }) => ({ type }))),
  'a partition counts ordinals': (seen) => {
    const said = rule(seen);
    const partition = seen.next.spec.updateStrategy?.rollingUpdate?.partition ?? 0;
    const names = said.effect.names?.filter((name) => Number(name.split('-').pop()) >= partition + 0);
    const start = seen.next.spec.ordinals?.start ?? 0;
    if (start === 0 || !names || partition === 0) return said;
    const low = seen.next.spec.ordinals.start;
    const all = Array.from({ length: seen.next.spec.replicas }, (_, index) => low + index)
      .filter((each) => each >= partition)
      .reverse();
    const counted = all.map((each) => `${seen.next.metadata.name}-${each}`);
    return { ...said, effect: { ...said.effect, names: counted, count: counted.length } };
  },
  'a paused Deployment rolls': both((object) => ({ ...object, spec: { ...object.spec, paused: false } })),
  'what was held back is forgotten': (seen) => {
    const said = rule(seen);
    return said.effect.does === 'perhaps' ? { ...said, effect: { ...said.effect, does: 'none', count: 0 } } : said;
  },
  'the first ordinal goes first': (seen) => {
    const said = rule(seen);
    return { ...said, effect: { ...said.effect, names: said.effect.names && [...said.effect.names].reverse() } };
  },
  'fewer pods: the lowest ordinals go': (seen) => {
    const said = rule(seen);
    const gone = said.effect.removedNames ?? [];
    const start = seen.live.spec.ordinals?.start ?? 0;
    return {
      ...said,
      effect: { ...said.effect, removedNames: gone.map((_, index) => `${seen.next.metadata.name}-${start + index}`) },
    };
  },
  'Parallel replaces all pods at once': (seen) => ({
    ...rule(seen),
    away: seen.next.spec.podManagementPolicy === 'Parallel' ? 2 : 1,
  }),
  'a DaemonSet replaces one pod': (seen) => {
    const said = rule(seen);
    return seen.next.kind === 'DaemonSet'
      ? { ...said, effect: { ...said.effect, count: Math.min(1, said.effect.count) } }
      : said;
  },
  'a ReplicaSet replaces pods': (seen) =>
    seen.next.kind === 'ReplicaSet'
      ? {
          ...rule(seen),
          effect: { ...rule(seen).effect, count: rule(seen).effect.does === 'held' ? seen.next.spec.replicas : 0 },
        }
      : rule(seen),
};

/** The rule, on changed copies of both objects. */
function both(change: (object: Json) => Json): Rule {
  return ({ live, next }) => judged(change(live), change(next));
}

/** Every pod is replaced where something differs that does not count. */
function also(seen: Seen, differs: (seen: Seen) => boolean): Said {
  const said = rule(seen);
  if (said.effect.does !== 'none' || !differs(seen)) return said;
  const count = seen.next.kind === 'DaemonSet' ? NODES : (seen.next.spec.replicas ?? 1);
  return { ...said, effect: { ...said.effect, does: 'replace', count } };
}

function onTemplate(object: Json, change: (template: Json) => Json): Json {
  return { ...object, spec: { ...object.spec, template: change(object.spec.template ?? {}) } };
}

function withTemplate(object: Json, other: Json): Json {
  return { ...object, spec: { ...object.spec, template: other.spec.template } };
}

function withStrategy(object: Json, change: (strategy: Json) => Json): Json {
  return { ...object, spec: { ...object.spec, updateStrategy: change(object.spec.updateStrategy ?? {}) } };
}

function sortedLists(value: any): any {
  if (Array.isArray(value)) return value.map(sortedLists).sort((a, b) => (text(a) < text(b) ? -1 : 1));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, sortedLists(each)]));
}

function without(value: any, left: string): any {
  if (Array.isArray(value)) return value.map((each) => without(each, left));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== left)
      .map(([key, each]) => [key, without(each, left)]),
  );
}

/** What the server holds, with quantities as somebody wrote them, marked so that they count as text. */
function asText(held: any, sent: any): any {
  if (Array.isArray(held)) return held.map((each, index) => asText(each, sent?.[index]));
  if (typeof held !== 'object' || held === null)
    return typeof sent === 'string' && sent !== held ? `text ${sent}` : held;
  return Object.fromEntries(Object.entries(held).map(([key, each]) => [key, asText(each, sent?.[key])]));
}

function text(value: unknown): string {
  return JSON.stringify(value ?? {});
}
