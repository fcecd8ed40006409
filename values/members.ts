import type { Duration } from 'cdk8s';
import { sentence } from './problem';

/** Maximum number of voting members of a replica set (MongoDB's limit). */
export const MAX_VOTERS = 7;

/** Makes a member something other than a plain one, which clients read and which may become primary. */
export interface MemberOptions {
  /**
   * Hides the member from clients: a copy for backups or reports. It votes, acknowledges writes, and never becomes primary.
   * @default false, but true with `delay`
   */
  readonly hidden?: boolean;
  /**
   * How far the member stays behind, so that data from before a mistake can be recovered from it: whole seconds, from 1 minute
   * to 366 days (MongoDB's limit). It is hidden and does not vote: otherwise writes of clients would wait for this delay when
   * another member is down. The oplog must cover more time than the delay, or the member needs a full copy of the data. MongoDB
   * gives the oplog 5 % of the disk; `replication.oplogSizeMB` in `config` sets it for a new member. @default none
   */
  readonly delay?: Duration;
}

/** Options by the ordinal of the member. */
export type OptionsOfMembers = Readonly<Record<number, MemberOptions>>;

/** One member, as the configuration of the replica set holds it. */
export interface Member {
  readonly votes: 0 | 1;
  readonly priority: number;
  readonly hidden?: true;
  readonly secondaryDelaySecs?: number;
}

/**
 * Configuration of each member. The first seven that are not delayed vote. Ordinal 0 wins elections while it is healthy: a
 * StatefulSet updates from the highest ordinal down, so the primary restarts last.
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

/** What is wrong with the number of members of a replica set or with their options, as a sentence, or undefined. */
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
      fix: `use ${members + 1} members: an even number of voters survives no more failures than one voter fewer`,
    });
  if (voters <= MAX_VOTERS && voters % 2 === 0)
    return sentence({
      what: `${what} must be an odd number while all of them vote`,
      got: value,
      allowed: '1, 3, 5, 7, or 8 and more, of which only 7 vote',
      fix: `use ${members - 1} or ${members + 1}: ${members} members survive no more failures than ${members - 1}`,
    });
  const electable = membersOf(members, options).filter(({ priority }) => priority > 0).length;
  if (voters === 1 || electable > 1) return undefined;
  return sentence({
    what: `${optionsPlace} must leave two members that may become primary`,
    got: `${electable}: a hidden member never becomes primary`,
    fix: 'make one of the hidden members plain, or add members: otherwise writes stop while ordinal 0 is down',
  });
}

function optionsProblem(ordinal: string, options: MemberOptions, members: number, what: string): string | undefined {
  const { hidden, delay } = options;
  if (!/^\d+$/.test(ordinal) || Number(ordinal) >= members)
    return sentence({
      what: `${what} must be the ordinal of a member`,
      got: ordinal,
      allowed: `ordinals from 1 to ${members - 1}`,
      fix: 'correct the ordinal, or raise members',
    });
  if (hidden !== undefined && typeof hidden !== 'boolean')
    return sentence({ what: `${what}.hidden must be true or false`, got: hidden, fix: 'write hidden: true' });
  if (ordinal === '0' && (hidden || delay !== undefined))
    return sentence({
      what: `${what} must be plain: ordinal 0 is the primary while it is healthy`,
      got: options,
      fix: 'hide or delay the last member instead',
    });
  if (delay === undefined) return undefined;
  const problem = delayProblem(delay, `${what}.delay`);
  if (problem !== undefined || hidden !== false) return problem;
  return sentence({
    what: `${what}.hidden must not be false when delay is set`,
    got: hidden,
    fix: 'leave hidden out: otherwise clients would read old data',
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
    fix: 'lower members first; after the members have left the set, lower pods in a second commit',
  });
}

/** What is wrong with the wanted nodes of each rack of a ring, as a sentence, or undefined. */
export function membersPerRackProblem(members: unknown, pods: number, what: string): string | undefined {
  if (Number.isInteger(members) && (members as number) >= 1 && (members as number) <= pods) return undefined;
  return sentence({
    what: `${what} must be between 1 and nodesPerRack`,
    got: `${String(members)} members, ${pods} pods`,
    fix: 'lower membersPerRack first; after the nodes have left the ring, lower nodesPerRack in a second commit',
  });
}
