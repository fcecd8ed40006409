import type { Check } from './finding';

/** Secrets that pods wait for and nobody has generated yet. Made only where there is an encrypted file to look into. */
export const missingSecrets: Check = ({ secrets, encrypted }) => {
  if (!secrets || !encrypted) return [];
  return secrets.flatMap(({ name, namespaces, keys }) =>
    namespaces.flatMap((namespace) => {
      const missing = keys.filter((key) => !encrypted.has(`${namespace}/${name}/${key}`));
      if (missing.length === 0) return [];
      const message = `secrets.sops.yaml lacks ${namespace}/${name} (${missing.join(', ')}), so its pods would not start; run before pushing: npm run bootstrap -- apply secrets`;
      return [{ severity: 'warning' as const, check: 'missing-secrets', message }];
    }),
  );
};
