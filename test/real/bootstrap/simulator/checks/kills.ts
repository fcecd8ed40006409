import { until } from '../../../cluster/processes';
import type { Bench } from './bench';

/** Calls that are killed, fail, hang or answer nonsense. */
export async function kills(bench: Bench): Promise<void> {
  const { tally, onHost, qm, same, holds, interceptOnce, simulation } = bench;
  const exists = async () => (await qm('status', '300')).code === 0;
  const make = () => qm('create', '300', '--name', 'x', '--memory', '512');
  const gone = async () => void (await qm('destroy', '300'));
  interceptOnce('qm', 'before');
  same('before: killed', (await make()).code, null);
  same('before: never', await exists(), false);
  interceptOnce('qm', 'after');
  same('after: killed', (await make()).code, null);
  same('after: done', await exists(), true);
  await gone();
  interceptOnce('qm', 'during');
  same('during: killed', (await make()).code, null);
  holds('during: locked', (await qm('config', '300')).stdout, 'lock: create');
  holds('during: locked for others', (await qm('set', '300', '--memory', '1024')).stderr, 'VM is locked (create)');
  await until('the remote went on', 5, async () => (await qm('config', '300')).stdout.includes('name: x'));
  tally.check('during: no lock in the end', simulation.state.vms[300]!.config.lock === undefined);
  await gone();
  interceptOnce('ssh', 'during');
  same('an upload is cut', (await onHost('cat > /tmp/part', 'x'.repeat(1000))).code, null);
  await until('half of it arrives', 5, async () => (await onHost('wc -c < /tmp/part')).stdout === '500\n');
  interceptOnce('qm', 'fail');
  const failed = await make();
  same('fail', [failed.code, failed.stderr], [255, 'qm: simulated failure\n']);
  interceptOnce('ssh', 'fail');
  same('fail of ssh', (await make()).code, 255);
  interceptOnce('qm', 'nonsense');
  same('nonsense', (await make()).code, 0);
  same('nonsense has no effect', await exists(), false);
  interceptOnce('qm', 'hang');
  const hung = make();
  await new Promise((done) => setTimeout(done, 300));
  process.kill(-bench.running!.pid!, 'SIGKILL');
  same('hang', (await hung).code, null);
  simulation.intercept = undefined;
}
