import type { Homelab } from '../../../inventory';
import { homelabApp } from '../../../charts';
import { defineHomelab } from '../../../inventory';
import { render } from '../../../synth';
import { changed } from '../../homelab';
import type { Client, Json } from './client';
import { applyAll, inWaves, type Manifest } from './deploy';
import { allRunning, type Ground } from './points';
import { until } from './processes';

/** A change that an owner makes, and what it may touch: nothing else is changed, and nothing is made anew. */
interface Change {
  readonly what: string;
  readonly change: (homelab: any) => void;
  /** Objects whose generation moves, as `Kind name`. */
  readonly changes: readonly RegExp[];
  /** Names of pods that are replaced; all others stay as they are. */
  readonly replaces: RegExp;
}

/** 4. A changed image, value, memory and number of replicas rolls or scales as meant. */
export async function changesRoll(ground: Ground): Promise<void> {
  const { client, tally, homelab } = ground;
  const service = Object.keys(homelab.services)[Math.floor(Object.keys(homelab.services).length / 2)]!;
  const cassandra = Object.entries(homelab.databases).find(([, { kind }]) => kind === 'cassandra')?.[0];
  const own = new RegExp(`^Deployment ${service}$`);
  const quota = /^ResourceQuota quota$/;
  const changes: Change[] = [
    { what: 'replicas', change: (h) => (h.services[service].replicas = 3), changes: [own, quota], replaces: /^$/ },
    {
      what: 'replicas back',
      change: (h) => (h.services[service].replicas = 1),
      changes: [own, quota],
      replaces: new RegExp(`^${service}-`),
    },
    {
      what: 'image',
      change: (h) => Object.assign(h.services[service], { image: 'ghcr.io/owner/x:1.0.1', port: 9898 }),
      changes: [own],
      replaces: new RegExp(`^${service}-`),
    },
    {
      what: 'a variable',
      change: (h) => (h.services[service].env = { LOG_LEVEL: 'debug' }),
      changes: [own],
      replaces: new RegExp(`^${service}-`),
    },
    ...(cassandra === undefined
      ? []
      : [
          {
            what: 'memory of a database',
            change: (h: any) =>
              (h.databases[cassandra].memory = h.databases[cassandra].memory.constructor.mebibytes(4608)),
            changes: [new RegExp(`^StatefulSet ${cassandra}-`), quota],
            replaces: new RegExp(`^${cassandra}-`),
          },
        ]),
  ];
  let last = ground.manifests;
  for (const [index, { what, changes: expected, replaces }] of changes.entries()) {
    const before = await picture(client);
    // Each on top of those before it, as commits are.
    const manifests = renderedManifests(homelab, (h) => changes.slice(0, index + 1).forEach(({ change }) => change(h)));
    await applyAll(client, manifests);
    await prune(client, last, manifests);
    last = manifests;
    await allRunning(client, 90);
    const now = await picture(client);
    const moved = [...before]
      .filter(([key, was]) => now.get(key)?.generation !== was.generation && now.has(key))
      .map(([key]) => key);
    const anew = [...before].filter(([key, was]) => now.has(key) && now.get(key)!.uid !== was.uid).map(([key]) => key);
    const objects = moved.filter((key) => !key.startsWith('Pod '));
    const wrong = objects.filter((key) => !expected.some((each) => each.test(key.replace(/ \S+\//, ' '))));
    tally.check(
      `${what}: changes what it means to and nothing else`,
      objects.length > 0 && wrong.length === 0,
      wrong.join('\n') || 'nothing changed',
    );
    const goneOrAnew = [...before.keys()].filter(
      (key) => key.startsWith('Pod ') && (now.get(key)?.uid ?? '') !== before.get(key)!.uid,
    );
    const replaced = goneOrAnew.filter(
      (key) => !replaces.test(key.replace(/^Pod \S+\//, '')) && !/-(schema|users)-/.test(key),
    );
    tally.check(`${what}: replaces the pods that it must and no others`, replaced.length === 0, replaced.join('\n'));
    const remade = anew.filter((key) => !key.startsWith('Pod '));
    tally.check(`${what}: makes no object anew`, remade.length === 0, remade.join('\n'));
    console.log(`  ${what}: ${objects.length} objects changed, ${goneOrAnew.length} pods replaced or gone`);
  }
  await applyAll(client, ground.manifests);
  await prune(client, last, ground.manifests);
  await allRunning(client, 90);
}

export function renderedManifests(homelab: Homelab, change: (homelab: any) => void = () => undefined): Manifest[] {
  const next = defineHomelab(changed(change, homelab));
  return inWaves(render(homelabApp(next)).map(({ file, object }) => ({ file, object: object as Json })));
}

/** Removes what was applied and is no longer rendered, as Argo CD prunes. */
async function prune(client: Client, before: readonly Manifest[], after: readonly Manifest[]): Promise<void> {
  const kept = new Set(after.map(({ file }) => file));
  for (const { file, object } of before)
    if (!kept.has(file)) await client.delete(object, { propagationPolicy: 'Background' });
}

const PICTURED: readonly (readonly [string, string])[] = [
  ['apps/v1', 'Deployment'],
  ['apps/v1', 'StatefulSet'],
  ['apps/v1', 'DaemonSet'],
  ['v1', 'Service'],
  ['v1', 'PersistentVolume'],
  ['v1', 'PersistentVolumeClaim'],
  ['v1', 'ResourceQuota'],
  ['networking.k8s.io/v1', 'NetworkPolicy'],
  ['v1', 'Pod'],
];

async function picture(client: Client): Promise<Map<string, { uid: string; generation: string }>> {
  const all = new Map<string, { uid: string; generation: string }>();
  for (const [apiVersion, kind] of PICTURED)
    for (const { metadata, spec } of await client.list(apiVersion, kind))
      all.set(`${kind} ${metadata.namespace ?? ''}/${metadata.name}`, {
        uid: metadata.uid,
        // Kinds without a generation are judged by what they say; a claim's and a volume's binding is not ours to judge here.
        generation: String(metadata.generation ?? (kind === 'PersistentVolume' ? '' : JSON.stringify(spec))),
      });
  return all;
}

/**
 * 4, continued. Draining the node of the services moves them; a database whose replicas live there gives one disruption and
 * then refuses, and the owner is told what to do instead.
 */
export async function drain({ client, tally, homelab }: Ground): Promise<void> {
  const [node] = Object.entries(homelab.machines).find(
    ([, machine]) =>
      machine.kind === 'talos' && machine.labels?.[homelab.preferredNodes!.key] === homelab.preferredNodes!.value,
  )!;
  const cordon = (unschedulable: boolean) =>
    client.ask('PATCH', `/api/v1/nodes/${node}`, { spec: { unschedulable } }, 'application/merge-patch+json');
  await cordon(true);
  const here = (await client.list('v1', 'Pod')).filter(
    ({ spec, metadata, status }) =>
      spec.nodeName === node &&
      status.phase === 'Running' &&
      metadata.namespace !== 'kube-system' &&
      !metadata.ownerReferences?.some(({ kind }: Json) => kind === 'DaemonSet'),
  );
  const refused: string[] = [];
  const disrupted: string[] = [];
  const gaps: string[] = [];
  for (const pod of here) {
    const { namespace, name, labels } = pod.metadata;
    const begin = Date.now();
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } };
    const { status } = await client.request('POST', `/api/v1/namespaces/${namespace}/pods/${name}/eviction`, eviction);
    const isDatabase = namespace in homelab.databases;
    if (status === 429) refused.push(name);
    else if (isDatabase) {
      disrupted.push(name);
      // The budget's controller has to see it before the next is asked for.
      await until('the disruption is counted', 10, async () =>
        (await client.list('policy/v1', 'PodDisruptionBudget', namespace)).every(
          ({ status: { disruptionsAllowed } }) => disruptionsAllowed === 0,
        ),
      );
    } else {
      const selector = (each: Json) =>
        each.metadata.labels?.['app.kubernetes.io/instance'] === labels['app.kubernetes.io/instance'];
      await until(`${name} runs elsewhere`, 30, async () =>
        (await client.list('v1', 'Pod', namespace)).some(
          (each) =>
            selector(each) &&
            each.metadata.uid !== pod.metadata.uid &&
            each.status.phase === 'Running' &&
            each.spec.nodeName !== node,
        ),
      );
      const probe = pod.spec.containers[0].startupProbe;
      const allowance = probe.periodSeconds * probe.failureThreshold;
      gaps.push(
        `${labels['app.kubernetes.io/instance']} ${((Date.now() - begin) / 1000).toFixed(1)} s + up to ${allowance} s`,
      );
    }
  }
  console.log(
    `  gap of each service while ${node} is drained (scheduling, and what its probes allow for the start):\n    ${gaps.join(', ')}`,
  );
  tally.check(
    `all services left ${node}`,
    gaps.length === Object.keys(homelab.services).length + Object.keys(homelab.webApps).length,
    gaps.join('\n'),
  );
  const databases = new Set(
    here.map(({ metadata }) => metadata.namespace).filter((namespace) => namespace in homelab.databases),
  );
  tally.check(
    'a database with all its replicas there gives exactly one disruption and then refuses',
    databases.size > 0 && disrupted.length === databases.size && refused.length > 0,
    `disrupted ${disrupted.join()}; refused ${refused.join()}`,
  );
  const pending = (await client.list('v1', 'Pod'))
    .filter(({ status }) => status.phase === 'Pending')
    .map(({ metadata }) => metadata.name);
  tally.check(
    'what stays Pending is that replica and nothing else',
    pending.join() === disrupted.join(),
    pending.join(),
  );
  console.log(`  stays Pending: ${pending.join()}; refused: ${refused.join()}`);
  console.log(
    `  Do not wait for this drain: ${refused.join(' and ')} can run on no other node. Uncordon ${node}, flush the database, reboot the node without draining it, and wait for its quorum.`,
  );
  await cordon(false);
  await allRunning(client, 60);
}
