import * as fs from 'node:fs';
import { join } from 'node:path';
import { allocatableMemory, nodes, workers, type Homelab } from '../../../inventory';
import { parseQuantity } from '../../../values/quantity';
import type { Tally } from '../tally';
import { FIELD_MANAGER, type Client, type Json } from './client';
import { differences } from './compare';
import { applyAll, missingReferences, type Manifest } from './deploy';
import { until } from './processes';

/** What must hold of a homelab's manifests on a real API server: one function a point. */
export interface Ground {
  readonly client: Client;
  readonly tally: Tally;
  readonly homelab: Homelab;
  readonly manifests: readonly Manifest[];
}

export const WORKLOADS = ['Deployment', 'StatefulSet', 'DaemonSet'];

const nameOf = ({ metadata }: Json) => `${metadata.namespace ? `${metadata.namespace}/` : ''}${metadata.name}`;

/** 1. Accepted by server-side apply, strictly, in wave order; warnings are those that were looked at and written down. */
export async function accepted({ client, tally, manifests }: Ground): Promise<void> {
  const answers = await applyAll(client, manifests);
  const warnings = [...answers].flatMap(([file, { warnings: said }]) => said.map((text) => `${file}: ${text}`));
  tally.check('the API server warns of nothing', warnings.length === 0, warnings.join('\n'));
  tally.check('every file was applied', answers.size === manifests.length);
}

/** 2. Applying again changes nothing, and what is read is what was sent. */
export async function idempotent({ client, tally, manifests }: Ground): Promise<void> {
  const before = new Map<string, Json>();
  for (const { file, object } of manifests) before.set(file, (await client.get(object))!);
  await applyAll(client, manifests);
  for (const { file, object } of manifests) {
    const now = (await client.get(object))!;
    const was = before.get(file)!;
    const ours = ({ metadata }: Json) =>
      JSON.stringify(metadata.managedFields.filter(({ manager }: Json) => manager === FIELD_MANAGER));
    tally.check(`${file}: applying it again moves no generation`, now.metadata.generation === was.metadata.generation);
    tally.check(`${file}: applying it again moves no field that we manage`, ours(now) === ours(was));
    const different = differences(object, now);
    tally.check(`${file}: what is read is what was sent`, different.length === 0, different.join('\n'));
  }
}

/** Waits until no pod waits. @throws naming those that do, with what the scheduler says */
export async function allRunning(client: Client, seconds = 60): Promise<Json[]> {
  const waiting = async () =>
    (await client.list('v1', 'Pod')).filter(({ status }) => !['Running', 'Succeeded'].includes(status.phase));
  const undone = async () => {
    const all: Json[] = [];
    for (const kind of WORKLOADS)
      all.push(...(await client.list('apps/v1', kind)).filter((workload) => !isDone({ ...workload, kind })));
    return all;
  };
  await until(
    'every pod runs',
    seconds,
    async () => (await undone()).length === 0 && (await waiting()).length === 0,
    async () => {
      const pods = (await waiting()).map(
        (pod) =>
          `${nameOf(pod)}: ${(pod.status.conditions ?? []).map(({ message }: Json) => message).join('; ') || pod.status.phase}`,
      );
      const workloads = (await undone()).map((workload) => `${nameOf(workload)}: ${JSON.stringify(workload.status)}`);
      return [...pods, ...workloads, ...(await failures(client))].join('\n');
    },
  );
  return client.list('v1', 'Pod');
}

/** What controllers could not do, as they say in events. */
export async function failures(client: Client): Promise<string[]> {
  const events = await client.list('v1', 'Event');
  return events
    .filter(({ type, reason }) => type === 'Warning' && !['FailedToUpdateEndpoint'].includes(reason))
    .map(
      ({ involvedObject, reason, message }) => `${involvedObject.kind} ${involvedObject.name}: ${reason}: ${message}`,
    );
}

function isDone({ kind, spec, status = {}, metadata }: Json): boolean {
  if (status.observedGeneration !== metadata.generation) return false;
  if (kind === 'DaemonSet')
    return (
      status.desiredNumberScheduled > 0 &&
      status.updatedNumberScheduled === status.desiredNumberScheduled &&
      status.numberAvailable === status.desiredNumberScheduled
    );
  const wanted = spec.replicas ?? 1;
  return (
    (status.updatedReplicas ?? 0) === wanted &&
    (status.readyReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted
  );
}

/** 3. Every pod runs where the inventory says, and every claim is bound to the volume of its own replica. */
export async function placed({ client, tally, homelab }: Ground): Promise<void> {
  const pods = await allRunning(client);
  const instance = ({ metadata }: Json) => metadata.labels?.['app.kubernetes.io/instance'];
  for (const [name, database] of Object.entries(homelab.databases)) {
    const own = pods.filter((pod) => instance(pod) === name);
    const allowed = nodes(homelab)
      .filter(([, { labels }]) => labels?.[database.nodeLabel.key] === database.nodeLabel.value)
      .map(([node]) => node);
    const wrong = own.filter(({ spec }) => !allowed.includes(spec.nodeName));
    tally.check(
      `${name}: ${own.length} pods, all on ${allowed.join(', ')}`,
      own.length > 0 && wrong.length === 0,
      wrong.map((pod) => `${nameOf(pod)} on ${pod.spec.nodeName}`).join('\n'),
    );
  }
  const preferred = workers(homelab)
    .filter(
      ([, { labels }]) =>
        !homelab.preferredNodes || labels?.[homelab.preferredNodes.key] === homelab.preferredNodes.value,
    )
    .map(([node]) => node);
  for (const [name, { kind }] of Object.entries({ ...homelab.services, ...homelab.webApps })) {
    // A job has a pod only while it runs.
    if (kind === 'job') continue;
    const own = pods.filter((pod) => instance(pod) === name);
    tally.check(
      `${name} runs on ${preferred.join(', ')}`,
      own.length > 0 && own.every(({ spec }) => preferred.includes(spec.nodeName)),
      own.map(({ spec }) => spec.nodeName).join(),
    );
  }
  await claimsBound({ client, tally });
  const missing = await missingReferences(client);
  tally.check(
    'every Secret, ConfigMap, claim and account that a pod refers to is there',
    missing.length === 0,
    missing.join('\n'),
  );
}

export async function claimsBound({ client, tally }: Pick<Ground, 'client' | 'tally'>): Promise<void> {
  for (const { metadata, spec, status } of await client.list('v1', 'PersistentVolumeClaim')) {
    const own = `${metadata.namespace}-${metadata.name}`;
    tally.check(
      `claim ${own} is bound to its own volume`,
      status.phase === 'Bound' && spec.volumeName === own,
      `${status.phase} ${spec.volumeName}`,
    );
  }
}

/** 5. What clients are told leads to running pods, and to those that are meant. */
export async function reachable({ client, tally, homelab }: Ground): Promise<void> {
  const services = await client.list('v1', 'Service');
  const pods = await client.list('v1', 'Pod');
  const find = (namespace: string, name: string) =>
    services.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
  const running = (namespace: string, selector: Json) =>
    pods.filter(
      ({ metadata, status }) =>
        metadata.namespace === namespace &&
        status.phase === 'Running' &&
        Object.entries(selector).every(([key, value]) => metadata.labels?.[key] === value),
    );
  let told = 0;
  for (const pod of pods.filter(({ metadata }) => metadata.namespace !== 'kube-system'))
    for (const { name, value } of pod.spec.containers.flatMap(({ env = [] }: Json) => env))
      for (const [host, service, namespace] of hostsIn(name, value, pod.metadata.namespace)) {
        told++;
        // A pod of a headless Service has a name of its own below it.
        const [pod_, ...rest] = service.split('.');
        const found = rest.length > 0 ? find(namespace, rest[0]!) : find(namespace, service);
        const podFound =
          rest.length === 0 || pods.some(({ metadata }) => metadata.namespace === namespace && metadata.name === pod_);
        tally.check(`${nameOf(pod)} is told ${host}, which is there`, found !== undefined && podFound);
      }
  const clients = Object.values({ ...homelab.services, ...homelab.webApps }).filter(({ kind }) => kind !== 'job');
  // A way to the internet or to an address is told no name of the cluster.
  const connections = clients
    .flatMap(({ connects }) => connects)
    .filter((to) => !('internet' in to || 'address' in to));
  tally.check('clients are told where things are', told >= connections.length, `${told} names`);
  for (const service of services.filter(
    ({ spec, metadata }) => spec.selector && metadata.namespace !== 'kube-system',
  )) {
    const behind = running(service.metadata.namespace, service.spec.selector);
    const instance = service.spec.selector['app.kubernetes.io/instance'];
    tally.check(
      `service ${nameOf(service)} selects running pods, of ${instance} alone`,
      behind.length > 0 && behind.every(({ metadata }) => metadata.labels['app.kubernetes.io/instance'] === instance),
    );
    for (const { targetPort } of service.spec.ports ?? []) {
      const without = behind.filter(
        ({ spec }) =>
          !spec.containers.some(({ ports = [] }: Json) =>
            ports.some(({ name, containerPort }: Json) => name === targetPort || containerPort === targetPort),
          ),
      );
      tally.check(
        `service ${nameOf(service)}: its pods declare port ${targetPort}`,
        without.length === 0,
        without.map(nameOf).join(),
      );
    }
  }
  const racks = await client.list('apps/v1', 'StatefulSet');
  for (const set of racks) {
    const selected = running(set.metadata.namespace, set.spec.selector.matchLabels);
    tally.check(
      `${nameOf(set)} selects its own pods and no other's`,
      selected.length === (set.spec.replicas ?? 1) &&
        selected.every(({ metadata }) => metadata.name.startsWith(`${set.metadata.name}-`)),
      selected.map(nameOf).join(),
    );
  }
  if (!homelab.llm) return;
  const { service, machine } = homelab.llm;
  const slices = await client.list('discovery.k8s.io/v1', 'EndpointSlice');
  const llm = slices.filter(({ metadata }) => metadata.labels['kubernetes.io/service-name'] === service);
  const address = homelab.machines[machine]!.address;
  tally.check(
    `${service} has a ready endpoint with the address of ${machine}`,
    llm.some(({ endpoints }) =>
      endpoints.some((endpoint: Json) => endpoint.conditions.ready && endpoint.addresses.includes(address)),
    ),
    JSON.stringify(llm.map(({ endpoints }) => endpoints)),
  );
}

/** Names of Services in the value of a variable, as a pod's resolver would find them. */
function hostsIn(
  variable: string,
  value: string | undefined,
  namespace: string,
): [host: string, service: string, namespace: string][] {
  if (value === undefined) return [];
  const full = [...value.matchAll(/([a-z0-9.-]+?)\.([a-z0-9-]+)\.svc\.cluster\.local/g)].map(
    ([host, service, where]): [string, string, string] => [host!, service!, where!],
  );
  if (full.length > 0) return full;
  // A plain name resolves in the pod's own namespace, by its search path.
  return /_HOST$/.test(variable) && /^[a-z][a-z0-9-]*$/.test(value) ? [[value, value, namespace]] : [];
}

/** 6. Quotas and limit ranges have room for one rolling update of every workload at once. */
export async function roomToRoll({ client, tally }: Ground): Promise<void> {
  const stamp = { spec: { template: { metadata: { annotations: { 'test/rolled': '1' } } } } };
  const workloads: Json[] = [];
  for (const kind of WORKLOADS)
    workloads.push(
      ...(await client.list('apps/v1', kind)).map((workload) => ({ ...workload, apiVersion: 'apps/v1', kind })),
    );
  await Promise.all(
    workloads.map(async (workload) =>
      client.ask(
        'PATCH',
        `${await client.pathOf(workload)}?fieldManager=roll`,
        stamp,
        'application/strategic-merge-patch+json',
      ),
    ),
  );
  const rolled = await allRunning(client, 120).then(
    () => '',
    (error: Error) => error.message,
  );
  tally.check(`all ${workloads.length} workloads roll at once`, rolled === '', rolled);
  const refused = (await failures(client)).filter((failure) => /quota|LimitRange|exceeded/.test(failure));
  // A pod that another replaces counts until the quota's controller has seen it go; StatefulSets and DaemonSets try again.
  const surging = refused.filter((failure) => !/^(StatefulSet|DaemonSet) /.test(failure));
  tally.check(
    'no quota and no limit range refuses the surge of a Deployment',
    surging.length === 0,
    surging.join('\n'),
  );
  console.log(`  quotas held up ${refused.length - surging.length} replacements of pods for a moment`);
}

/** 7. What each service account may do is exactly a committed list. */
export async function rights({ client, tally, manifests }: Ground, file: string): Promise<void> {
  const accounts = manifests.filter(({ object }) => object.kind === 'ServiceAccount').map(({ object }) => object);
  const namespaces = manifests
    .filter(({ object }) => object.kind === 'Namespace')
    .map(({ object }) => object.metadata.name);
  const found: Record<string, string[]> = {};
  for (const account of accounts) {
    const who = client.as(`system:serviceaccount:${account.metadata.namespace}:${account.metadata.name}`);
    const lines = new Set<string>();
    for (const namespace of [...namespaces, 'kube-system', 'default']) {
      const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace } };
      const { status } = await who.ask('POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', review);
      for (const { verbs, apiGroups = [], resources = [], resourceNames = [] } of status.resourceRules) {
        // What everybody may: ask about oneself.
        if (apiGroups.every((group: string) => /^(authorization|authentication)\.k8s\.io$/.test(group))) continue;
        for (const resource of resources)
          lines.add(
            `${namespace}: ${verbs.join(',')} ${resource}${apiGroups[0] ? `.${apiGroups[0]}` : ''}${resourceNames.length ? ` ${resourceNames.join()}` : ''}`,
          );
      }
    }
    if (lines.size > 0) found[nameOf(account)] = [...lines].sort();
  }
  const text = `${JSON.stringify(found, null, 2)}\n`;
  if (!fs.existsSync(file) && !process.env.CI) fs.writeFileSync(file, text);
  tally.check(
    `the rights of ${accounts.length} service accounts are those of ${file}`,
    fs.existsSync(file) && JSON.stringify(JSON.parse(fs.readFileSync(file, 'utf8'))) === JSON.stringify(found),
    text,
  );
}

/** What the scheduler sees of each node: requests of its pods and what is left. */
export async function load({ client, homelab }: Ground): Promise<string[]> {
  const pods = await client.list('v1', 'Pod');
  return nodes(homelab).map(([name, machine]) => {
    const here = pods.filter(({ spec, status }) => spec.nodeName === name && status.phase === 'Running');
    const memory = here.reduce(
      (sum, { spec }) =>
        sum +
        spec.containers.reduce(
          (all: number, { resources }: Json) => all + parseQuantity(resources?.requests?.memory ?? 0),
          0,
        ),
      0,
    );
    const mib = (value: number) => Math.round(value / 1024 ** 2);
    return `${name}: ${here.length} pods, ${mib(memory)} of ${mib(allocatableMemory(homelab, machine))} MiB requested`;
  });
}

export const RIGHTS = join(__dirname, 'rights.json');
