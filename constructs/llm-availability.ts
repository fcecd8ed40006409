import { Size } from 'cdk8s';
import { Cpu, k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { LLM_CHECKS } from '../values/llm-keys';
import { imageProblem } from '../values/names';
import { sentence } from '../values/problem';
import { Connections } from './connections';
import { plainText } from './env';
import type { ExternalLlmService } from './external-llm-service';
import { images } from './images';
import { labels, selectorLabels } from './labels';
import { overrideManifests, type ManifestOverride } from './rendering';
import { resourceRequirements, type Resources } from './resources';
import { scriptFile } from './script-file';
import { hardenedPod, RESTRICTED_CONTAINER } from './security';
import { assertValid } from './validation';

/** Props of the check: the service and the interval. */
export interface LlmAvailabilityProps {
  /** The service whose models are asked. The CronJob runs in its namespace. */
  readonly llm: ExternalLlmService;
  /** Minutes between two checks: 5, 6, 10, 12, 15, 20, 30 or 60. @default 15 */
  readonly everyMinutes?: number;
  /** Models to ask, by the name that clients use. List only resident models, because the check loads all others. @default all */
  readonly models?: readonly string[];
  /** Timeout in seconds, for the first word of a model and for the whole answer. @default 120 */
  readonly timeoutSeconds?: number;
  /** @default images.python */
  readonly image?: string;
  /** @default 64 MiB, 50m */
  readonly resources?: Resources;
  /** Changes the pod as far as the Kubernetes 1.28 types know it. */
  readonly overridePodSpec?: (spec: k8s.PodSpec) => k8s.PodSpec;
  /** Changes any rendered object, newer fields included. */
  readonly overrideManifest?: ManifestOverride;
}

/**
 * Asks each model for one word at intervals. Logs the seconds to the first word, one line per model. The Job fails when a model
 * does not answer; kube-state-metrics shows that as kube_job_status_failed.
 */
export class LlmAvailability extends Construct {
  /** Its NetworkPolicy: egress to the endpoint and DNS; no ingress. */
  readonly connections: Connections;
  /** Runs the checks, one pod each time. */
  readonly cronJob: k8s.KubeCronJob;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: LlmAvailabilityProps,
  ) {
    super(scope, id);
    const { llm, everyMinutes = 15 } = props;
    assertValid(this, imageProblem(props.image ?? images.python, 'image'), minutesProblem(everyMinutes));
    const name = `${llm.name}-${LLM_CHECKS.availability}`;
    const identity = { app: 'llm-availability', instance: name, component: 'llm' };
    const metadata = { name, namespace: llm.namespace, labels: { ...labels(identity) } };
    this.connections = new Connections(this, 'connections', { ...metadata, selector: selectorLabels(identity) });
    llm.openFor(this.connections);
    new k8s.KubeConfigMap(this, 'script', { metadata, data: { 'availability.py': scriptFile('llm-availability.py') } });
    const pods = { labels: metadata.labels };
    this.cronJob = new k8s.KubeCronJob(this, 'cron-job', {
      metadata,
      spec: {
        schedule: everyMinutes === 60 ? '0 * * * *' : `*/${everyMinutes} * * * *`,
        concurrencyPolicy: 'Forbid',
        startingDeadlineSeconds: 60,
        successfulJobsHistoryLimit: 1,
        failedJobsHistoryLimit: 1,
        jobTemplate: {
          metadata: pods,
          spec: {
            backoffLimit: 0,
            activeDeadlineSeconds: everyMinutes * 60,
            template: { metadata: pods, spec: this.podSpec(name) },
          },
        },
      },
    });
    overrideManifests(this, props.overrideManifest);
  }

  private podSpec(name: string): k8s.PodSpec {
    const {
      llm,
      models = Object.keys(llm.models),
      image,
      resources,
      timeoutSeconds = 120,
      overridePodSpec,
    } = this.props;
    const apiKey = llm.keyOf(LLM_CHECKS.availability, this, llm.namespace);
    apiKey?.secret.readBy(this, llm.namespace);
    const tags = [...new Set(models.map((model) => llm.tagOf(model, this)))].sort();
    const spec: k8s.PodSpec = {
      restartPolicy: 'Never',
      ...hardenedPod(10001),
      containers: [
        {
          name: 'availability',
          image: image ?? images.python,
          command: ['python3', '/scripts/availability.py'],
          env: [
            { name: 'URL', value: llm.url },
            { name: 'MODELS', value: plainText(tags.join(' ')) },
            { name: 'TIMEOUT', value: String(timeoutSeconds) },
            ...(apiKey
              ? [{ name: 'API_KEY', valueFrom: { secretKeyRef: { name: apiKey.secret.name, key: apiKey.key } } }]
              : []),
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

function minutesProblem(minutes: number): string | undefined {
  if (minutes >= 5 && Number.isInteger(60 / minutes)) return undefined;
  return sentence({
    what: 'everyMinutes must divide an hour',
    got: minutes,
    allowed: '5, 6, 10, 12, 15, 20, 30 or 60',
    fix: 'write everyMinutes: 15',
  });
}
