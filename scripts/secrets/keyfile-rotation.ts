import type { Context } from '../clients/context';
import { keptSecrets, valuesOf, type DeclaredSecret } from './kept';
import { keyfileStages } from './keyfile-stages';
import { liveSecrets, secretAction } from './live';
import { NotReady } from '../engine/problem';
import { changed, restart, type Part } from './rotation-parts';
import { readersOf, stalePods } from './readers';

const STAGES = ['both keys, the old one first', 'both keys, the new one first', 'the new key alone'];

/** A new key in three rolling restarts. Which of them is due, the secret in the cluster says. */
export function keyfileParts(
  context: Context,
  declared: readonly DeclaredSecret[],
  secret: DeclaredSecret,
): (readonly [title: string, part: Part])[] {
  const [namespace] = secret.namespaces as [string];
  const members = readersOf(secret).filter(({ kind }) => kind === 'StatefulSet');
  const stale = async () => {
    const since = await changed(context.kubernetes, secret, namespace);
    return (await Promise.all(members.map((reader) => stalePods(context.kubernetes, reader, since)))).flat();
  };
  return STAGES.flatMap((what, index): (readonly [string, Part])[] => [
    [
      `${namespace}/${secret.name} holds ${what}`,
      async () => {
        const now = await stageOf(context, declared, secret, namespace);
        if (now >= index) return undefined;
        if (now < index - 1 || (now >= 0 && (await stale()).length > 0))
          throw new NotReady('every member must have started with the keys before');
        const keyfile = (await stagesOf(context, declared, secret, namespace))[index]!;
        return { lines: [`keyfile: ${what}`], actions: [secretAction(context, secret, namespace, { keyfile })] };
      },
    ],
    ...members.map((reader): readonly [string, Part] => [
      `statefulset ${reader.namespace}/${reader.name} has started with ${what}`,
      async () => {
        const now = await stageOf(context, declared, secret, namespace);
        if (now > index) return undefined;
        if (now < index) throw new NotReady(`${namespace}/${secret.name} must hold ${what} first`);
        return restart(context.kubernetes, secret, reader)();
      },
    ]),
  ]);
}

async function stagesOf(
  context: Context,
  declared: readonly DeclaredSecret[],
  secret: DeclaredSecret,
  namespace: string,
): Promise<readonly string[]> {
  const kept = await keptSecrets(context, declared);
  return keyfileStages(kept.previous[namespace]![secret.name]!.keyfile!, valuesOf(secret, kept).keyfile!);
}

/** Place of what the cluster has among the stages; -1 where it has the old key alone. */
async function stageOf(
  context: Context,
  declared: readonly DeclaredSecret[],
  secret: DeclaredSecret,
  namespace: string,
): Promise<number> {
  const live = (await liveSecrets(context.kubernetes, namespace, [secret.name])).get(secret.name);
  const keyfile = Buffer.from(live?.data?.keyfile ?? '', 'base64').toString();
  return (await stagesOf(context, declared, secret, namespace)).indexOf(keyfile);
}
