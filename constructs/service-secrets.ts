import type { k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import { keysOfSecret, secretName, secretVariable, type Secret, type Secrets } from '../values/secret';
import { filePathProblem } from '../values/mounted-files';
import type { EnvValue } from './env';
import { DeclaredSecret, type SecretKey } from './secrets';
import type { ServicePod } from './service-pod';
import { assertValid, fail } from './validation';

/** A key of a declared secret as a file; NAME_FILE holds the path. */
export interface SecretFile extends SecretKey {
  /** Absolute path of the file. Other files of its folder stay. */
  readonly path: string;
}

/** A secret of a service: its own, a shared one, or a key of a declared secret. */
export type ServiceSecret = Secret | SecretKey | SecretFile;

/** Read by owner and group: the kubelet gives files of a volume to the group of the pod's user. */
const MODE = 0o440;

/** Declares the secrets of a service, and gives them to its pod as variables and files. */
export function giveSecrets(
  scope: Construct,
  { name, namespace }: { readonly name: string; readonly namespace: string },
  pod: ServicePod,
  secrets: Readonly<Record<string, ServiceSecret>> = {},
): void {
  const variables: Record<string, EnvValue> = {};
  const files: [variable: string, file: SecretFile][] = [];
  for (const [variable, secret] of Object.entries(secrets)) {
    const key = isKey(secret) ? secret : keyOf(scope, secretName(name, variable), secret);
    const path = (secret as Partial<SecretFile>).path;
    if (path !== undefined) files.push([variable, { ...key, path }]);
    variables[secretVariable(variable, { path })] = path ?? key;
  }
  pod.addEnv(variables);
  mount(scope, namespace, pod, files);
}

/** Declares the own secrets of a service without pods: its files may be encrypted with one. */
export function keepSecrets(
  scope: Construct,
  { name, namespace }: { readonly name: string; readonly namespace: string },
  secrets: Readonly<Record<string, ServiceSecret>> = {},
): void {
  for (const [variable, secret] of Object.entries(ownSecrets(secrets)!)) {
    const own = secretName(name, variable);
    const { source } = secret;
    if ('shared' in source) continue;
    new DeclaredSecret(scope, own, { name: own, namespaces: [namespace], keys: keysOfSecret(source) });
  }
}

/** What homelab.ts can say too: all but keys of declared secrets. */
export function ownSecrets(secrets: Readonly<Record<string, ServiceSecret>> | undefined): Secrets | undefined {
  if (typeof secrets !== 'object' || secrets === null) return secrets;
  return Object.fromEntries(
    Object.entries(secrets).flatMap(([name, secret]) => (isKey(secret) ? [] : [[name, secret] as const])),
  );
}

function isKey(secret: ServiceSecret): secret is SecretKey | SecretFile {
  return typeof (secret as Partial<SecretKey> | null)?.secret?.readBy === 'function';
}

function keyOf(scope: Construct, name: string, { source, isPublic }: Secret): SecretKey {
  if ('shared' in source) {
    const shared = DeclaredSecret.shared(scope, source.shared);
    return shared.valueKey(isPublic);
  }
  return new DeclaredSecret(scope, name, { name, namespaces: [], keys: keysOfSecret(source) }).valueKey();
}

/** One volume for all, so that each file is mounted alone (subPath) and other files of its folder stay. */
function mount(
  scope: Construct,
  namespace: string,
  pod: ServicePod,
  files: readonly (readonly [string, SecretFile])[],
): void {
  const sources = files.map(([variable, { secret, key, path, optional }]): k8s.VolumeProjection => {
    assertValid(scope, filePathProblem(path, `secrets.${variable}`));
    if (optional)
      fail(scope, {
        what: `secrets.${variable} must be a key that always exists, to be a file`,
        got: key,
        fix: 'use it as a variable, which is left out where the key is missing',
      });
    secret.key(key);
    secret.readBy(scope, namespace);
    return { secret: { name: secret.name, items: [{ key, path: variable }] } };
  });
  for (const [variable, { path }] of files)
    pod.addVolume(
      { name: 'secrets', projected: { sources, defaultMode: MODE } },
      { mountPath: path, subPath: variable, readOnly: true },
    );
}
