import { NotReady } from '../engine/problem';
import { keyfileStages } from './live';
import { readersOf } from './readers';
import { restart, type Part, type Rotation } from './rotation-parts';

const STAGES = ['both keys, the old one first', 'both keys, the new one first', 'the new key alone'];

/** A new key in three rolling restarts. Which of them is due, the secret in the cluster says. */
export function keyfileParts(of: Rotation): (readonly [title: string, part: Part])[] {
  const { secret } = of;
  const [namespace] = secret.namespaces as [string];
  const members = readersOf(secret).filter(({ kind }) => kind === 'StatefulSet');
  const stale = async () => (await Promise.all(members.map((reader) => of.stale(reader)))).flat();
  const stages = async () => {
    const { now, previous } = await of.values(namespace);
    return keyfileStages(previous.keyfile!, now.keyfile!);
  };
  /** Place of what the cluster has among the stages; -1 where it has the old key alone. */
  const reached = async () => {
    const keyfile = Buffer.from((await of.live(namespace))?.data?.keyfile ?? '', 'base64').toString();
    return (await stages()).indexOf(keyfile);
  };
  return STAGES.flatMap((what, index): (readonly [string, Part])[] => [
    [
      `${namespace}/${secret.name} holds ${what}`,
      async () => {
        const now = await reached();
        if (now >= index) return undefined;
        if (now < index - 1 || (now >= 0 && (await stale()).length > 0))
          throw new NotReady('every member must have restarted with the previous keys first');
        const keyfile = (await stages())[index]!;
        return { lines: [`keyfile: ${what}`], actions: [of.put(namespace, { keyfile })] };
      },
    ],
    ...members.map((reader): readonly [string, Part] => [
      `statefulset ${reader.namespace}/${reader.name} has started with ${what}`,
      async () => {
        const now = await reached();
        if (now > index) return undefined;
        if (now < index) throw new NotReady(`${namespace}/${secret.name} must hold ${what} first`);
        return restart(of, reader)();
      },
    ]),
  ]);
}
