import { homelabApp } from '../../../charts';
import { render } from '../../../synth';
import homelab from '../../fixtures/homelab';
import type { Json } from '../cluster/client';

/** A workload to change, and where it is from. */
export interface Sample {
  readonly what: string;
  readonly object: Json;
}

/** What the homelab of tests renders, and workloads with fields that it does not render. */
export function samples(): Sample[] {
  const rendered = render(homelabApp(homelab)).map(({ file, object }): Sample => ({
    what: file,
    object: object as Json,
  }));
  const wanted = [
    /deployment\.(chat|gateway|search|web)\.yaml$/,
    /statefulset\.(cassandra-r1|mongodb)\.yaml$/,
    /daemonset\.traefik\.yaml$/,
    /job\./,
  ];
  const own = wanted
    .flatMap((name) => rendered.filter(({ what }) => name.test(what)))
    .map(withoutDisks)
    .map(withoutHooks);
  const job = own.find(({ what }) => what.includes('job.mongodb'))!;
  return [...own, { what: 'a CronJob of that Job', object: cronJob(job.object) }, ...RICH];
}

/** A trial has no disks: what a StatefulSet claims is an empty folder. */
function withoutDisks({ what, object }: Sample): Sample {
  const { volumeClaimTemplates, ...spec } = structuredClone(object.spec);
  if (!volumeClaimTemplates) return { what, object };
  spec.template.spec.volumes.unshift(
    ...volumeClaimTemplates.map(({ metadata }: Json) => ({ name: metadata.name, emptyDir: {} })),
  );
  return { what, object: { ...object, spec } };
}

/** Here nobody makes hooks again: a Job is a Job. */
function withoutHooks({ what, object }: Sample): Sample {
  const annotations = Object.entries(object.metadata.annotations ?? {}).filter(([key]) => !key.includes('/hook'));
  return {
    what,
    object: { ...object, metadata: { ...object.metadata, annotations: Object.fromEntries(annotations) } },
  };
}

function cronJob({ metadata, spec }: Json): Json {
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { ...metadata, name: 'nightly' },
    spec: { schedule: '0 3 * * *', concurrencyPolicy: 'Forbid', jobTemplate: { spec } },
  };
}

/** Fields that other people's charts write. */
const POD: Json = {
  metadata: {
    labels: { app: 'rich', tier: 'front' },
    annotations: { 'kubectl.kubernetes.io/restartedAt': '2026-01-01' },
  },
  spec: {
    hostAliases: [{ ip: '10.0.0.1', hostnames: ['a.example', 'b.example'] }],
    dnsConfig: { options: [{ name: 'ndots', value: '2' }], searches: ['a.example', 'b.example'] },
    dnsPolicy: 'ClusterFirst',
    shareProcessNamespace: false,
    tolerations: [
      { key: 'a', operator: 'Exists', effect: 'NoSchedule' },
      { key: 'b', operator: 'Equal', value: 'c', effect: 'NoExecute', tolerationSeconds: 60 },
    ],
    nodeSelector: { 'kubernetes.io/os': 'linux' },
    terminationGracePeriodSeconds: 10,
    initContainers: [
      { name: 'first', image: 'a:1', command: ['true'] },
      { name: 'sidecar', image: 'b:1', restartPolicy: 'Always', startupProbe: { exec: { command: ['true'] } } },
    ],
    containers: [
      {
        name: 'main',
        image: 'main:1.2.3',
        imagePullPolicy: 'Always',
        args: ['--one', '--two=2'],
        envFrom: [{ configMapRef: { name: 'one', optional: true } }, { secretRef: { name: 'two', optional: true } }],
        env: [
          { name: 'A', value: '1' },
          { name: 'B', value: '2Gi' },
          { name: 'C', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          { name: 'D', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
        ],
        ports: [
          { name: 'web', containerPort: 80 },
          { name: 'dns', containerPort: 53, protocol: 'UDP' },
        ],
        lifecycle: { preStop: { exec: { command: ['sleep', '1'] } } },
        livenessProbe: {
          httpGet: { path: '/', port: 'web', httpHeaders: [{ name: 'X', value: 'y' }] },
          initialDelaySeconds: 5,
        },
        readinessProbe: { grpc: { port: 80 }, successThreshold: 2 },
        resources: {
          requests: { cpu: '100m', memory: '64Mi', 'ephemeral-storage': '1Gi' },
          limits: { cpu: '1500m', memory: '1Gi' },
        },
        securityContext: { capabilities: { add: ['NET_ADMIN', 'SYS_TIME'], drop: ['ALL'] }, runAsUser: 1000 },
        volumeMounts: [
          { name: 'scratch', mountPath: '/scratch' },
          { name: 'all', mountPath: '/all', readOnly: true },
        ],
        workingDir: '/',
      },
      { name: 'second', image: 'second:1' },
    ],
    securityContext: {
      fsGroup: 1000,
      supplementalGroups: [1, 2],
      sysctls: [{ name: 'kernel.shm_rmid_forced', value: '1' }],
    },
    volumes: [
      { name: 'scratch', emptyDir: { medium: 'Memory', sizeLimit: '1Gi' } },
      {
        name: 'all',
        projected: {
          sources: [
            { configMap: { name: 'one', optional: true, items: [{ key: 'a', path: 'a' }] } },
            { secret: { name: 'two', optional: true } },
            { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
          ],
        },
      },
      { name: 'unused', configMap: { name: 'one', optional: true, defaultMode: 288 } },
    ],
  },
};

function rich(kind: string, spec: Json): Sample {
  const selector = { matchLabels: { app: 'rich' } };
  return {
    what: `a ${kind} with fields of others`,
    object: {
      apiVersion: 'apps/v1',
      kind,
      metadata: { name: `rich-${kind.toLowerCase()}`, labels: { app: 'rich' }, annotations: { note: 'a' } },
      spec: { selector, template: structuredClone(POD), ...spec },
    },
  };
}

const RICH: readonly Sample[] = [
  rich('Deployment', {
    replicas: 2,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '50%', maxUnavailable: 0 } },
  }),
  rich('StatefulSet', { replicas: 3, serviceName: 'rich' }),
  rich('DaemonSet', { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '50%' } } }),
  rich('ReplicaSet', { replicas: 2 }),
];
