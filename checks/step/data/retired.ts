import { IDENTITY } from '../../../constructs';
import { idsOf, isActive, thingOf, type Database, type Index } from './databases';
import { versionRisks } from './lifecycle';
import { dataRisk, isSame, type Section } from './risk';
import type { Risk } from '../plan';

type Identity = Readonly<Record<string, unknown>>;

/** What must never change, and the section of the documentation that explains it. */
const FIXED: Readonly<Record<string, Section>> = {
  clusterName: 'identity',
  datacenter: 'identity',
  replicaSet: 'identity',
  racks: 'racks',
  volumes: 'storage',
  perReplica: 'storage',
};

/** Number of members that the disks record. Fewer pods have no majority, or miss rows. */
const SIZES: Readonly<Record<string, Section>> = { nodesPerRack: 'racks', members: 'members', replicas: 'members' };

/**
 * Risks of a database that is retired before or after the step. It has no pods on both sides, so this compares the settings that
 * its policy records. Its disks do not change while it is retired.
 */
export function retiredRisks(before: Database, after: Database, was: Index, is: Index): Risk[] {
  if (isActive(before) && isActive(after)) return [];
  const [kept, wanted] = [identityOf(before, was), identityOf(after, is)];
  if (!kept || !wanted) return [];
  const thing = thingOf(before, was);
  const risk = (aspect: string, section: Section, problem: string): Risk =>
    dataRisk({
      what: `${thing}.${aspect}`,
      section,
      objects: [policyOf(before), ...idsOf(before, after)],
      from: kept[aspect],
      to: wanted[aspect],
      problem,
      way: ['put the old value back: its disks do not change while it is retired'],
    });
  return [
    ...Object.entries(FIXED)
      .filter(([aspect]) => kept[aspect] !== undefined && !isSame(inOrder(kept[aspect]), inOrder(wanted[aspect])))
      .map(([aspect, section]) =>
        risk(
          aspect,
          section,
          before.engine === 'service'
            ? 'Its claims are named after the old value: with another one it starts on empty volumes when it is active again.'
            : 'Its disks hold the old value, even while no pod runs: with another one its nodes refuse to start when it is active again.',
        ),
      ),
    ...Object.entries(SIZES)
      .filter(([aspect]) => Number(wanted[aspect]) < Number(kept[aspect]))
      .map(([aspect, section]) =>
        risk(
          aspect,
          section,
          before.engine === 'service'
            ? 'The volumes of the last replicas leave Git, and with them what only these replicas hold.'
            : 'Its disks know all of its members, and none leaves while no pod runs: with fewer pods, members are missing when it is active again.',
        ),
      ),
    ...versionRisks(before, after, was, [kept.image, wanted.image]),
  ];
}

/** Ignores the order of racks and volumes. */
function inOrder(value: unknown): unknown {
  return Array.isArray(value) ? [...value].sort() : value;
}

function policyOf({ namespace, name }: Database): string {
  return `networking.k8s.io/NetworkPolicy ${namespace}/${name}`;
}

function identityOf(database: Database, { byId }: Index): Identity | undefined {
  const text = byId.get(policyOf(database))?.metadata.annotations?.[IDENTITY];
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
