import type { Risk } from '../plan';
import type { Pair, Step } from '../step';
import { argoCdRisks } from './argo-cd';
import { backupRisks } from './backups';
import { cassandraRisks } from './cassandra';
import { claimRisks } from './claims';
import { indexOf, isActive, type Database, type Index } from './databases';
import { templateRisks } from './disks';
import { goneRisks, kindRisks, secretRisks, versionRisks } from './lifecycle';
import { mongodbRisks } from './mongodb';
import { mountRisks } from './mounts';
import { retiredRisks } from './retired';
import { goneSetRisks, setRisks } from './stateful-sets';
import { volumeRisks } from './volumes';

/** Data that a step would lose or leave behind. Looks at rendered objects only. */
export function dataRisks(step: Step, pairs: readonly Pair[]): Risk[] {
  const changed = pairs.some(
    ({ before, after }) => before?.object !== after?.object || before?.folder !== after?.folder,
  );
  if (!changed && step.before.secrets === step.after.secrets) return [];
  const before = indexOf(step.before);
  const after = indexOf(step.after);
  return unique([
    ...goneRisks(before, after),
    ...runningRisks(step, before, after),
    ...awayRisks(before, after),
    ...goneSetRisks(pairs, before, after),
    ...templateRisks(pairs, before),
    ...setRisks(pairs, before),
    ...volumeRisks(pairs, before, after),
    ...claimRisks(pairs, before),
    ...mountRisks(pairs, before),
    ...argoCdRisks(step, pairs, before, after),
  ]);
}

/** Databases that run before and after the step. */
function runningRisks(step: Step, before: Index, after: Index): Risk[] {
  const names = ({ secrets }: Step['before']) =>
    new Set(secrets.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`));
  const [had, has] = [names(step.before), names(step.after)];
  return [...before.databases.values()].filter(isActive).flatMap((was) => {
    const is = after.databases.get(was.key);
    if (!isActive(is)) return [];
    return [
      ...versionRisks(was, is, before),
      ...kindRisks(was, is, before),
      ...ownRules(was, is, before),
      ...backupRisks(was, is, before, after),
      ...secretRisks(was, had, has, before),
    ];
  });
}

function awayRisks(before: Index, after: Index): Risk[] {
  return [...before.databases.values()].flatMap((was) => {
    const is = after.databases.get(was.key);
    return is ? retiredRisks(was, is, before, after) : [];
  });
}

function ownRules(was: Database, is: Database, before: Index): Risk[] {
  if (was.engine === 'cassandra') return cassandraRisks(was, is, before);
  if (was.engine === 'mongodb') return mongodbRisks(was, is, before);
  return [];
}

/** Reports the same risk of several containers or racks once, with all their objects. */
function unique(risks: readonly Risk[]): Risk[] {
  const found = new Map<string, Risk>();
  for (const risk of risks) {
    const key = JSON.stringify([risk.what, risk.from, risk.to]);
    const known = found.get(key);
    found.set(key, known ? { ...known, objects: [...new Set([...known.objects, ...risk.objects])] } : risk);
  }
  return [...found.values()];
}
