import type { Duration, Size } from 'cdk8s';
import { LLM_CHECKS, llmKeySecret } from '../values/llm-keys';
import { targetOf } from './connections';
import type { Homelab } from './homelab';
import { servedName } from './models';

/** A proxy in front of Ollama on the same machine. Each client has a key and limits, so that no client starves the others. */
export interface LlmGateway {
  /** Requests of one client that run or wait at the same time; more get status 429. @default 8 */
  readonly concurrent?: number;
  /** Requests of one client in a minute; more get status 429. @default 300 */
  readonly perMinute?: number;
  /** Longest body of a request; a longer one gets status 413. @default 16 bytes for each token of the longest context, at least 256 KiB */
  readonly longestBody?: Size;
  /** Requests that wait for one model; more get status 503. @default 32 */
  readonly queue?: number;
  /** How long a request waits for its model before it gets status 503. @default 5 minutes */
  readonly wait?: Duration;
  /** Clients outside the cluster, such as programs on the Mac. Each has a key, and may use all models. @default none */
  readonly outside?: readonly string[];
  /** IPv4 addresses that may read metrics on port 8405. For a scraper in the cluster, give its nodes. @default none */
  readonly scrapedBy?: readonly string[];
}

/** A client that the gateway knows. */
export interface LlmClient {
  /** Name of the service, the web app, or the program outside the cluster. */
  readonly name: string;
  /** Names of the models that it may use. */
  readonly models: readonly string[];
  /** Secret that holds its key, as `api-key`. */
  readonly secret: string;
}

/** Clients with a key, sorted by name. Empty without a gateway. */
export function llmClients({ llm, services, webApps }: Homelab): LlmClient[] {
  if (llm?.gateway === undefined) return [];
  const served = (names: readonly string[]) =>
    [...new Set(names.map((name) => servedName(name, llm.models[name]!)))].sort();
  const all = served(Object.keys(llm.models));
  const client = (name: string, models: readonly string[]): LlmClient => ({
    name,
    models,
    secret: llmKeySecret(llm.service, name),
  });
  const connected = [...Object.entries(services), ...Object.entries(webApps)].flatMap(([name, { connects, state }]) => {
    if (state === 'retired') return [];
    const models = connects.map(targetOf).flatMap(([kind, target]) => (kind === 'model' ? [target] : []));
    return models.length === 0 ? [] : [client(name, served(models))];
  });
  const checks = Object.values(LLM_CHECKS).filter((check) => check === 'proof' || llm.availability !== undefined);
  const others = [...checks, ...(llm.gateway.outside ?? [])].map((name) => client(name, all));
  return [...connected, ...others].sort((a, b) => (a.name < b.name ? -1 : 1));
}
