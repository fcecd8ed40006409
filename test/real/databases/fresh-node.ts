import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Size, type App } from 'cdk8s';
import type { Tally } from '../tally';
import { databasePrograms } from './binaries';
import { standIns } from './images';
import { TestNode } from '../node/node';
import { Rendered } from '../node/rendering';

type Json = any;
type Change = ((homelab: Json) => void) | App;

/** The smallest memory that the constructs take, so that everything fits on the machine of a test. */
export function small(homelab: Json): void {
  homelab.databases.cassandra.memory = Size.mebibytes(2560);
  homelab.databases.mongodb.memory = Size.gibibytes(1);
  homelab.services.presence.connects[0].keyspace = 'order';
}

/** What a test does on a node of its own. `again` renders another homelab, and gives the node its files and secrets. */
export type Test = (node: TestNode, rendered: Rendered, again: (change: Change) => Promise<Rendered>) => Promise<void>;

/** Runs a test on a node that has what a homelab renders, and removes all of it. A test that throws has failed, and shows the logs. */
export async function inFreshNode(
  tally: Tally,
  change: Change,
  test: Test,
  byHand: Readonly<Record<string, string>> = {},
): Promise<void> {
  const folder = fs.mkdtempSync(join(tmpdir(), 'databases-'));
  const cluster = { configMaps: new Map(), secrets: new Map(), images: standIns(databasePrograms()) };
  const node = new TestNode(folder, cluster);
  const bring = async (each: Change): Promise<Rendered> => {
    const rendered = new Rendered(each);
    for (const [name, data] of rendered.configMaps()) cluster.configMaps.set(name, data);
    await rendered.fillSecrets(cluster, byHand);
    return rendered;
  };
  try {
    await node.start();
    await test(node, await bring(change), bring);
  } catch (error) {
    tally.check('the test ran to its end', false, (error as Error).stack);
    for (const pod of node.pods.values())
      for (const { name } of pod.containers) console.log(`-- ${pod.fullName} ${name}\n${pod.log(name).slice(-1500)}`);
  } finally {
    await node.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
