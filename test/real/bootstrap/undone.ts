import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Tally } from '../tally';
import type { Lab } from './lab';
import { undoTimerEnds } from './programs/host-boot';
import { isReachable } from './programs/host-devices';
import { timerEnds, ubuntuOf } from './programs/ubuntu';

/** What machines take back by themselves, when nobody confirms that they can still be reached. */
export async function undone(lab: Lab, tally: Tally): Promise<void> {
  await hostGoesBack(lab, tally);
  await firewallGoesBack(lab, tally);
}

/** The run dies at the reboot, and nobody is there for 15 minutes. */
async function hostGoesBack(lab: Lab, tally: Tally): Promise<void> {
  await lab.restore('before host');
  const { simulation } = lab;
  const ours = join(simulation.files('host'), 'etc/modprobe.d/collab-homelab.conf');
  simulation.intercept = ({ machine, program, argv }) =>
    machine === 'host' && program === 'systemctl' && argv[0] === 'reboot' ? 'after' : undefined;
  const killed = await lab.run(['apply', 'host', '--yes']);
  simulation.intercept = undefined;
  tally.check('the host is changed when the run dies', killed.code === null && fs.existsSync(ours), killed.output);
  await new Promise((done) => setTimeout(done, 500));
  await undoTimerEnds(simulation);
  await new Promise((done) => setTimeout(done, 500));
  tally.check('nobody confirms: the host has its old files', !fs.existsSync(ours) && isReachable(simulation));
  const next = await lab.run(['apply', 'host', '--yes']);
  tally.check('the next run stops and says so', next.code === 4 && /it was undone at/.test(next.output), next.output);
}

/** The second login, which must prove the new firewall, does not come. */
async function firewallGoesBack(lab: Lab, tally: Tally): Promise<void> {
  await lab.restore('before ai-vm');
  const { simulation } = lab;
  simulation.intercept = ({ program, argv }) =>
    program === 'ssh' && argv.join(' ').includes(' confirm ') ? 'fail' : undefined;
  const failed = await lab.run(['apply', 'ai-vm', '--yes']);
  simulation.intercept = undefined;
  const rules = () => ubuntuOf(simulation, 'ai-vm').rules;
  tally.check(
    'without a second login the run fails, and the rules are still in force',
    failed.code !== 0 && rules() !== undefined,
    failed.output,
  );
  await timerEnds(simulation, 'ai-vm', 'collab-homelab-access-undo');
  tally.check('they go by themselves', rules() === undefined, rules());
}
