import { Construct } from 'constructs';
import { serviceNameProblem } from '../values/names';
import { podsOfVolumesProblem, volumesProblem } from '../values/volumes';
import { Connections } from './connections';
import { labels, selectorLabels } from './labels';
import type { MicroserviceDeploymentProps } from './microservice-deployment';
import { overrideManifests } from './rendering';
import { keepSecrets } from './service-secrets';
import { ServiceVolumes } from './service-volumes';
import { assertValid, fail, namespaceOf } from './validation';

/**
 * A service that runs no pods. Its policy, claims, volumes and own secrets stay: with the same props MicroserviceDeployment starts it again on
 * the same data. Nothing can connect to it.
 */
export class RetiredMicroservice extends Construct {
  /** As that of the service. */
  readonly name: string;
  /** As that of the service. */
  readonly namespace: string;
  /** The policy of the service, without ingress rules. An annotation records its volumes. */
  readonly connections: Connections;
  /** Claims and disks of its volumes. */
  readonly volumes: ServiceVolumes;

  constructor(
    scope: Construct,
    id: string,
    props: Pick<
      MicroserviceDeploymentProps,
      'name' | 'namespace' | 'volumes' | 'replicas' | 'secrets' | 'overrideManifest'
    >,
  ) {
    super(scope, id);
    this.name = props.name ?? id;
    this.namespace = namespaceOf(this, props.namespace);
    const { volumes = {} } = props;
    assertValid(
      this,
      serviceNameProblem(this.name, 'the name of a service', 52),
      volumesProblem(volumes, 'volumes'),
      podsOfVolumesProblem(props, (field) => field),
    );
    if (Object.keys(volumes).length === 0)
      fail(this, { what: 'a retired service must have volumes', got: volumes, fix: 'remove it: it keeps no data' });
    const identity = { app: 'microservice', instance: this.name, component: 'service' };
    const { name, namespace } = this;
    this.volumes = new ServiceVolumes(this, 'volumes', {
      ...{ name, namespace, volumes, labels: labels(identity) },
      replicas: props.replicas ?? 1,
    });
    this.connections = new Connections(this, 'connections', {
      ...{ name, namespace, labels: labels(identity) },
      selector: selectorLabels(identity),
      keep: true,
      annotations: this.volumes.identity,
    });
    keepSecrets(this, this, props.secrets);
    overrideManifests(this, props.overrideManifest);
  }
}
