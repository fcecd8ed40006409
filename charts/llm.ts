import type { App } from 'cdk8s';
import { ExternalLlmService, LlmEndpoint, LlmProof } from '../constructs';
import { FOLDERS, NAMESPACES, servedName, type Homelab, type Llm } from '../inventory';
import { apiServer, folder } from './context';

/** The Service for the AI machine. It is in the namespace of its clients, so that they can use its short name. */
export function llmChart(app: App, { machines }: Homelab, llm: Llm): ExternalLlmService {
  const at = { address: machines[llm.machine]!.address, port: llm.port };
  return new ExternalLlmService(folder(app, FOLDERS.llm, NAMESPACES.services), llm.service, {
    endpoint: llm.via === 'tcp-proxy' ? LlmEndpoint.tcpProxy(at) : LlmEndpoint.endpointSlice(at),
    models: Object.fromEntries(
      Object.entries(llm.models).map(([name, model]) => [name, { tag: servedName(name, model) }]),
    ),
  });
}

/** Checks after each sync that the Service reaches the models. In its own folder, so that it blocks nothing while the AI machine is off. */
export function llmProofChart(app: App, homelab: Homelab, llm: ExternalLlmService): void {
  new LlmProof(folder(app, FOLDERS.llmProof, NAMESPACES.services), 'llm-proof', {
    llm,
    apiServer: apiServer(homelab),
  });
}
