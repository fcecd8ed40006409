import { SECRETS } from '../../engine/sops';
import { manifests, type Context } from '../../clients/context';
import { appliedObject } from '../applied-object';
import { action } from '../../engine/actions';
import {
  certificateKeys,
  declaredSecrets,
  keepSecrets,
  keptSecrets,
  makeValues,
  missingKeys,
  otherNames,
  renewal,
  undeclared,
  valuesOf,
  withValues,
  type DeclaredSecret,
  type Kept,
  type Values,
} from '../../secrets/kept';
import { compare, liveDeclared, secretAction } from '../../secrets/live';
import { NotReady, Blocked } from '../../engine/problem';
import { rotationSteps } from '../../secrets/rotation';
import { publicHalf } from '../../secrets/ssh-key';
import type { Action, Progress, Stage, Step } from '../../engine/step';
import { authoritySteps, keptAuthority } from '../../secrets/authority';

/** Stage 7: the namespaces of dist/, and every secret that dist/secrets.yaml lists, generated once. */
export function secrets(context: Context): Stage {
  return {
    name: 'secrets',
    title: 'namespaces, and the secrets in them',
    async steps() {
      const declared = declaredSecrets();
      const certificates = declared.filter((secret) => certificateKeys(secret) !== undefined);
      const kept = await keptSecrets(context, declared);
      // A certificate may have to be renewed; and whatever `rotate` began and could not finish is finished here.
      const changing = declared.filter((secret) => certificates.includes(secret) || isUnderWay(secret, kept));
      return [
        ...manifests()
          .filter(({ object }) => object?.kind === 'Namespace')
          .map((file) => appliedObject(context.kubernetes, file)),
        ...(certificates.length > 0 ? authoritySteps(context) : []),
        values(context, declared),
        inCluster(context, declared),
        ...changing.flatMap((secret) =>
          rotationSteps(context, declared, secret, async () => (await renewals(context, declared)).has(secret)),
        ),
      ];
    },
  };
}

/** Every declared secret has its value in the encrypted file: missing ones are made, those that are there never change. */
function values(context: Context, declared: readonly DeclaredSecret[]): Step {
  return {
    title: `${SECRETS.cluster} holds every secret`,
    async plan() {
      const kept = await keptSecrets(context, declared);
      for (const secret of declared) assertLogin(context, secret, kept);
      const lines = declared.flatMap((secret) => missingLines(secret, kept));
      for (const [secret, why] of await renewals(context, declared))
        lines.push(`${secret.name}: a new certificate, because ${why}`);
      if (lines.length === 0) return undefined;
      const left = undeclared(declared, kept).map(
        (name) => `${name} stays, though dist/secrets.yaml no longer lists it`,
      );
      const questions = declared.flatMap((secret) =>
        Object.keys(secret.keys)
          .filter((key) => valuesOf(secret, kept)[key] === undefined)
          .flatMap((key) => questionsOf(secret, [key])),
      );
      return {
        lines: [...lines, ...left],
        actions: [
          action(`write ${SECRETS.cluster}, encrypted`, (progress) => makeMissing(context, declared, progress)),
        ],
        ...(questions.length > 0 && { secrets: questions }),
      };
    },
  };
}

async function makeMissing(context: Context, declared: readonly DeclaredSecret[], progress: Progress): Promise<void> {
  let kept = await keptSecrets(context, declared);
  const authority = await keptAuthority(context);
  for (const secret of declared) {
    const known = valuesOf(secret, kept);
    const wanted = Object.keys(secret.keys).filter((key) => known[key] === undefined);
    const made = await makeValues(secret, wanted, authority, (key) => asked(context, secret, key));
    kept = { ...kept, secrets: withValues(kept.secrets, secret, secret.namespaces, { ...known, ...made }) };
  }
  for (const [secret] of await renewals(context, declared))
    kept = await replaced(context, secret, kept, Object.values(certificateKeys(secret)!));
  await keepSecrets(context, declared, kept);
  for (const line of publicHalves(declared, kept)) progress(line);
}

/** SSH keys that were made, by what their target must be told: the owner puts the lines there. */
export function publicHalves(declared: readonly DeclaredSecret[], kept: Kept): string[] {
  return declared.flatMap((secret) =>
    Object.entries(valuesOf(secret, kept)).flatMap(([key, value]) => {
      const source = secret.keys[key]!;
      if (!('generate' in source) || source.generate !== 'ssh-ed25519') return [];
      return [`${secret.name}: for authorized_keys of the target: ${publicHalf(value, secret.name) ?? 'no key'}`];
    }),
  );
}

/** One line for each set of keys that is missing somewhere. */
function missingLines(secret: DeclaredSecret, kept: Kept): string[] {
  const known = valuesOf(secret, kept);
  const places = new Map<string, string[]>();
  for (const { namespace, keys } of missingKeys(secret, kept)) {
    const what = keys.map((key) => `${key}: ${origin(secret, key, known)}`).join('; ');
    places.set(what, [...(places.get(what) ?? []), namespace]);
  }
  return [...places].map(([what, namespaces]) => `${secret.name} in ${namespaces.join(' and ')}: ${what}`);
}

/**
 * Certificates that must be made anew, with the reason. None twice: a renewal that is under way is finished first.
 * @throws NotReady when there are certificates, and the authority that they must be from is still to be made
 */
async function renewals(
  context: Context,
  declared: readonly DeclaredSecret[],
): Promise<ReadonlyMap<DeclaredSecret, string>> {
  const authority = await keptAuthority(context);
  const kept = await keptSecrets(context, declared);
  if (authority === undefined) {
    if (declared.some((secret) => certificateKeys(secret) && Object.keys(valuesOf(secret, kept)).length > 0))
      throw new NotReady('the authority comes first');
    return new Map();
  }
  const found = declared
    .filter((secret) => !isUnderWay(secret, kept))
    .map((secret) => [secret, renewal(secret, valuesOf(secret, kept), authority.certificate)] as const);
  return new Map(found.filter((entry): entry is [DeclaredSecret, string] => entry[1] !== undefined));
}

/** Whether a secret's old value is still kept beside the new one. */
export function isUnderWay({ name, namespaces }: DeclaredSecret, { previous }: Kept): boolean {
  return namespaces.some((namespace) => previous[namespace]?.[name] !== undefined);
}

/** The same with new values for some keys, and the old ones beside them. */
export async function replaced(
  context: Context,
  secret: DeclaredSecret,
  kept: Kept,
  keys: readonly string[],
): Promise<Kept> {
  const old = valuesOf(secret, kept);
  const authority = await keptAuthority(context);
  const others = Object.entries(otherNames(secret, old)).filter(([key]) => keys.includes(key));
  const made = {
    ...(await makeValues(secret, keys, authority, (key) => asked(context, secret, key))),
    // So that the old login works until nobody uses it.
    ...Object.fromEntries(others),
  };
  const before: Values = Object.fromEntries(keys.filter((key) => key in old).map((key) => [key, old[key]!]));
  return {
    secrets: withValues(kept.secrets, secret, secret.namespaces, made),
    previous: withValues(kept.previous, secret, secret.namespaces, before),
  };
}

function origin(secret: DeclaredSecret, key: string, known: Values): string {
  const source = secret.keys[key]!;
  if (key in known) return 'the same value as in its other namespace';
  if ('value' in source) return source.value;
  if ('ask' in source) return `you are asked for ${source.ask}`;
  if ('percentEncoded' in source) return `${source.percentEncoded}, percent-encoded`;
  const { generate, ...how } = source;
  return [`a new ${generate}`, ...Object.entries(how).map(([name, value]) => `${name} ${String(value)}`)].join(', ');
}

/** What is asked for some keys of a secret. */
export function questionsOf({ name, type, keys }: DeclaredSecret, some: readonly string[]): string[] {
  return some.flatMap((key) => {
    const source = keys[key]!;
    return 'ask' in source ? [`${name}: ${source.ask}${type === LOGIN ? ', or as USER:TOKEN' : ''}`] : [];
  });
}

const LOGIN = 'kubernetes.io/dockerconfigjson';

/** What only the owner knows, in the form that the secret must have. */
async function asked({ ask, homelab }: Context, secret: DeclaredSecret, key: string): Promise<string> {
  const [question] = questionsOf(secret, [key]);
  const answer = (await ask.secret(question!)).trim();
  if (answer === '') throw new Blocked(`${secret.name} must not be empty; run this again`);
  if (secret.type !== LOGIN) return answer;
  if (homelab.registry === undefined)
    throw new Blocked(`homelab.ts must name the registry that ${secret.name} is a login for, in registry`);
  return registryLogin(answer, homelab.registry.server);
}

/** A login in the form that kubelet reads. @throws Blocked when it is none, without showing it */
export function registryLogin(answer: string, server: string): string {
  if (/^[^\s:{]+:\S+$/.test(answer))
    return JSON.stringify({ auths: { [server]: { auth: Buffer.from(answer).toString('base64') } } });
  let auth: unknown;
  try {
    auth = JSON.parse(answer)?.auths?.[server]?.auth;
  } catch {
    // What the parser says may show the login.
  }
  if (typeof auth !== 'string' || auth === '')
    throw new Blocked(
      `the login for ${server} must be USER:TOKEN, or one line of JSON with auths, ${JSON.stringify(server)} and auth in it (a Mac's config.json has none: its login lies in the keychain); run this again`,
    );
  return answer;
}

/** @throws Blocked when a kept login is for another registry than homelab.ts names, without showing it */
function assertLogin({ homelab }: Context, secret: DeclaredSecret, kept: Kept): void {
  const [login] = Object.values(valuesOf(secret, kept));
  if (secret.type !== LOGIN || homelab.registry === undefined || login === undefined) return;
  const { server } = homelab.registry;
  let servers: string[] = [];
  try {
    servers = Object.keys(JSON.parse(login).auths);
  } catch {
    // What the parser says may show the login.
  }
  if (!servers.includes(server))
    throw new Blocked(
      `${secret.name} must be a login for ${server} (registry.server in homelab.ts), and in ${SECRETS.cluster} is one for ${servers.join(' and ') || 'no registry'}; npm run bootstrap -- rotate ${secret.name}`,
    );
}

/** The cluster has them all. What is there with another value is never overwritten. */
function inCluster(context: Context, declared: readonly DeclaredSecret[]): Step {
  return {
    title: 'every secret is in the cluster',
    async plan() {
      const kept = await keptSecrets(context, declared);
      if (declared.some((secret) => missingKeys(secret, kept).length > 0))
        throw new NotReady('their values come first');
      const actions: Action[] = [];
      for (const { secret, namespace, live } of await liveDeclared(context.kubernetes, declared)) {
        const values = valuesOf(secret, kept);
        const { is } = compare(secret, namespace, values, kept, live);
        if (is === 'missing') actions.push(secretAction(context, secret, namespace, values));
      }
      return actions.length === 0 ? undefined : { actions };
    },
  };
}
