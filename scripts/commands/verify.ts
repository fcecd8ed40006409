import { findings, table, type Check } from '../engine/findings';
import type { Context } from '../clients/context';
import { EXIT } from '../engine/problem';
import { gpuCheck } from '../verify/gpu';
import { modelCheck } from '../verify/models';
import { backupChecks } from '../verify/backups';
import { clusterChecks } from '../verify/cluster';
import { databaseChecks } from '../verify/databases';
import { hostChecks } from '../verify/host';
import { jobChecks } from '../verify/jobs';
import { proxyCheck } from '../verify/llm-proxy';
import { addresses, networkChecks } from '../verify/network';
import type { CommandLine } from './command';

/** Compares the running homelab with homelab.ts. Only reads, and exits with 1 when a finding is bad. */
export async function verify(context: Context, _: readonly string[], { json }: CommandLine): Promise<number> {
  const looks: Record<string, Check> = {
    ...hostChecks(context),
    ...clusterChecks(context),
    ...databaseChecks(context),
    ...jobChecks(context),
    ...backupChecks(context),
    ...(context.homelab.llm && { models: modelCheck(context) }),
    ...(context.homelab.llm?.gateway && { 'the proxy in front of the models': proxyCheck(context) }),
    'GPUs that are passed through': gpuCheck(context),
    ...networkChecks(context),
  };
  const found = await findings(looks);
  const bad = found.filter(({ state }) => state === 'bad').length;
  if (json) console.log(JSON.stringify(found, null, 2));
  else
    console.log(`${table(found)}\n\n${bad === 0 ? 'Nothing is bad.' : `${bad} bad.`}\n\n${addresses(context.homelab)}`);
  return bad > 0 ? EXIT.failed : EXIT.done;
}
