/** Name of the secret with the key of one client of the models. */
export function llmKeySecret(service: string, client: string): string {
  return `${service}-${client}`;
}

/** Clients besides services and web apps: the check after each sync, and the one at intervals. */
export const LLM_CHECKS = { proof: 'proof', availability: 'availability' } as const;
