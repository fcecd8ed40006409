import { findings, table, type Look } from '../engine/check';
import type { Context } from '../engine/context';
import { EXIT } from '../engine/problem';
import { gpuFindings } from '../stages/ai-vm/gpu-proof';
import { modelFindings } from '../stages/models';
import { backupLooks } from '../verify/backups';
import { clusterLooks } from '../verify/cluster';
import { databaseLooks } from '../verify/databases';
import { hostLooks } from '../verify/host';
import { addresses, networkLooks } from '../verify/network';
import type { CommandLine } from '.';

/** Whether the running homelab is as it should be. It only reads, and ends with 1 when anything is bad. */
export async function verify(context: Context, _: readonly string[], { json }: CommandLine): Promise<number> {
  const looks: Record<string, Look> = {
    ...hostLooks(context),
    ...clusterLooks(context),
    ...databaseLooks(context),
    ...backupLooks(context),
    ...(context.homelab.llm && { models: modelFindings(context) }),
    'GPUs that are passed through': gpuFindings(context),
    ...networkLooks(context),
  };
  const found = await findings(looks);
  const bad = found.filter(({ state }) => state === 'bad').length;
  if (json) console.log(JSON.stringify(found, null, 2));
  else console.log(`${table(found)}\n\n${bad === 0 ? 'Nothing is bad.' : `${bad} bad.`}\n\n${addresses(context)}`);
  return bad > 0 ? EXIT.failed : EXIT.done;
}
