import { findings, table, type Check } from '../engine/findings';
import type { Context } from '../clients/context';
import { EXIT } from '../engine/problem';
import { gpuFindings } from '../verify/gpu';
import { modelFindings } from '../verify/models';
import { backupChecks } from '../verify/backups';
import { clusterChecks } from '../verify/cluster';
import { databaseChecks } from '../verify/databases';
import { hostChecks } from '../verify/host';
import { addresses, networkChecks } from '../verify/network';
import type { CommandLine } from './command';

/** Whether the running homelab is as it should be. It only reads, and ends with 1 when anything is bad. */
export async function verify(context: Context, _: readonly string[], { json }: CommandLine): Promise<number> {
  const looks: Record<string, Check> = {
    ...hostChecks(context),
    ...clusterChecks(context),
    ...databaseChecks(context),
    ...backupChecks(context),
    ...(context.homelab.llm && { models: modelFindings(context) }),
    'GPUs that are passed through': gpuFindings(context),
    ...networkChecks(context),
  };
  const found = await findings(looks);
  const bad = found.filter(({ state }) => state === 'bad').length;
  if (json) console.log(JSON.stringify(found, null, 2));
  else console.log(`${table(found)}\n\n${bad === 0 ? 'Nothing is bad.' : `${bad} bad.`}\n\n${addresses(context)}`);
  return bad > 0 ? EXIT.failed : EXIT.done;
}
