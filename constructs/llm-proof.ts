import { Size } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { LLM_CHECKS } from '../values/llm-keys';
import { imageProblem } from '../values/names';
import { Connections } from './connections';
import { plainText } from './env';
import type { ExternalLlmService } from './external-llm-service';
import { images } from './images';
import { labels, selectorLabels } from './labels';
import { contentHash, overrideManifests, jsonOf, onRender, type ManifestOverride } from './rendering';
import { assertValid, fail } from './validation';
import { resourceRequirements, type Resources } from './resources';
import type { SecretKey } from './secrets';
import { scriptFile } from './script-file';
import { hardenedPod, RESTRICTED_CONTAINER } from './security';
import type { ApiServerAddress } from './traefik-ingress';

/** Props of the check that models answer. */
export interface LlmProofProps {
  /** The service to check: its name, its endpoints and the tag of every model. The job runs in its namespace. */
  readonly llm: ExternalLlmService;
  /** API server that the job asks for EndpointSlices of the Service. Give an address, because a NetworkPolicy cannot hold names. */
  readonly apiServer: ApiServerAddress;
  /**
   * Models that `npm run models -- publish` publishes, by their names in the service. The job accepts that one is missing while
   * the endpoint has no version of it (NAME:v1). @default none
   */
  readonly released?: readonly string[];
  /** @default images.python */
  readonly image?: string;
  /** @default 64 MiB, 50m */
  readonly resources?: Resources;
  /** Changes the pod as far as the Kubernetes 1.28 types know it. */
  readonly overridePodSpec?: (spec: k8s.PodSpec) => k8s.PodSpec;
  /** Changes any rendered object, newer fields included. */
  readonly overrideManifest?: ManifestOverride;
}

const HOOK = { 'argocd.argoproj.io/hook': 'PostSync', 'argocd.argoproj.io/hook-delete-policy': 'BeforeHookCreation' };

/**
 * Checks after each sync that the Service reaches the models. Asks the API server for the Service's endpoints, then the endpoint
 * for its models; the message names the request that failed. Put it into a chart that no other chart waits for.
 */
export class LlmProof extends Construct {
  /** Its NetworkPolicy: egress to the API server, the endpoint and DNS; no ingress. */
  readonly connections: Connections;
  /** A PostSync hook: Argo CD creates it again after each sync and deletes the previous one. */
  readonly job: k8s.KubeJob;
  /**
   * Holds the script and the hash of the job. Argo CD ignores changes of a hook, so a new model alone would start no sync and no
   * check. This ConfigMap is not a hook and changes with the job.
   */
  readonly configMap: k8s.KubeConfigMap;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: LlmProofProps,
  ) {
    super(scope, id);
    const { llm } = props;
    assertValid(this, imageProblem(props.image ?? images.python, 'image'));
    const name = `${llm.name}-proof`;
    const identity = { app: 'llm-proof', instance: name, component: 'llm' };
    const metadata = { name, namespace: llm.namespace, labels: { ...labels(identity) } };
    this.connections = new Connections(this, 'connections', { ...metadata, selector: selectorLabels(identity) });
    llm.openFor(this.connections);
    new k8s.KubeServiceAccount(this, 'account', { metadata, automountServiceAccountToken: false });
    if (this.hasEndpoints()) this.mayReadEndpoints(metadata);
    this.configMap = new k8s.KubeConfigMap(this, 'script', {
      metadata,
      data: { 'proof.py': scriptFile('llm-proof.py') },
    });
    this.job = new k8s.KubeJob(this, 'job', {
      metadata: { ...metadata, annotations: HOOK },
      spec: {
        backoffLimit: 2,
        activeDeadlineSeconds: 300,
        template: { metadata: { labels: metadata.labels }, spec: this.podSpec(name) },
      },
    });
    overrideManifests(this, props.overrideManifest);
    onRender(this.configMap, (json) => {
      const annotations = { ...json.metadata.annotations, 'checksum/job': contentHash(jsonOf(this.job).spec) };
      return { ...json, metadata: { ...json.metadata, annotations } };
    });
  }

  /** A Service for a DNS name has no endpoints. */
  private hasEndpoints(): boolean {
    return this.props.llm.endpoint.host === undefined;
  }

  private mayReadEndpoints(metadata: { name: string; namespace: string; labels: Record<string, string> }): void {
    const { name } = metadata;
    const { cidrs, port } = this.props.apiServer;
    for (const cidr of cidrs) this.connections.allowTo({ cidr }, { port });
    new k8s.KubeRole(this, 'role', {
      metadata,
      rules: [{ apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'list'] }],
    });
    new k8s.KubeRoleBinding(this, 'binding', {
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: metadata.namespace }],
    });
  }

  private keyVariable({ secret, key }: SecretKey): k8s.EnvVar {
    secret.readBy(this, this.props.llm.namespace);
    return { name: 'API_KEY', valueFrom: { secretKeyRef: { name: secret.name, key } } };
  }

  private releasedVariable(): k8s.EnvVar[] {
    const { llm, released = [] } = this.props;
    const unknown = released.find((name) => llm.models[name] === undefined);
    if (unknown !== undefined)
      fail(this, {
        what: 'released must name models of the service',
        got: unknown,
        allowed: Object.keys(llm.models).join(', '),
        fix: 'correct the name, or add the model to the service',
      });
    const pairs = released.map((name) => `${llm.models[name]!.tag}=${name}`).sort();
    return pairs.length === 0 ? [] : [{ name: 'RELEASED', value: plainText(pairs.join(' ')) }];
  }

  private podSpec(name: string): k8s.PodSpec {
    const { llm, image, resources, overridePodSpec } = this.props;
    const apiKey = llm.keyOf(LLM_CHECKS.proof, this, llm.namespace);
    const spec: k8s.PodSpec = {
      restartPolicy: 'Never',
      ...hardenedPod(10001),
      serviceAccountName: name,
      // Besides the ingress controller, only this pod may use the API server.
      automountServiceAccountToken: this.hasEndpoints(),
      containers: [
        {
          name: 'proof',
          image: image ?? images.python,
          command: ['python3', '/scripts/proof.py'],
          env: [
            { name: 'SERVICE', value: llm.name },
            { name: 'NAMESPACE', value: llm.namespace },
            { name: 'URL', value: llm.url },
            { name: 'HAS_ENDPOINTS', value: this.hasEndpoints() ? 'yes' : 'no' },
            {
              name: 'MODELS',
              value: plainText([...new Set(Object.values(llm.models).map(({ tag }) => tag))].sort().join(' ')),
            },
            ...this.releasedVariable(),
            ...(apiKey ? [this.keyVariable(apiKey)] : []),
          ],
          resources: resourceRequirements(this, resources ?? { memory: Size.mebibytes(64), cpu: Cpu.millis(50) }),
          securityContext: RESTRICTED_CONTAINER,
          volumeMounts: [{ name: 'scripts', mountPath: '/scripts', readOnly: true }],
        },
      ],
      volumes: [{ name: 'scripts', configMap: { name } }],
    };
    return overridePodSpec ? overridePodSpec(spec) : spec;
  }
}
