/** Fills in defaults that depend on other fields of the same object. Changes the object in place. */
type Condition = (value: Record<string, any>) => void;

/** By type. The function of a kind runs last. Those of nested types run before the table of defaults. */
export const conditions: Readonly<Record<string, Condition>> = {
  Container: (container) => {
    container.imagePullPolicy ??= isLatest(String(container.image ?? '')) ? 'Always' : 'IfNotPresent';
  },
  // The deprecated field stays in the object, so that removing the new one changes nothing.
  PodSpec: (spec) => {
    spec.serviceAccountName ??= spec.serviceAccount;
    spec.serviceAccount = spec.serviceAccountName;
    if (spec.serviceAccount === undefined)
      for (const key of ['serviceAccount', 'serviceAccountName']) Reflect.deleteProperty(spec, key);
  },
  PodTemplateSpec: (template) => {
    template.metadata ??= {};
  },
  Volume: (volume) => {
    if (Object.keys(volume).every((key) => key === 'name')) volume.emptyDir = {};
  },
  DeploymentStrategy: (strategy) => {
    if (isRolling(strategy)) strategy.rollingUpdate ??= { maxSurge: '25%', maxUnavailable: '25%' };
  },
  DaemonSetUpdateStrategy: (strategy) => {
    if (isRolling(strategy)) strategy.rollingUpdate ??= { maxSurge: 0, maxUnavailable: 1 };
    const { rollingUpdate } = strategy;
    if (rollingUpdate) rollingUpdate.maxUnavailable ??= isRolling(strategy) && isNone(rollingUpdate.maxSurge) ? 1 : 0;
  },
  StatefulSetUpdateStrategy: (strategy) => {
    if (strategy.type === undefined) strategy.rollingUpdate ??= { partition: 0 };
  },
  StatefulSetSpec: (spec) => {
    spec.volumeClaimTemplates = spec.volumeClaimTemplates?.map((claim: Record<string, any>) => ({
      ...claim,
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      status: { phase: 'Pending' },
    }));
    if (spec.volumeClaimTemplates === undefined) delete spec.volumeClaimTemplates;
  },
  Job: (job) => {
    jobSpec(job.spec);
    job.metadata.labels ??= { ...job.spec.template?.metadata?.labels, ...GENERATED };
  },
  // A reference keeps only its name.
  ServiceAccount: (account) => {
    if (account.secrets) account.secrets = account.secrets.map(({ name }: { name: string }) => ({ name }));
  },
  Namespace: ({ metadata }) => {
    metadata.labels = { ...metadata.labels, 'kubernetes.io/metadata.name': metadata.name };
  },
  Secret: (secret) => {
    if (!secret.stringData) return;
    const encoded = Object.entries(secret.stringData).map(([key, text]) => [
      key,
      Buffer.from(`${text}`).toString('base64'),
    ]);
    secret.data = { ...secret.data, ...Object.fromEntries(encoded) };
    delete secret.stringData;
  },
  NetworkPolicySpec: (spec) => {
    spec.policyTypes ??= spec.egress ? ['Ingress', 'Egress'] : ['Ingress'];
  },
  Subject: (subject) => {
    if (subject.kind !== 'ServiceAccount') subject.apiGroup ??= 'rbac.authorization.k8s.io';
  },
  LimitRangeItem: (item) => {
    if (item.type !== 'Container') return;
    item.default = { ...item.max, ...item.default };
    item.defaultRequest = { ...item.min, ...item.default, ...item.defaultRequest };
    for (const key of ['default', 'defaultRequest'])
      if (Object.keys(item[key]).length === 0) Reflect.deleteProperty(item, key);
  },
  HorizontalPodAutoscalerBehavior: ({ scaleUp, scaleDown }) => {
    if (scaleUp) scaleUp.stabilizationWindowSeconds ??= 0;
    if (scaleUp) scaleUp.policies ??= [{ type: 'Pods', value: 4, periodSeconds: 15 }, EVERY];
    if (scaleDown) scaleDown.policies ??= [EVERY];
  },
  ServiceSpec: serviceSpec,
};

const EVERY = { type: 'Percent', value: 100, periodSeconds: 15 };

/** Placeholder for an address or a port that the server assigns. */
export const ASSIGNED = '(assigned)';

/** Labels by which a Job selects its pods. */
const GENERATED = { 'batch.kubernetes.io/controller-uid': ASSIGNED };

/** Fields that the server removes when a Service changes its type: addresses, node ports, a load balancer. */
const INSIDE = ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'internalTrafficPolicy'];
const OUTSIDE = ['externalTrafficPolicy'];
const BALANCED = ['allocateLoadBalancerNodePorts', 'healthCheckNodePort', 'loadBalancerClass'];

function leave(spec: Record<string, any>, fields: readonly string[]): void {
  for (const field of fields) Reflect.deleteProperty(spec, field);
}

function serviceSpec(spec: Record<string, any>): void {
  const isOutside = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  for (const port of spec.ports ?? []) {
    port.targetPort ??= port.port;
    if (!isOutside) delete port.nodePort;
    else if (spec.allocateLoadBalancerNodePorts !== false) port.nodePort ??= ASSIGNED;
  }
  if (spec.sessionAffinity === 'ClientIP') spec.sessionAffinityConfig ??= { clientIP: { timeoutSeconds: 10800 } };
  else delete spec.sessionAffinityConfig;
  if (isOutside || spec.externalIPs) spec.externalTrafficPolicy ??= 'Cluster';
  else leave(spec, OUTSIDE);
  if (spec.type === 'LoadBalancer') {
    spec.allocateLoadBalancerNodePorts ??= true;
    if (spec.externalTrafficPolicy === 'Local') spec.healthCheckNodePort ??= ASSIGNED;
    else delete spec.healthCheckNodePort;
  } else leave(spec, BALANCED);
  if (spec.type === 'ExternalName') {
    leave(spec, INSIDE);
    return;
  }
  spec.clusterIP ??= spec.clusterIPs?.[0] ?? ASSIGNED;
  spec.clusterIPs ??= [spec.clusterIP];
  const everyFamily = spec.clusterIP === 'None' && !spec.selector;
  spec.ipFamilyPolicy ??= everyFamily ? 'RequireDualStack' : 'SingleStack';
  spec.ipFamilies ??= everyFamily ? ['IPv4', 'IPv6'] : ['IPv4'];
  spec.internalTrafficPolicy ??= 'Cluster';
}

function jobSpec(spec: Record<string, any>): void {
  if (spec.parallelism === undefined) spec.completions ??= 1;
  spec.parallelism ??= 1;
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : 2147483647;
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed';
  spec.completionMode ??= 'NonIndexed';
  spec.suspend ??= false;
  spec.manualSelector ??= false;
}

function isRolling({ type }: Record<string, any>): boolean {
  return type === undefined || type === 'RollingUpdate';
}

function isNone(amount: unknown): boolean {
  return amount === undefined || amount === 0 || amount === '0%';
}

/** Whether an image has the tag latest, or neither a tag nor a digest. */
function isLatest(image: string): boolean {
  if (image === '' || image.includes('@')) return false;
  const tag = /:([^/:]+)$/.exec(image)?.[1];
  return tag === undefined || tag === 'latest';
}
