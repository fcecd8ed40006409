import type { Duration } from 'cdk8s';
import { sentence } from './problem';

/** Members of a replica set that vote, at most (MongoDB's limit). */
export const MAX_VOTERS = 7;

/** What a member of a replica set is besides a copy that may become primary. */
export interface MemberOptions {
  /**
   * Whether clients do not see it: a copy for backups or reports. It votes, acknowledges writes, and never becomes primary.
   * @default false, but true with `delay`
   */
  readonly hidden?: boolean;
  /**
   * By how much it stays behind, so that a mistake can be taken back from it: whole seconds, from 1 minute to 366 days (MongoDB's
   * own limit). It is hidden and does not vote: otherwise writes of clients would wait for it as long when another member is
   * down. The oplog must hold more than that, or the member is lost; MongoDB makes it 5 % of the disk, `replication.oplogSizeMB` in
   * `config` sets that of a new member. @default none
   */
  readonly delay?: Duration;
}

/** Options by the ordinal of the member. */
export type OptionsOfMembers = Readonly<Record<number, MemberOptions>>;

/** One member, as the set is told. */
export interface Member {
  readonly votes: 0 | 1;
  readonly priority: number;
  readonly hidden?: true;
  readonly secondaryDelaySecs?: number;
}

/**
 * What each member is: the first seven that are not delayed vote. Ordinal 0 wins elections while it is well: an update goes from
 * the highest ordinal down, so the primary rolls last.
 */
export function membersOf(count: number, options: OptionsOfMembers = {}): Member[] {
  let voters = 0;
  return Array.from({ length: count }, (_, ordinal) => {
    const { delay, hidden = delay !== undefined } = options[ordinal] ?? {};
    const votes = delay === undefined && voters < MAX_VOTERS ? 1 : 0;
    voters += votes;
    return {
      votes,
      priority: votes === 0 || hidden ? 0 : ordinal === 0 ? 2 : 1,
      ...(hidden && { hidden }),
      ...(delay && { secondaryDelaySecs: delay.toSeconds() }),
    };
  });
}

/** What is wrong with a number of members of a replica set and with what they are, as a sentence, or undefined. */
export function membersProblem(
  value: unknown,
  what: string,
  options: OptionsOfMembers = {},
  optionsPlace = 'memberOptions',
): string | undefined {
  const members = value as number;
  if (!Number.isInteger(value) || members < 1 || members > 50)
    return sentence({ what: `${what} must be between 1 and 50`, got: value, fix: 'three survive the loss of one' });
  const wrong = Object.keys(options)
    .map((ordinal) => optionsProblem(ordinal, options[Number(ordinal)] ?? {}, members, `${optionsPlace}.${ordinal}`))
    .find((problem) => problem !== undefined);
  if (wrong !== undefined) return wrong;
  const delayed = Object.values(options).filter((each) => each?.delay !== undefined).length;
  const voters = members - delayed;
  if (delayed > 0 && voters < MAX_VOTERS && voters % 2 === 0)
    return sentence({
      what: `${what} must leave an odd number of voters: a delayed member does not vote`,
      got: `${members} members, ${delayed} delayed`,
      allowed: '1, 3, 5 or 7 voters, or more members',
      fix: `use ${members + 1} members: an even number of voters survives no more failures than one less`,
    });
  if (voters <= MAX_VOTERS && voters % 2 === 0)
    return sentence({
      what: `${what} must be an odd number while all of them vote`,
      got: value,
      allowed: '1, 3, 5, 7; from 8 on the further ones do not vote',
      fix: `use ${members - 1} or ${members + 1}: an even one more survives no more failures`,
    });
  const electable = membersOf(members, options).filter(({ priority }) => priority > 0).length;
  if (voters === 1 || electable > 1) return undefined;
  return sentence({
    what: `${optionsPlace} must leave two members that may become primary`,
    got: `${electable}: hidden members never do`,
    fix: 'let one of the hidden members be a plain one, or add members: without a second one nothing is written while ordinal 0 is down',
  });
}

function optionsProblem(ordinal: string, options: MemberOptions, members: number, what: string): string | undefined {
  const { hidden, delay } = options;
  if (!/^\d+$/.test(ordinal) || Number(ordinal) >= members)
    return sentence({
      what: `${what} must be of a member`,
      got: ordinal,
      allowed: `ordinals from 1 to ${members - 1}`,
      fix: 'correct the ordinal, or raise members',
    });
  if (hidden !== undefined && typeof hidden !== 'boolean')
    return sentence({ what: `${what}.hidden must be true or false`, got: hidden, fix: 'write hidden: true' });
  if (ordinal === '0' && (hidden || delay !== undefined))
    return sentence({
      what: `${what} must be plain: ordinal 0 is the primary while it is well`,
      got: options,
      fix: 'hide or delay the last member instead',
    });
  if (delay === undefined) return undefined;
  const problem = delayProblem(delay, `${what}.delay`);
  if (problem !== undefined || hidden !== false) return problem;
  return sentence({
    what: `${what}.hidden must not be false where delay is set`,
    got: hidden,
    fix: 'leave hidden out: clients would read old data',
  });
}

/** What is wrong with the delay of a member, as a sentence, or undefined. */
export function delayProblem(value: unknown, what: string): string | undefined {
  const seconds =
    typeof (value as Partial<Duration> | null)?.toSeconds === 'function'
      ? (value as Duration).toSeconds({ integral: false })
      : NaN;
  if (Number.isInteger(seconds) && seconds >= 60 && seconds <= 366 * 86_400) return undefined;
  return sentence({
    what: `${what} must be a Duration from 1 minute to 366 days`,
    got: Number.isFinite(seconds) ? `${seconds} s` : value,
    allowed: 'whole seconds',
    fix: 'write Duration.hours(1)',
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
