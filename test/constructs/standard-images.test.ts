import { MicroserviceDeployment, type MicroserviceDeploymentProps } from '../../constructs';
import { ofKind, renderedHomelab } from '../homelab';
import { chartIn, objectOf } from './render';

const image = 'docker.io/library/nginx:1.29.3';

function template(props: Partial<MicroserviceDeploymentProps>) {
  const chart = chartIn();
  new MicroserviceDeployment(chart, 'web', { image, ...props });
  return objectOf(chart, 'Deployment').spec.template;
}

test('an image that must be root is let through by name, with the reason in its pods', () => {
  const { metadata, spec } = template({
    allow: { root: 'its entrypoint changes owners' },
    capabilities: { CHOWN: 'of /var/cache/nginx', SETUID: 'drops to nginx', SETGID: 'drops to nginx' },
  });
  expect(metadata.annotations).toMatchObject({
    'collab-homelab/allow': 'root: its entrypoint changes owners',
    'collab-homelab/capabilities': 'CHOWN: of /var/cache/nginx\nSETUID: drops to nginx\nSETGID: drops to nginx',
  });
  expect(spec.securityContext).toMatchObject({ runAsNonRoot: false, runAsUser: 0 });
  expect(spec.containers[0].securityContext).toEqual({
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'], add: ['CHOWN', 'SETGID', 'SETUID'] },
    readOnlyRootFilesystem: true,
    runAsNonRoot: false,
  });
});

test('an image that writes to its root stays otherwise restricted', () => {
  const { spec } = template({ allow: { writableRoot: 'unpacks its themes' } });
  expect(spec.securityContext.runAsNonRoot).toBe(true);
  expect(spec.containers[0].securityContext).toMatchObject({ readOnlyRootFilesystem: false, runAsNonRoot: true });
});

const namespaceOf = (change: (homelab: any) => void) =>
  ofKind(renderedHomelab(change), 'Namespace').find(({ metadata }) => metadata.name === 'services')!.metadata;
const LEVEL = 'pod-security.kubernetes.io/enforce';

test.each([
  ['restricted', {}, undefined],
  ['restricted', { allow: { writableRoot: 'unpacks its themes' } }, undefined],
  ['baseline', { allow: { root: 'writes its config' } }, 'search runs as root: writes its config'],
  [
    'privileged',
    { allow: { root: 'opens a tunnel' }, capabilities: { NET_ADMIN: 'tunnel device' } },
    'search runs as root: opens a tunnel; search has NET_ADMIN: tunnel device',
  ],
])('the namespace is %s, and says for whom and why', (level, options, reason) => {
  const { labels, annotations = {} } = namespaceOf((h) => Object.assign(h.services.search, { image, ...options }));
  expect(labels[LEVEL]).toBe(level);
  expect(annotations['collab-homelab/pod-security-reason']).toBe(reason);
});

test('sidecars are native and come before init containers, with the variables, mounts and limits of the service', () => {
  const { spec } = template({
    env: { LEVEL: 'info' },
    sidecars: { proxy: { image: 'docker.io/envoyproxy/envoy:v1.36.2', env: { LEVEL: 'debug' } } },
    initContainers: { unpack: { command: ['unpack'] } },
  });
  const [proxy, unpack, ...more] = spec.initContainers;
  expect(more).toEqual([]);
  expect(proxy).toMatchObject({ name: 'proxy', restartPolicy: 'Always', env: [{ name: 'LEVEL', value: 'debug' }] });
  expect(unpack).toMatchObject({ name: 'unpack', image, command: ['unpack'], env: [{ name: 'LEVEL', value: 'info' }] });
  expect(unpack).not.toHaveProperty('restartPolicy');
  for (const container of spec.initContainers) {
    expect(container.securityContext).toEqual(spec.containers[0].securityContext);
    expect(container.volumeMounts).toEqual(spec.containers[0].volumeMounts);
    expect(container.resources.limits).toEqual({ memory: '64Mi' });
  }
});

test('devices are request and limit, and a node that is named is required', () => {
  const { spec } = template({ devices: { 'gpu.intel.com/i915': 1 }, on: 'talos-worker-02' });
  expect(spec.containers[0].resources).toEqual({
    requests: { cpu: '100m', memory: '256Mi', 'gpu.intel.com/i915': '1' },
    limits: { memory: '256Mi', 'gpu.intel.com/i915': '1' },
  });
  const [term] = spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms;
  expect(term.matchExpressions).toEqual([
    { key: 'kubernetes.io/hostname', operator: 'In', values: ['talos-worker-02'] },
  ]);
});
