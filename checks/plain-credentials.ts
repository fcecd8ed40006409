import { credentialIn } from '../values/credentials';
import type { Check, Finding } from './finding';

/** Values of environment variables that look like credentials: dist/ is in Git, and the history of Git keeps them. */
export const plainCredentials: Check = {
  name: 'plain credentials',
  find: ({ rendering }) =>
    rendering.flatMap(({ construct, object }) => {
      const pod = object.spec?.template?.spec ?? object.spec?.jobTemplate?.spec?.template?.spec;
      const containers = [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])];
      return containers.flatMap(({ env = [] }) => env.flatMap((variable: Variable) => findingOf(construct, variable)));
    }),
};

interface Variable {
  readonly name: string;
  readonly value?: string;
}

function findingOf(construct: string, { name, value }: Variable): Finding[] {
  const why = value === undefined ? undefined : credentialIn(name, value);
  if (why === undefined) return [];
  // Does not print the value, because logs may keep it.
  const message = `${construct}: environment variable ${name} looks like a credential (${why}), and would be in Git as plain text; declare a secret (DeclaredSecret) and use a key of it, or change the password if it was ever committed`;
  return [{ severity: 'warning', message }];
}
