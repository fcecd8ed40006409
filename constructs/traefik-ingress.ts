import { Size } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { dnsLabelProblem, imageProblem, ipv4Problem } from '../values/names';
import { Connections, type Peer } from './connections';
import { images } from './images';
import { labels, selectorLabels, type Labels } from './labels';
import { late } from './late';
import type { IngressController } from './outside-route';
import type { Placement } from './placement';
import { clusterScoped, contentHash, overrideManifests, type ManifestOverride } from './rendering';
import { assertValid, namespaceOf, fail } from './validation';
import { resourceRequirements, type Resources } from './resources';
import { scriptFile } from './script-file';
import { DeclaredSecret } from './secrets';
import { hardenedPod, RESTRICTED_CONTAINER } from './security';
import { TraefikRoutes } from './traefik-routes';

/** Addresses of the API server for a NetworkPolicy, which sees packets after the Service address is translated. */
export interface ApiServerAddress {
  /** One network for each control plane, such as 192.168.1.20/32. */
  readonly cidrs: readonly [string, ...string[]];
  /** Port, such as 6443. */
  readonly port: number;
}

/** Props of Traefik. */
export interface TraefikIngressProps {
  /** @default the construct's id */
  readonly name?: string;
  /** @default the chart's namespace; it must allow hostPort, so it cannot be restricted or baseline */
  readonly namespace?: string;
  /** @default images.traefik */
  readonly image?: string;
  /** Namespaces whose Ingresses it serves. It may read Services, EndpointSlices and Secrets only there. */
  readonly watchNamespaces: readonly [string, ...string[]];
  /** IPv4 address that it writes into the status of each Ingress: that of a node, or of a load balancer before the nodes. */
  readonly statusAddress: string;
  /** DNS names of its certificate, such as *.collab.home.arpa. */
  readonly dnsNames: readonly [string, ...string[]];
  /** API server, from which it reads Ingresses and to which it writes their status; its policy allows this egress. */
  readonly apiServer: ApiServerAddress;
  /** @default 256 MiB, 100m */
  readonly resources?: Resources;
  /** @default every node without a taint */
  readonly placement?: Placement;
  /** @default none */
  readonly priorityClassName?: string;
  /** Whether it exports metrics for Prometheus on port 9100. @default false */
  readonly metrics?: boolean;
  /** Changes the pod as far as the Kubernetes 1.28 types know it. */
  readonly overridePodSpec?: (spec: k8s.PodSpec) => k8s.PodSpec;
  /** Changes any rendered object, newer fields included. */
  readonly overrideManifest?: ManifestOverride;
}

/** Ports inside the pod, above 1023 because Traefik is not root. The network plugin maps the host ports 80 and 443 to them. */
const PORTS = { web: 8000, websecure: 8443, ping: 8080, metrics: 9100 } as const;
/** The user `nobody`, as in Traefik's own Helm chart. */
const USER = 65532;
const CERTIFICATES = '/certificates';
const DYNAMIC = '/dynamic';

/** Traefik on every worker, by host ports: the apps are reachable at the address of every worker. */
export class TraefikIngress extends Construct implements IngressController {
  /** Name of its IngressClass; the names of its other objects start with it. At most 52 characters. */
  readonly ingressClassName: string;
  /** Namespace of its pods and of its certificate. */
  readonly namespace: string;
  /** Its NetworkPolicy: HTTP and HTTPS from anywhere, egress to the API server and to services with a route. */
  readonly connections: Connections;
  /** One pod on each suitable node, which uses the ports 80 and 443 of that node. */
  readonly daemonSet: k8s.KubeDaemonSet;
  /** Reads what it serves in the watched namespaces and writes Ingress status there; reads IngressClasses and Nodes. */
  readonly serviceAccount: k8s.KubeServiceAccount;
  /** Certificate for hosts without their own: a chain for `dnsNames`, and its key. */
  readonly certificate: DeclaredSecret;
  /** Its configuration for what an Ingress has no field for. */
  readonly extensions: TraefikRoutes;
  private readonly selector: Labels;
  private readonly allLabels: Labels;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: TraefikIngressProps,
  ) {
    super(scope, id);
    const name = props.name ?? id;
    this.ingressClassName = name;
    this.namespace = namespaceOf(this, props.namespace);
    assertValid(
      this,
      dnsLabelProblem(name, 'the name of an ingress controller', 52),
      ipv4Problem(props.statusAddress, 'statusAddress'),
      imageProblem(props.image ?? images.traefik, 'image'),
    );
    if (props.watchNamespaces.length === 0)
      fail(this, {
        what: 'watchNamespaces must name at least one namespace',
        got: [],
        fix: 'list the namespaces with Ingresses',
      });
    const identity = { app: 'traefik', instance: name, component: 'ingress' };
    this.selector = selectorLabels(identity);
    this.allLabels = labels(identity);
    this.connections = new Connections(this, 'connections', {
      ...this.metadata(),
      selector: this.selector,
      labels: this.allLabels,
    });
    this.extensions = new TraefikRoutes(props.dnsNames, this.connections);
    this.connections.allowFrom('anywhere', { port: PORTS.web });
    this.connections.allowFrom('anywhere', { port: PORTS.websecure });
    for (const cidr of props.apiServer.cidrs) this.connections.allowTo({ cidr }, { port: props.apiServer.port });
    this.certificate = new DeclaredSecret(this, 'certificate', {
      name: `${name}-certificate`,
      namespaces: [this.namespace],
      type: 'kubernetes.io/tls',
      keys: {
        'tls.crt': { generate: 'certificate', dnsNames: props.dnsNames },
        'tls.key': { generate: 'certificate-key' },
      },
    });
    this.certificate.readBy(this, this.namespace);
    this.serviceAccount = new k8s.KubeServiceAccount(this, 'account', {
      metadata: this.metadata(),
      automountServiceAccountToken: false,
    });
    this.rights();
    clusterScoped(
      new k8s.KubeIngressClass(this, 'class', {
        metadata: { name, labels: { ...this.allLabels } },
        spec: { controller: 'traefik.io/ingress-controller' },
      }),
    );
    this.daemonSet = this.makeDaemonSet();
    overrideManifests(this, props.overrideManifest);
  }

  /** Its pods as the peer of a connection. */
  get peer(): Peer {
    return this.connections.peer;
  }

  /** Lets the pods of Prometheus reach the metrics. @throws when `metrics` is false */
  allowScrapingFrom(peer: Peer): void {
    if (!this.props.metrics)
      fail(this, { what: 'metrics must be true to be scraped', got: false, fix: 'set metrics: true' });
    this.connections.allowFrom(peer, { port: PORTS.metrics });
  }

  private metadata(): { name: string; namespace: string; labels: Record<string, string> } {
    return { name: this.ingressClassName, namespace: this.namespace, labels: { ...this.allLabels } };
  }

  /**
   * Permissions for its informers, as read in its sources: in watched namespaces Services, EndpointSlices, Ingresses and Secrets
   * (even without TLS secrets it does not start until it may list them); in the cluster IngressClasses and Nodes (without
   * IngressClasses, `ingressClassName` matches nothing; it reads them only together with Nodes).
   */
  private rights(): void {
    const { name } = this.metadata();
    const read = ['list', 'watch'];
    clusterScoped(
      new k8s.KubeClusterRole(this, 'cluster-role', {
        metadata: { name, labels: { ...this.allLabels } },
        rules: [
          { apiGroups: ['networking.k8s.io'], resources: ['ingressclasses'], verbs: read },
          { apiGroups: [''], resources: ['nodes'], verbs: read },
        ],
      }),
    );
    const subjects = [{ kind: 'ServiceAccount', name, namespace: this.namespace }];
    clusterScoped(
      new k8s.KubeClusterRoleBinding(this, 'cluster-binding', {
        metadata: { name, labels: { ...this.allLabels } },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
        subjects,
      }),
    );
    for (const namespace of this.props.watchNamespaces) {
      const metadata = { name, namespace, labels: { ...this.allLabels } };
      new k8s.KubeRole(this, `role-${namespace}`, {
        metadata,
        rules: [
          { apiGroups: [''], resources: ['services', 'secrets'], verbs: read },
          { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: read },
          { apiGroups: ['networking.k8s.io'], resources: ['ingresses'], verbs: read },
          { apiGroups: ['networking.k8s.io'], resources: ['ingresses/status'], verbs: ['update'] },
        ],
      });
      new k8s.KubeRoleBinding(this, `binding-${namespace}`, {
        metadata,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
        subjects,
      });
    }
  }

  private args(): string[] {
    const { props, ingressClassName } = this;
    return [
      '--global.checknewversion=false',
      '--global.sendanonymoususage=false',
      '--log.level=INFO',
      '--ping=true',
      '--ping.entrypoint=ping',
      `--entrypoints.ping.address=:${PORTS.ping}`,
      `--entrypoints.web.address=:${PORTS.web}`,
      '--entrypoints.web.http.redirections.entrypoint.to=:443',
      '--entrypoints.web.http.redirections.entrypoint.scheme=https',
      `--entrypoints.websecure.address=:${PORTS.websecure}`,
      '--entrypoints.websecure.http.tls=true',
      // No time limit for uploads: Traefik's default of 60 s would abort a large body on a slow line. Responses have no limit.
      '--entrypoints.websecure.transport.respondingtimeouts.readtimeout=0s',
      '--entrypoints.websecure.transport.lifecycle.gracetimeout=20s',
      '--providers.kubernetesingress=true',
      `--providers.kubernetesingress.ingressclass=${ingressClassName}`,
      `--providers.kubernetesingress.namespaces=${props.watchNamespaces.join(',')}`,
      `--providers.kubernetesingress.ingressendpoint.ip=${props.statusAddress}`,
      // As Ingress is specified: the path /api does not take /apiv2. Traefik's default compares characters.
      '--providers.kubernetesingress.strictprefixmatching=true',
      `--providers.file.directory=${DYNAMIC}`,
      ...(props.metrics
        ? [
            '--metrics.prometheus=true',
            `--entrypoints.metrics.address=:${PORTS.metrics}`,
            '--metrics.prometheus.entrypoint=metrics',
          ]
        : []),
      ...this.extensions.args,
    ];
  }

  private makeDaemonSet(): k8s.KubeDaemonSet {
    // Default certificate for hosts without their own. Traefik reads its files when it starts: a renewed one needs a restart.
    const defaultCertificate = scriptFile('traefik-tls.yaml');
    const files = new k8s.KubeConfigMap(this, 'files', {
      metadata: this.metadata(),
      data: late((): Record<string, string> => ({
        'tls.yaml': defaultCertificate,
        // Not in the checksum below: Traefik watches the folder, and a restart would end every connection.
        ...(this.extensions.file !== undefined && { 'routes.yaml': this.extensions.file }),
      })),
    });
    const resources = resourceRequirements(
      this,
      this.props.resources ?? { memory: Size.mebibytes(256), cpu: Cpu.millis(100) },
    );
    return new k8s.KubeDaemonSet(this, 'daemon-set', {
      metadata: this.metadata(),
      spec: late((): k8s.DaemonSetSpec => {
        const spec = this.podSpec(files.name, resources);
        return {
          selector: { matchLabels: { ...this.selector } },
          // A host port is free only after the old pod has stopped: no surge, one node at a time.
          updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: k8s.IntOrString.fromNumber(1) } },
          revisionHistoryLimit: 3,
          template: {
            metadata: {
              labels: { ...this.allLabels },
              annotations: { 'checksum/config': contentHash(defaultCertificate) },
            },
            spec: this.props.overridePodSpec ? this.props.overridePodSpec(spec) : spec,
          },
        };
      }),
    });
  }

  private podSpec(files: string, resources: k8s.ResourceRequirements): k8s.PodSpec {
    const port = (name: keyof typeof PORTS, hostPort?: number): k8s.ContainerPort => ({
      name,
      containerPort: PORTS[name],
      hostPort,
      protocol: 'TCP',
    });
    const probe: k8s.Probe = { httpGet: { path: '/ping', port: k8s.IntOrString.fromString('ping') } };
    return {
      ...hardenedPod(USER, this.props),
      serviceAccountName: this.ingressClassName,
      automountServiceAccountToken: true,
      terminationGracePeriodSeconds: 30,
      affinity: this.props.placement && { nodeAffinity: this.props.placement.nodeAffinity },
      containers: [
        {
          name: 'traefik',
          image: this.props.image ?? images.traefik,
          args: this.args(),
          ports: [
            port('web', 80),
            port('websecure', 443),
            port('ping'),
            ...(this.props.metrics ? [port('metrics')] : []),
            ...this.extensions.containerPorts,
          ],
          resources,
          startupProbe: { ...probe, periodSeconds: 2, failureThreshold: 30 },
          livenessProbe: { ...probe, periodSeconds: 10, timeoutSeconds: 3, failureThreshold: 3 },
          readinessProbe: { ...probe, periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2 },
          securityContext: RESTRICTED_CONTAINER,
          volumeMounts: [
            { name: 'tmp', mountPath: '/tmp' },
            { name: 'files', mountPath: DYNAMIC, readOnly: true },
            { name: 'certificates', mountPath: CERTIFICATES, readOnly: true },
          ],
        },
      ],
      volumes: [
        { name: 'tmp', emptyDir: { sizeLimit: k8s.Quantity.fromString('64Mi') } },
        { name: 'files', configMap: { name: files } },
        { name: 'certificates', secret: { secretName: this.certificate.name } },
      ],
    };
  }
}
