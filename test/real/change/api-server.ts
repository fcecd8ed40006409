import * as fs from 'node:fs';
import { join } from 'node:path';
import { rulesOf } from '../../../checks/step/api-server/rules';
import type { Client } from '../cluster/client';
import { ControlPlane } from '../cluster/control-plane';
import { applyDefinitions } from '../cluster/deploy';
import type { Tally } from '../tally';
import { bases, createClasses } from './bases';
import { uncaught } from './broken';
import { derive } from './derive';
import { disagreement, kindOf, Pairs, type Asked } from './pairs';
import { printRules } from './print';
import { Random } from './random';

const DATA = 'checks/step/api-server/data';

/** How many pairs, and whether every rule must be shown to be one that can be wrong. */
export interface Amount {
  /** Pairs with edits drawn by chance. */
  readonly random: number;
  /** How often each sort of edit is tried at each field of a kind, besides. */
  readonly each: number;
  readonly seed: number;
}

/**
 * Asks an API server of a version about pairs of objects, and holds what a plan says against it.
 * @returns lines for people: how many pairs, by kind and verdict, and how many broken rules they find
 */
export async function apiServer(version: string, tally: Tally, { random, each, seed }: Amount): Promise<string[]> {
  return withApiServer(version, async (client) => {
    const rules = rulesOf(version);
    const pairs = await Pairs.on(client, await bases());
    const asked = [
      ...(await pairs.written()),
      ...(await pairs.every(each)),
      ...(await pairs.many(random, new Random(seed))),
    ];
    const wrong = asked.filter((one) => disagreement(rules, one) !== undefined);
    for (const one of wrong.slice(0, 20)) {
      const small = await pairs.shrunk(one, rules);
      const edits = small.edits.map(({ what, path }) => `${what} ${path.join('.')}`).join(', ');
      const says = `${edits}\n${disagreement(rules, small)}\n${small.edits.map((edit) => printed(small, edit.path)).join('\n')}`;
      tally.check(`${version}: ${kindOf(small.base.object)} of ${small.base.from}, seed ${seed}`, false, says);
    }
    const judged = `Kubernetes ${version}: ${asked.length} pairs, seed ${seed}, ${wrong.length} disagreements`;
    tally.check(judged, wrong.length === 0);
    const { all, left } = uncaught(rules, asked);
    tally.check(`${version}: every broken rule is caught`, each === 0 || left.length === 0, left.join('\n'));
    return [judged, ...table(asked), `${all - left.length} of ${all} broken rules found by the pairs of ${version}`];
  });
}

/** Writes what API servers of these versions do into the data that the package ships. */
export async function deriveAll(versions: readonly string[]): Promise<void> {
  for (const version of versions)
    await withApiServer(version, async (client) => {
      const { rules, conditional } = await derive(client, version, await bases());
      const minor = /^v(\d+\.\d+)/.exec(version)![1];
      fs.writeFileSync(join(DATA, `kubernetes-${minor}.json`), printRules(rules));
      console.log(`Kubernetes ${version}: filled in by condition, so that code has to say when:`);
      for (const line of conditional) console.log(`  ${line}`);
    });
}

async function withApiServer<T>(version: string, use: (client: Client) => Promise<T>): Promise<T> {
  // Controllers would change what was applied, between one question and the next.
  const plane = await ControlPlane.start(version, 'nobody');
  try {
    await applyDefinitions(plane.client);
    await applyDefinitions(plane.client, join(__dirname, 'crds'));
    await createClasses(plane.client);
    return await use(plane.client);
  } finally {
    await plane.stop();
  }
}

function printed({ base, after }: Asked, path: readonly (string | number)[]): string {
  const [was, is] = [base.object, after].map((object) => path.reduce<any>((found, key) => found?.[key], object));
  const text = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 200);
  return `${path.join('.')}: ${text(was)} -> ${text(is)}`;
}

/** A line per kind: how many pairs of each verdict. */
function table(asked: readonly Asked[]): string[] {
  const rows = new Map<string, Record<Asked['verdict'], number>>();
  for (const { base, verdict } of asked) {
    const row = rows.get(kindOf(base.object)) ?? { nothing: 0, live: 0, refused: 0 };
    row[verdict]++;
    rows.set(kindOf(base.object), row);
  }
  return [...rows]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, { nothing, live, refused }]) => `${kind}: ${nothing} nothing, ${live} live, ${refused} refused`);
}
