import { sentence } from './problem';

/** Members of a replica set that vote, at most (MongoDB's limit). */
export const MAX_VOTERS = 7;

/** What is wrong with a number of members of a replica set, as a sentence, or undefined. */
export function membersProblem(value: unknown, what: string): string | undefined {
  const members = value as number;
  if (!Number.isInteger(value) || members < 1 || members > 50)
    return sentence({ what: `${what} must be between 1 and 50`, got: value, fix: 'three survive the loss of one' });
  if (members > MAX_VOTERS || members % 2 === 1) return undefined;
  return sentence({
    what: `${what} must be an odd number while all of them vote`,
    got: value,
    allowed: '1, 3, 5, 7; from 8 on the further ones do not vote',
    fix: `use ${members - 1} or ${members + 1}: an even one more survives no more failures`,
  });
}

/** What is wrong with running fewer pods than there are members, as a sentence, or undefined. */
export function podsProblem(pods: unknown, members: number, what: string): string | undefined {
  if (Number.isInteger(pods) && (pods as number) >= members && (pods as number) <= 50) return undefined;
  return sentence({
    what: `${what} must be at least as many as members`,
    got: `${String(pods)} pods, ${members} members`,
    fix: 'lower members first; once the set has let them go, lower pods in a second commit',
  });
}

/** What is wrong with the wanted nodes of each rack of a ring, as a sentence, or undefined. */
export function membersPerRackProblem(members: unknown, pods: number, what: string): string | undefined {
  if (Number.isInteger(members) && (members as number) >= 1 && (members as number) <= pods) return undefined;
  return sentence({
    what: `${what} must be between 1 and nodesPerRack`,
    got: `${String(members)} members, ${pods} pods`,
    fix: 'lower membersPerRack first; once the nodes have left the ring, lower nodesPerRack in a second commit',
  });
}
