import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import {
  allocatableCpu,
  allocatableMemory,
  nodes,
  systemNodes,
  type Homelab,
  type TalosMachine,
} from '../../../inventory';
import { FIELD_MANAGER as BOOTSTRAP } from '../../../scripts/secrets/live';
import { bytes, cpuQuantity, memoryQuantity, millicores } from '../../../values/quantity';
import type { Answer, Client, Json } from './client';
import { until } from './processes';

/** An object to apply, and the file that a person finds it in. */
export interface Manifest {
  readonly file: string;
  readonly object: Json;
}

export interface Secret {
  readonly name: string;
  readonly namespaces: readonly string[];
  readonly type: string;
  readonly keys: Readonly<Record<string, Json>>;
}

/** Everything in a folder that synth wrote, in the order in which Argo CD would sync it. */
export function manifestsOf(folder: string): Manifest[] {
  const files = fs
    .readdirSync(folder, { recursive: true })
    .map(String)
    .filter((file) => file.endsWith('.yaml') && file !== 'secrets.yaml');
  return inWaves(files.map((file) => ({ file, object: parse(fs.readFileSync(join(folder, file), 'utf8')) })));
}

/** By the wave of its application, then its own, then its kind. */
export function inWaves(manifests: readonly Manifest[]): Manifest[] {
  const applications = new Map(
    manifests
      .filter(({ object }) => object.kind === 'Application')
      .map(({ object }) => [object.spec.source.path.split('/').pop() as string, wave(object)]),
  );
  const folder = (file: string) => file.split('/')[0]!;
  const rank = ({ file, object }: Manifest) => [
    // A namespace is there before anything in it, as Argo CD's kinds are in order too.
    object.kind === 'Namespace' ? -1 : 0,
    applications.get(folder(file)) ?? 0,
    wave(object),
    KINDS.indexOf(object.kind) + 1 || KINDS.length + 1,
  ];
  return [...manifests].sort((a, b) => {
    const [ranksA, ranksB] = [rank(a), rank(b)];
    const index = ranksA.findIndex((value, at) => value !== ranksB[at]);
    return index >= 0 ? ranksA[index]! - ranksB[index]! : a.file < b.file ? -1 : 1;
  });
}

const KINDS = [
  'Namespace',
  'NetworkPolicy',
  'ResourceQuota',
  'LimitRange',
  'PriorityClass',
  'ServiceAccount',
  'ConfigMap',
  'StorageClass',
  'PersistentVolume',
  'ClusterRole',
  'ClusterRoleBinding',
  'Role',
  'RoleBinding',
  'Service',
  'DaemonSet',
  'Deployment',
  'StatefulSet',
  'Job',
];

function wave({ metadata }: Json): number {
  return Number(metadata.annotations?.['argocd.argoproj.io/sync-wave'] ?? 0);
}

/** Applies one after the other. @throws with the object, the server's message and the file at the first that is refused */
export async function applyAll(client: Client, manifests: readonly Manifest[]): Promise<Map<string, Answer>> {
  const answers = new Map<string, Answer>();
  for (const { file, object } of manifests) {
    const answer = await client.apply(object);
    if (answer.status >= 300)
      throw new Error(`${object.kind} ${object.metadata.name} (${file}) is refused: ${answer.body.message}`);
    answers.set(file, answer);
  }
  return answers;
}

/** The definitions that dist/ needs besides Kubernetes' own: those of Argo CD, of the version that homelab.ts pins. */
export async function applyDefinitions(client: Client, folder = join(__dirname, 'crds')): Promise<void> {
  for (const file of fs.readdirSync(folder)) {
    const object = parse(fs.readFileSync(join(folder, file), 'utf8'));
    const answer = await client.apply(object);
    if (answer.status >= 300) throw new Error(`${file}: ${answer.body.message}`);
    const { group, names, versions } = object.spec;
    await until(`the API server serves ${names.kind}`, 30, async () => {
      const { body } = await client.request('GET', `/apis/${group}/${versions[0].name}`);
      return body.resources?.some(({ kind }: Json) => kind === names.kind);
    });
  }
}

/** The machines of a homelab as Kubernetes sees them, and what runs on them besides our own. */
export async function applyNodes(client: Client, homelab: Homelab): Promise<void> {
  for (const [name, machine] of nodes(homelab)) await applyNode(client, homelab, name, machine);
  for (const pod of systemPods(homelab)) await client.ask('POST', '/api/v1/namespaces/kube-system/pods', pod);
}

/** One machine as its kubelet registers it. */
export async function applyNode(client: Client, homelab: Homelab, name: string, machine: TalosMachine): Promise<void> {
  const isControlPlane = machine.role === 'control-plane';
  const capacity = { cpu: String(machine.cores), pods: '110', memory: memoryQuantity(bytes(machine.memory)) };
  const node = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
        ...(isControlPlane && { 'node-role.kubernetes.io/control-plane': '' }),
        ...machine.labels,
      },
    },
    spec:
      isControlPlane && homelab.talos.scheduleOnControlPlanes !== true
        ? { taints: [{ key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }] }
        : {},
  };
  const { status: answer, body } = await client.request('POST', '/api/v1/nodes', node);
  if (answer === 409) return;
  if (answer >= 300) throw new Error(`node ${name}: ${answer} ${body.message}`);
  const status = {
    capacity,
    allocatable: {
      ...capacity,
      cpu: `${allocatableCpu(machine)}m`,
      memory: String(allocatableMemory(homelab, machine)),
    },
    addresses: [
      { type: 'InternalIP', address: machine.address },
      { type: 'Hostname', address: name },
    ],
  };
  await client.ask('PATCH', `/api/v1/nodes/${name}/status`, { status }, 'application/merge-patch+json');
}

/**
 * Pods with the requests of each workload that the inventory names besides ours, bound to their node. Those of any node are on
 * every node, as the budget counts them.
 */
function systemPods(homelab: Homelab): Json[] {
  return Object.entries(homelab.system).flatMap(([workload, { on, pods = 1, containers }]) =>
    systemNodes(homelab, on).flatMap((nodeName) =>
      Array.from({ length: pods }, (_, index) => ({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: `${workload}-${nodeName}-${index}`,
          labels: workload === 'coredns' ? { 'k8s-app': 'kube-dns' } : {},
        },
        spec: {
          nodeName,
          automountServiceAccountToken: false,
          containers: Object.entries(containers).map(([name, { memory, cpu }]) => ({
            name,
            image: 'system',
            resources: { requests: { memory: memoryQuantity(bytes(memory)), cpu: cpuQuantity(millicores(cpu)) } },
          })),
          tolerations: [{ operator: 'Exists' }],
        },
      })),
    ),
  );
}

/** Every secret that a list names, with values that mean nothing. */
export async function applySecrets(client: Client, secrets: readonly Secret[]): Promise<void> {
  for (const { name, namespaces, type, keys } of secrets)
    for (const namespace of namespaces) {
      const stringData = Object.fromEntries(
        Object.entries(keys).map(([key, source]) => [
          key,
          source.value ?? (key === '.dockerconfigjson' ? '{"auths":{}}' : randomBytes(16).toString('hex')),
        ]),
      );
      const answer = await client.apply({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name, namespace, labels: { 'app.kubernetes.io/managed-by': BOOTSTRAP } },
        type,
        stringData,
      });
      if (answer.status >= 300) throw new Error(`secret ${namespace}/${name}: ${answer.body.message}`);
    }
}

export function secretsOf(folder: string): Secret[] {
  return parse(fs.readFileSync(join(folder, 'secrets.yaml'), 'utf8')).secrets;
}

/**
 * What kwok does not look at, as a kubelet would: every Secret, ConfigMap, claim and service account that a pod refers to
 * must be there, or its pod would wait for ever.
 * @returns a sentence for each that is missing
 */
export async function missingReferences(client: Client): Promise<string[]> {
  const known = new Set<string>();
  for (const kind of ['Secret', 'ConfigMap', 'PersistentVolumeClaim', 'ServiceAccount'])
    for (const { metadata } of await client.list('v1', kind))
      known.add(`${kind} ${metadata.namespace}/${metadata.name}`);
  const missing = new Set<string>();
  for (const pod of await client.list('v1', 'Pod')) {
    const { namespace, name } = pod.metadata;
    for (const [kind, wanted] of references(pod.spec))
      if (!known.has(`${kind} ${namespace}/${wanted}`))
        missing.add(`pod ${namespace}/${name} refers to ${kind} ${wanted}, which is not there`);
  }
  return [...missing].sort();
}

/** What a pod needs to be there before it starts. */
export function references(spec: Json): [kind: string, name: string][] {
  const found: [string, string | undefined][] = [['ServiceAccount', spec.serviceAccountName]];
  for (const volume of spec.volumes ?? []) {
    if (!volume.secret?.optional) found.push(['Secret', volume.secret?.secretName]);
    if (!volume.configMap?.optional) found.push(['ConfigMap', volume.configMap?.name]);
    found.push(['PersistentVolumeClaim', volume.persistentVolumeClaim?.claimName]);
    for (const { secret, configMap } of volume.projected?.sources ?? []) {
      found.push(['Secret', secret?.name]);
      // Every namespace gets the cluster's certificate by itself.
      if (configMap?.name !== 'kube-root-ca.crt') found.push(['ConfigMap', configMap?.name]);
    }
  }
  for (const { name } of spec.imagePullSecrets ?? []) found.push(['Secret', name]);
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    for (const { valueFrom } of container.env ?? []) {
      found.push(['Secret', valueFrom?.secretKeyRef?.name], ['ConfigMap', valueFrom?.configMapKeyRef?.name]);
    }
    for (const { secretRef, configMapRef } of container.envFrom ?? [])
      found.push(['Secret', secretRef?.name], ['ConfigMap', configMapRef?.name]);
  }
  return found.filter((entry): entry is [string, string] => entry[1] !== undefined);
}
