import { Size } from 'cdk8s';
import { Cpu } from 'cdk8s-plus-28';
import type { Laps } from '../proofs';
import type { Tally } from '../tally';
import { Site } from '../gitops/site';
import { playIngressController } from './ingress-status';
import { Walk } from './walk';
import { BY_HAND } from './by-hand';
import { REFUSALS } from './refusals';
import { WAYS } from './ways';

type Json = any;

/** Room for what the ways do: databases as small as the constructs take them. */
function roomy(homelab: Json): void {
  homelab.databases.cassandra.memory = Size.mebibytes(2560);
  homelab.databases.cassandra.cpu = Cpu.millis(500);
  homelab.databases.mongodb.memory = Size.gibibytes(1);
}

const ALL = { ...WAYS, ...REFUSALS, ...BY_HAND };

/** Names of all ways. */
export const WAY_NAMES: readonly string[] = Object.keys(ALL);

/** Carries out each way commit by commit, and compares what Argo CD did with what the plan said. @param only names of ways */
export async function steps(tally: Tally, laps: Laps, only: readonly string[]): Promise<void> {
  for (const name of only) {
    const site = await Site.start(undefined, roomy);
    const endIngress = playIngressController(site.client);
    try {
      await site.settled(180);
      await ALL[name]!(new Walk(site, tally), tally);
      laps.lap(`applied: ${name}`);
    } catch (error) {
      tally.check(`${name} ran to its end`, false, (error as Error).stack);
    } finally {
      endIngress();
      await site.plane.stop();
    }
  }
}
