import { clientsOf } from '../clients';
import type { Manifest } from '../objects';
import type { State } from '../step';
import { workloads, type Workload } from '../workloads';

/** The workloads of nodes by the rendered objects, and their clients. */
export interface Load {
  readonly pods: readonly string[];
  readonly clients: readonly string[];
}

/** Pods whose volumes are on one of the nodes, and pods that can only run there. */
export function loadOf(state: State, nodes: ReadonlyMap<string, Readonly<Record<string, string>>>): Load {
  const claims = claimsOn(state, nodes);
  const found = workloads(state).all.map((workload) => ({ workload, pods: podsOn(workload, claims, nodes) }));
  const here = found.filter(({ pods }) => pods.length > 0);
  return {
    pods: here.flatMap(({ pods }) => pods),
    clients: [...new Set(here.flatMap(({ workload }) => clientsOf(state, workload)))].sort(),
  };
}

/** Workloads that may reach an address outside of the cluster. */
export function clientsOfAddresses(state: State, addresses: readonly string[]): string[] {
  const blocks = new Set(addresses.map((address) => `${address}/32`));
  const policies = state.objects
    .map(({ object }) => object)
    .filter(
      ({ kind, spec }) =>
        kind === 'NetworkPolicy' && (spec.egress ?? []).some((rule: Manifest) => leadsTo(rule, blocks)),
    );
  const names = policies.flatMap(({ metadata, spec }) =>
    workloads(state)
      .select(metadata.namespace ?? 'default', spec.podSelector)
      .map(({ name }) => name),
  );
  return [...new Set(names)].sort();
}

function leadsTo({ to = [] }: Manifest, blocks: ReadonlySet<string>): boolean {
  return to.some(({ ipBlock }: Manifest) => blocks.has(ipBlock?.cidr));
}

type Nodes = ReadonlyMap<string, Readonly<Record<string, string>>>;

/** NAMESPACE/NAME of claims whose volume is tied to one of the nodes. */
function claimsOn(state: State, nodes: Nodes): Set<string> {
  return new Set(
    state.objects
      .map(({ object }) => object)
      .filter(
        ({ kind, spec }) => kind === 'PersistentVolume' && spec.claimRef && isOn(spec.nodeAffinity?.required, nodes),
      )
      .map(({ spec }) => `${spec.claimRef.namespace}/${spec.claimRef.name}`),
  );
}

function podsOn(
  { kind, name, namespace, podSpec, placed }: Workload,
  claims: ReadonlySet<string>,
  nodes: Nodes,
): string[] {
  const { spec, metadata } = placed.object;
  const templates: readonly Manifest[] = spec.volumeClaimTemplates ?? [];
  if (kind === 'StatefulSet' && templates.length > 0)
    return Array.from({ length: spec.replicas ?? 1 }, (_, index) => `${metadata.name}-${index}`)
      .filter((pod) => templates.some((claim) => claims.has(`${namespace}/${claim.metadata.name}-${pod}`)))
      .map((pod) => `${namespace}/${pod}`);
  const asked = podSpec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const selector = podSpec.nodeSelector as Readonly<Record<string, string>> | undefined;
  const bound = asked !== undefined || selector !== undefined || kind === 'DaemonSet';
  const fits = [...nodes].some(
    ([, labels]) =>
      Object.entries(selector ?? {}).every(([key, value]) => labels[key] === value) &&
      (asked === undefined || isOn(asked, new Map([['', labels]]))),
  );
  return bound && fits && kind !== 'Job' && kind !== 'CronJob' ? [name] : [];
}

function isOn(selector: Manifest | undefined, nodes: Nodes): boolean {
  const terms: readonly Manifest[] = selector?.nodeSelectorTerms ?? [];
  return [...nodes.values()].some((labels) =>
    terms.some(({ matchExpressions = [] }) =>
      matchExpressions.every(({ key, operator, values = [] }: Manifest) => {
        if (operator === 'In') return values.includes(labels[key]);
        if (operator === 'NotIn') return !values.includes(labels[key]);
        return operator === 'Exists' ? key in labels : !(key in labels);
      }),
    ),
  );
}
