import { podSpecOf } from '../constructs';
import { credentialIn, credentialInArguments, credentialInFile } from '../values/credentials';
import type { Check, Finding } from './finding';
import type { RenderedObject } from './rendering';

/**
 * Values that look like credentials in variables and arguments of every kind of pod, in files of ConfigMaps, and in Secrets:
 * dist/ is in Git, and the history of Git keeps them.
 */
export const plainCredentials: Check = {
  name: 'plain credentials',
  find: ({ rendering }) =>
    rendering.flatMap((rendered) => [...inPod(rendered), ...inFiles(rendered), ...inSecret(rendered)]),
};

function inPod({ construct, object }: RenderedObject): Finding[] {
  const pod = podSpecOf(object);
  const containers = [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])];
  return containers.flatMap(({ name, env = [], command = [], args = [] }) => [
    ...env.flatMap((variable: { readonly name: string; readonly value?: string }) =>
      warning(
        construct,
        `environment variable ${variable.name}`,
        variable.value === undefined ? undefined : credentialIn(variable.name, variable.value),
      ),
    ),
    ...warning(construct, `an argument of container ${name}`, credentialInArguments([...command, ...args])),
  ]);
}

function inFiles({ construct, object }: RenderedObject): Finding[] {
  if (object.kind !== 'ConfigMap') return [];
  return Object.entries<unknown>(object.data ?? {}).flatMap(([file, text]) => {
    const found = typeof text === 'string' ? credentialInFile(file, text) : undefined;
    return found ? warning(construct, `line ${found.line} of file ${file}`, found.why) : [];
  });
}

function inSecret({ construct, object }: RenderedObject): Finding[] {
  const keys = object.kind === 'Secret' ? Object.keys({ ...object.data, ...object.stringData }) : [];
  return keys.length === 0 ? [] : warning(construct, `Secret ${object.metadata.name}`, `it holds ${keys.join(', ')}`);
}

function warning(construct: string, what: string, why: string | undefined): Finding[] {
  if (why === undefined) return [];
  // Does not print the value, because logs may keep it.
  const message = `${construct}: ${what} looks like a credential (${why}), and would be in Git as plain text; write it as a secret of the service, as secrets: { NAME: Secret.asked('what it is') }, and change it if it was ever committed`;
  return [{ severity: 'warning', message }];
}
