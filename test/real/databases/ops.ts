import { until } from '../cluster/processes';
import type { Tally } from '../tally';
import { logs } from './clients';
import type { Pod } from './pod';

type Json = any;

const MINUTES = 60;

/** What ops tells of its node. */
async function opsState(pod: Pod): Promise<Json> {
  const { output } = await pod.container('ops').exec(['cat', '/tmp/status.json']);
  return output.startsWith('{') ? JSON.parse(output) : {};
}

/** What the sample asks of it: that it works beside its node, and sees the ring. */
export async function opsSees(tally: Tally, pod: Pod, nodes: number): Promise<void> {
  const isUp = ({ up, mode }: Json) => up && mode === 'N';
  await opsTells(`ops sees ${nodes} nodes`, MINUTES, [pod], ({ ring = [] }) => ring.filter(isUp).length === nodes);
  const state = await opsState(pod);
  tally.check(
    'ops sees the ring, its version and its keyspaces',
    'system_auth' in (state.repairs ?? {}) && /^\d/.test(state.release),
    JSON.stringify(state),
  );
}

/** Waits until what ops tells of some nodes is so. */
function opsTells(what: string, seconds: number, pods: readonly Pod[], isSo: (state: Json) => boolean) {
  return until(
    what,
    seconds,
    async () => (await Promise.all(pods.map(opsState))).every(isSo),
    () => logs(pods),
  );
}
