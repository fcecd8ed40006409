import { ENCRYPTED_SECRETS } from '../values/secrets';
import type { Check, Finding, NamedSecret } from './finding';

/** Secrets that pods wait for and that are not generated yet. Runs only if the encrypted file exists. */
export const missingSecrets: Check = {
  name: 'missing secrets',
  needs: ['secrets', 'encrypted'],
  find: ({ secrets, encrypted }) => secrets!.flatMap((secret) => missing(secret, encrypted!)),
};

function missing({ name, namespaces, keys }: NamedSecret, encrypted: ReadonlySet<string>): Finding[] {
  return namespaces.flatMap((namespace) => {
    const lacking = keys.filter((key) => !encrypted.has(`${namespace}/${name}/${key}`));
    if (lacking.length === 0) return [];
    const message = `${ENCRYPTED_SECRETS} lacks ${namespace}/${name} (${lacking.join(', ')}), so its pods would not start; run before pushing: npm run bootstrap -- apply secrets`;
    return [{ severity: 'warning' as const, message }];
  });
}
