import { Chart, type App } from 'cdk8s';
import { DeclaredSecret, ExternalLlmService, LlmAvailability, LlmEndpoint, LlmProof } from '../constructs';
import { FOLDERS, hasKey, isTuned, NAMESPACES, servedName, type Homelab, type Llm } from '../inventory';
import { apiServer, folder } from './context';

/** The Service for the AI machine. It is in the namespace of its clients, so that they can use its short name. */
export function llmChart(app: App, { machines }: Homelab, llm: Llm): ExternalLlmService {
  const at = { address: machines[llm.machine]!.address, port: llm.port };
  const made = new ExternalLlmService(folder(app, FOLDERS.llm, NAMESPACES.services), llm.service, {
    endpoint: llm.via === 'tcp-proxy' ? LlmEndpoint.tcpProxy(at) : LlmEndpoint.endpointSlice(at),
    models: Object.fromEntries(
      Object.entries(llm.models).map(([name, model]) => [name, { tag: servedName(name, model) }]),
    ),
    ...(llm.gateway && { apiKey: 'per-client' }),
  });
  for (const name of llm.gateway?.outside ?? []) made.keyOf(name, made, NAMESPACES.services);
  return made;
}

/** Other endpoints of models, by the name of the model: for clients of these models only. */
export function llmFallbacks(llm: ExternalLlmService, { models }: Llm): ReadonlyMap<string, ExternalLlmService> {
  const made = Object.entries(models).flatMap(([model, { fallback }]): [string, ExternalLlmService][] => {
    if (fallback === undefined) return [];
    const { host, addresses, port = 443, model: tag } = fallback;
    const name = `${llm.name}-${model}-fallback`;
    const chart = Chart.of(llm);
    const keys = { 'api-key': { ask: `the API key of ${host}` } };
    const key = hasKey(fallback) && new DeclaredSecret(chart, `${name}-key`, { name, namespaces: [], keys });
    const service = new ExternalLlmService(chart, name, {
      endpoint: LlmEndpoint.dnsName({ name: host, addresses, port }),
      models: { [model]: { tag } },
      ...(key && { apiKey: key.key('api-key') }),
    });
    return [[model, service]];
  });
  return new Map(made);
}

/** Asks at intervals those models that stay loaded, or all where none does: another one would be loaded for the question. */
export function llmAvailability(llm: ExternalLlmService, { models, availability }: Llm): void {
  if (availability === undefined) return;
  const resident = Object.keys(models).filter((name) => models[name]!.resident === true);
  new LlmAvailability(Chart.of(llm), 'availability', {
    llm,
    everyMinutes: availability.toMinutes(),
    ...(resident.length > 0 && { models: resident }),
  });
}

/** Checks after each sync that the Service reaches the models. In its own folder, so that it blocks nothing while the AI machine is off. */
export function llmProofChart(app: App, homelab: Homelab, llm: ExternalLlmService): void {
  new LlmProof(folder(app, FOLDERS.llmProof, NAMESPACES.services), 'llm-proof', {
    llm,
    apiServer: apiServer(homelab),
    released: Object.entries(homelab.llm?.models ?? {})
      .filter(([, model]) => isTuned(model))
      .map(([name]) => name),
  });
}
