import type { Json } from '../cluster/client';
import type { Base } from './bases';
import { copy, type Edit } from './mutations';

/** A change that is written down because chance seldom draws it: it shows a rule, or it was an incident somewhere. */
interface Case {
  /** Kind and name of a sample. */
  readonly sample: string;
  readonly what: string;
  readonly path: string;
  readonly change: (object: Json) => void;
}

/** The changes of this list that start from these bases. */
export function pairCases(all: readonly Base[]): { base: Base; edits: Edit[] }[] {
  return CASES.map(({ sample, what, path, change }) => {
    const base = all.find(({ from }) => from === `samples.yaml: ${sample}`);
    if (!base) throw new Error(`samples.yaml has no ${sample}, from which the case "${what}" starts`);
    return { base, edits: [{ what, pattern: path, path: path.split('.'), apply: change }] };
  });
}

const HANDLERS: readonly Json[] = [
  { exec: { command: ['true'] } },
  { httpGet: { port: 'http' } },
  { tcpSocket: { port: 8080 } },
  { grpc: { port: 9090 } },
];

/** From each handler of a probe to each other: two at once are not allowed, so the old one has to go. */
function handlers(): Case[] {
  return HANDLERS.flatMap((from, index) =>
    HANDLERS.filter((to) => to !== from).map((to) => {
      const [was, is] = [Object.keys(from)[0]!, Object.keys(to)[0]!];
      return {
        sample: `Deployment probed-by-${was}`,
        what: `the probes of handler ${index} become ${is}`,
        path: 'spec.template.spec.containers',
        change: ({ spec }) => {
          for (const container of spec.template.spec.containers)
            for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
              Reflect.deleteProperty(container[probe], was);
              Object.assign(container[probe], copy(to));
            }
        },
      } satisfies Case;
    }),
  );
}

/** A field that is left out: the server keeps what it has, or goes back to what it fills in. */
function leftOut(sample: string, ...paths: readonly string[]): Case[] {
  return paths.map((path) => ({
    sample,
    what: 'left out',
    path,
    change: (object) => {
      const names = path.split('.');
      const holder = names.slice(0, -1).reduce((found, name) => found[name], object);
      Reflect.deleteProperty(holder, names.at(-1)!);
    },
  }));
}

function set(sample: string, path: string, value: unknown): Case {
  return {
    sample,
    what: `set to ${JSON.stringify(value)}`,
    path,
    change: (object) => {
      const names = path.split('.');
      names.slice(0, -1).reduce((found, name) => (found[name] ??= {}), object)[names.at(-1)!] = copy(value);
    },
  };
}

const CASES: readonly Case[] = [
  ...handlers(),
  ...leftOut('Service headless', 'spec.clusterIP', 'spec.publishNotReadyAddresses', 'spec.selector'),
  ...leftOut('Service fixed', 'spec.clusterIP', 'spec.ports.0.targetPort'),
  ...leftOut('Service node-port', 'spec.ports.0.nodePort', 'spec.externalTrafficPolicy'),
  ...leftOut('Service cluster', 'spec.sessionAffinity', 'spec.internalTrafficPolicy'),
  ...leftOut('Service local-port', 'spec.healthCheckNodePort'),
  ...leftOut('Service empty-values', 'spec.externalName', 'spec.type'),
  ...leftOut('Deployment every-field', 'spec.replicas', 'spec.strategy', 'spec.strategy.rollingUpdate', 'spec.paused'),
  ...leftOut('StatefulSet set', 'spec.replicas', 'spec.updateStrategy', 'spec.ordinals'),
  ...leftOut('PersistentVolume host-of-a-node', 'spec.nodeAffinity'),
  ...leftOut('PersistentVolume local', 'spec.claimRef', 'spec.persistentVolumeReclaimPolicy'),
  ...leftOut('CronJob nightly', 'spec.timeZone', 'spec.concurrencyPolicy'),
  set('Service headless', 'spec.clusterIP', '10.96.77.9'),
  set('Service bare', 'spec.clusterIP', 'None'),
  set('Service fixed', 'spec', { type: 'ExternalName', externalName: 'example.org' }),
  set('Service outside', 'spec', { ports: [{ port: 80 }] }),
  set('Service balanced', 'spec', { type: 'ClusterIP', ports: [{ name: 'a', port: 80 }] }),
  set('Service bare', 'spec.externalName', ''),
  set('Service cluster', 'spec.sessionAffinityConfig', { clientIP: {} }),
  set('Service empty-values', 'spec.sessionAffinityConfig', { clientIP: {} }),
  set('Service local-traffic', 'spec.healthCheckNodePort', 0),
  set('Service local-traffic', 'spec.externalTrafficPolicy', 'Cluster'),
  set('Service local-port', 'spec.healthCheckNodePort', 30991),
  set('Service local-port', 'spec', { type: 'LoadBalancer', ports: [{ name: 'a', port: 80 }] }),
  set('Service local-port', 'spec', { type: 'ClusterIP', ports: [{ name: 'a', port: 80 }] }),
  set('StatefulSet bare', 'spec.updateStrategy', { type: 'OnDelete' }),
  set('StatefulSet set', 'spec.updateStrategy', { type: 'OnDelete' }),
  set('StatefulSet empty-rolling', 'spec.replicas', 2),
  set('Service empty-affinity', 'spec.selector', { app: 'b' }),
  set('StatefulSet empty-strategy', 'spec.replicas', 2),
  set('Deployment bare', 'spec.strategy', { type: 'Recreate' }),
  set('Deployment every-field', 'spec.strategy', { type: 'Recreate' }),
  set('Deployment bare', 'spec.template.spec.containers.0.stdinOnce', false),
  set('Deployment every-field', 'spec.template.spec.volumes.10.ephemeral.volumeClaimTemplate.spec.volumeName', ''),
  set('StorageClass local', 'parameters', {}),
  set('Job suspended', 'spec.template.metadata.namespace', 'another'),
  set('ServiceAccount user', 'secrets', [{}]),
];
