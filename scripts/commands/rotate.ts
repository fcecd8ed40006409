import type { ListedSecret } from '../../values/secrets';
import type { Context } from '../clients/context';
import { GitRepository } from '../clients/git';
import { action } from '../engine/actions';
import { EXIT, Blocked, Usage } from '../engine/problem';
import { SECRETS } from '../engine/sops';
import type { Stage, Step } from '../engine/step';
import { changingKeys } from '../secrets/declared';
import { proxyOf } from '../secrets/llm-keys';
import { questionsOf, SecretMaker } from '../secrets/made';
import { byHand } from '../secrets/readers';
import { rotationSteps } from '../secrets/rotation';
import { absentJobs } from '../secrets/rotation-parts';
import { isUnderWay, missingKeys, SecretStore } from '../secrets/store';
import { applyStage } from './plan';

/**
 * Replaces one secret, and distributes the new value to every user of it. The old value stays in the encrypted file until all
 * of them have the new one. After an interruption, this command or stage secrets continues.
 */
export async function rotate(context: Context, [name]: readonly string[]): Promise<number> {
  const store = new SecretStore(context.sops);
  const secret = chosen(store.declared, name);
  const manual = byHand(context.homelab, secret);
  if (manual !== undefined) throw new Blocked(manual);
  await applyStage(context, rotation(context, store, secret));
  console.log(`\n${secret.name} has a new value, and nothing uses the old value any more; commit ${SECRETS.cluster}`);
  return EXIT.done;
}

function rotation(context: Context, store: SecretStore, secret: ListedSecret): Stage {
  const { homelab, kubernetes, sops, ask } = context;
  const repository = new GitRepository(context.commands, homelab);
  const maker = new SecretMaker(homelab, sops, ask);
  let begun = false;
  const what = `a new value of ${changingKeys(secret).join(', ')}; the old one is kept until nothing uses it`;
  const replace = async () => {
    await store.write(await maker.replaced(secret, await store.read(), changingKeys(secret)));
  };
  const begin: Step = {
    title: `${SECRETS.cluster} holds a new value for ${secret.name}`,
    async plan() {
      const kept = await store.read();
      if (isUnderWay(secret, kept)) begun = true;
      if (begun) return undefined;
      if (missingKeys(secret, kept).length > 0)
        throw new Blocked(
          `${secret.name} must have a value before it gets another one; npm run bootstrap -- apply secrets`,
        );
      const absent = await absentJobs(kubernetes, secret);
      const problem = absent.length > 0 ? await repository.pushProblem() : undefined;
      if (problem !== undefined) {
        const { url, revision } = repository;
        throw new Blocked(
          `job ${absent.join(' and ')} of dist/ must run again, but is not in the cluster. ${revision} of ${url} must have this dist/, but ${problem}`,
        );
      }
      const questions = questionsOf(secret, changingKeys(secret));
      return {
        actions: [action(`${SECRETS.cluster}: ${what}`, replace)],
        ...(questions.length > 0 && { secrets: questions }),
      };
    },
  };
  return {
    name: 'rotate',
    title: `a new value for ${secret.name}, in ${secret.namespaces.join(' and ')}`,
    steps: async () => [
      begin,
      ...rotationSteps(kubernetes, store, secret, async () => !begun, proxyOf(context, store, secret)),
    ],
  };
}

function chosen(declared: readonly ListedSecret[], name: string | undefined): ListedSecret {
  const matches = declared.filter(
    (each) => each.name === name || each.namespaces.some((namespace) => `${namespace}/${each.name}` === name),
  );
  if (matches.length === 1) return matches[0]!;
  const all = declared.map((each) => each.name).join(', ');
  throw new Usage(
    matches.length === 0
      ? `no secret ${name ?? ''} (allowed: ${all})`
      : `${name} is declared more than once; write NAMESPACE/${name}`,
  );
}
