import type { Duration } from 'cdk8s';
import type { Probes } from './probes';

/** What homelab.ts and MicroserviceDeployment can both say of a service, with the same names and defaults. */
export interface ServiceOptions {
  /** Port of the container and of its Service. @default 8080; the stand-in of homelab.ts has its own */
  readonly port?: number;
  /** How the kubelet checks the container. @default Probes.http(): /healthz, /readyz, a minute to start */
  readonly probes?: Probes;
  /** Number of pods, 1 to 50. @default 1 */
  readonly replicas?: number;
  /** Time between SIGTERM and SIGKILL, 1 second to 1 day. @default 30 s */
  readonly terminationGracePeriod?: Duration;
}
