import { sentence } from '../values/problem';
import { keysOfSecret, secretName, secretVariable, sharedSecretName, type Secret } from '../values/secret';
import type { Homelab } from './homelab';
import { oneOf, twice } from './reference';
import type { Service } from './services';
import { at } from './shape';

/** Validates secrets of services against those that the homelab declares, and against variables. */
export function secretProblems(homelab: Homelab): string[] {
  const clients = (['services', 'webApps'] as const).flatMap((group) =>
    Object.entries(homelab[group]).map(([name, service]) => [at(group, name), name, service] as const),
  );
  const uses = clients.flatMap(([place, name, { secrets = {} }]) =>
    Object.entries(secrets).map(([variable, secret]) => ({
      place: at(at(place, 'secrets'), variable),
      name: secretName(name, variable),
      secret,
    })),
  );
  const { secrets: declared = {} } = homelab;
  return [
    ...uses.flatMap(({ place, secret }) => sharedProblems(declared, place, secret)),
    ...unused(
      declared,
      uses.map(({ secret }) => secret),
    ),
    ...twice([
      ...Object.keys(declared).map((name): [string, string] => [at('secrets', name), sharedSecretName(name)]),
      ...uses.flatMap(({ place, name, secret }): [string, string][] =>
        'shared' in secret.source ? [] : [[place, name]],
      ),
    ]),
    ...clients.flatMap(([place, , service]) => variables(place, service)),
  ];
}

function sharedProblems(declared: Readonly<Record<string, Secret>>, place: string, secret: Secret): string[] {
  if (!('shared' in secret.source)) return [];
  const { shared } = secret.source;
  const known = Object.hasOwn(declared, shared) ? declared[shared]! : undefined;
  if (known === undefined)
    return oneOf(`${place} must be declared in secrets of the homelab`, shared, Object.keys(declared));
  const isPair = !('shared' in known.source) && 'public-key' in keysOfSecret(known.source);
  if (!secret.isPublic || isPair) return [];
  return [
    sentence({
      what: `${place} must be the public half of a key`,
      got: `${shared}, which is no key pair`,
      allowed: 'Secret.keyPair and Secret.sshKey have a public half',
      fix: `leave out .publicHalf(), or write ${at('secrets', shared)}: Secret.keyPair()`,
    }),
  ];
}

/** A declared secret that nobody uses would have no namespace, and so never be made. */
function unused(declared: Readonly<Record<string, Secret>>, used: readonly Secret[]): string[] {
  return Object.keys(declared)
    .filter((name) => !used.some(({ source }) => 'shared' in source && source.shared === name))
    .map((name) =>
      sentence({
        what: `${at('secrets', name)} must be used by a service`,
        got: 'no service that names it',
        fix: `write NAME: Secret.shared('${name}') in secrets of a service, or remove it`,
      }),
    );
}

function variables(place: string, { secrets = {}, env = {} }: Service): string[] {
  return twice([
    ...Object.keys(env).map((name): [string, string] => [at(at(place, 'env'), name), name]),
    ...Object.entries(secrets).map(([name, secret]): [string, string] => [
      at(at(place, 'secrets'), name),
      secretVariable(name, secret),
    ]),
  ]);
}
