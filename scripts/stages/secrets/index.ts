import { isDerived, type ListedSecret } from '../../../values/secrets';
import { manifests, type Context } from '../../clients/context';
import type { Kubernetes } from '../../clients/kubernetes';
import { action } from '../../engine/actions';
import { NotReady } from '../../engine/problem';
import { SECRETS } from '../../engine/sops';
import { step, type Action, type Progress, type Stage, type Step } from '../../engine/step';
import { authoritySteps } from '../../secrets/authority';
import { certificateKeys, type Values } from '../../secrets/declared';
import { compare, liveDeclared, secretAction } from '../../secrets/live';
import { questionsOf, SecretMaker } from '../../secrets/made';
import { proxyOf } from '../../secrets/llm-keys';
import { assertLogin } from '../../secrets/registry-login';
import { rotationSteps } from '../../secrets/rotation';
import { publicHalf } from '../../secrets/ssh-key';
import { isUnderWay, missingKeys, SecretStore, undeclared, valuesOf, withValues, type Kept } from '../../secrets/store';
import { appliedObject } from '../applied-object';

/** Stage 7: the namespaces of dist/, and every secret that dist/secrets.yaml lists, generated once. */
export function secrets(context: Context): Stage {
  const { homelab, kubernetes, sops, ask } = context;
  return {
    name: 'secrets',
    title: 'namespaces and their secrets',
    async steps() {
      const store = new SecretStore(sops);
      const { declared } = store;
      const maker = new SecretMaker(homelab, sops, ask);
      const certificates = declared.filter((secret) => certificateKeys(secret) !== undefined);
      const kept = await store.read();
      // A certificate may have to be renewed; and whatever `rotate` began and could not finish is finished here.
      const changing = declared.filter((secret) => certificates.includes(secret) || isUnderWay(secret, kept));
      const assertLogins = (now: Kept) => declared.forEach((secret) => assertLogin(homelab, secret, now));
      return [
        ...manifests()
          .filter(({ object }) => object?.kind === 'Namespace')
          .map((file) => appliedObject(kubernetes, file)),
        ...(certificates.length > 0 ? authoritySteps(sops, homelab) : []),
        keptValues(store, maker, assertLogins),
        inCluster(kubernetes, store),
        ...changing.flatMap((secret) =>
          rotationSteps(
            kubernetes,
            store,
            secret,
            async () => (await maker.renewals(declared, await store.read())).has(secret),
            proxyOf(context, store, secret),
          ),
        ),
      ];
    },
  };
}

/** Every declared secret has its value in the encrypted file: missing ones are made, those that are there never change. */
export function keptValues(
  store: SecretStore,
  maker: SecretMaker,
  assertLogins: (kept: Kept) => void,
  declared = store.declared,
): Step {
  const make = action(`write ${SECRETS.cluster}, encrypted`, (progress) =>
    makeMissing(store, maker, declared, progress),
  );
  return step(
    `${SECRETS.cluster} holds every secret${declared === store.declared ? '' : ' of this stage'}`,
    async () => {
      const kept = await store.read();
      assertLogins(kept);
      const lines = declared.flatMap((secret) => missingLines(secret, kept));
      for (const [secret, why] of await maker.renewals(declared, kept))
        lines.push(`${secret.name}: a new certificate, because ${why}`);
      if (lines.length === 0) return undefined;
      const left = undeclared(store.declared, kept).map(
        (name) => `${name} stays, although dist/secrets.yaml no longer lists it`,
      );
      const questions = declared.flatMap((secret) => questionsOf(secret, unknownKeys(secret, kept)));
      return { lines: [...lines, ...left], actions: [make], ...(questions.length > 0 && { secrets: questions }) };
    },
  );
}

/** Keys that have no value in any namespace. */
function unknownKeys(secret: ListedSecret, kept: Kept): string[] {
  const known = valuesOf(secret, kept);
  return Object.keys(secret.keys).filter((key) => known[key] === undefined);
}

async function makeMissing(
  store: SecretStore,
  maker: SecretMaker,
  declared: readonly ListedSecret[],
  progress: Progress,
): Promise<void> {
  let kept = await store.read();
  for (const secret of declared) {
    const made = await maker.make(secret, unknownKeys(secret, kept));
    const whole = { ...valuesOf(secret, kept), ...made };
    kept = { ...kept, secrets: withValues(kept.secrets, secret, secret.namespaces, whole) };
  }
  for (const [secret] of await maker.renewals(declared, kept))
    kept = await maker.replaced(secret, kept, Object.values(certificateKeys(secret)!));
  await store.write(kept);
  for (const line of publicHalves(declared, kept)) progress(line);
}

/** Lines for authorized_keys of the backup targets, for each new SSH key: the owner adds them there. */
export function publicHalves(declared: readonly ListedSecret[], kept: Kept): string[] {
  return declared.flatMap((secret) =>
    Object.entries(valuesOf(secret, kept)).flatMap(([key, value]) => {
      const source = secret.keys[key]!;
      if (!('generate' in source) || source.generate !== 'ssh-ed25519') return [];
      return [
        `${secret.name}: for authorized_keys of what it logs in to: ${publicHalf(value, secret.name) ?? 'no key'}`,
      ];
    }),
  );
}

/** One line for each set of keys that is missing somewhere. */
function missingLines(secret: ListedSecret, kept: Kept): string[] {
  const known = valuesOf(secret, kept);
  const places = new Map<string, string[]>();
  for (const { namespace, keys } of missingKeys(secret, kept)) {
    const what = keys.map((key) => `${key}: ${origin(secret, key, known)}`).join('; ');
    places.set(what, [...(places.get(what) ?? []), namespace]);
  }
  return [...places].map(([what, namespaces]) => `${secret.name} in ${namespaces.join(' and ')}: ${what}`);
}

function origin(secret: ListedSecret, key: string, known: Values): string {
  const source = secret.keys[key]!;
  if (key in known) return 'the same value as in its other namespace';
  if ('value' in source) return source.value;
  if ('ask' in source) return `you are asked for ${source.ask}`;
  if (isDerived(source))
    return 'percentEncoded' in source
      ? `${source.percentEncoded}, percent-encoded`
      : `the public half of ${source.publicHalfOf}`;
  const { generate, ...how } = source;
  return [`a new ${generate}`, ...Object.entries(how).map(([name, value]) => `${name} ${String(value)}`)].join(', ');
}

/** The cluster has them all. What is there with another value is never overwritten. */
function inCluster(kubernetes: Kubernetes, store: SecretStore): Step {
  return step('every secret is in the cluster', async () => {
    const kept = await store.read();
    if (store.declared.some((secret) => missingKeys(secret, kept).length > 0))
      throw new NotReady('their values must be created first');
    const actions: Action[] = [];
    for (const { secret, namespace, live } of await liveDeclared(kubernetes, store.declared)) {
      const values = valuesOf(secret, kept);
      const { is } = compare(secret, namespace, values, kept, live);
      if (is === 'missing') actions.push(secretAction(kubernetes, secret, namespace, values));
    }
    return actions.length === 0 ? undefined : { actions };
  });
}
