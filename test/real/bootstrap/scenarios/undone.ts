import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Tally } from '../../tally';
import { tail } from '../harness/disturbed';
import type { Lab } from '../harness/lab';
import { undoTimerEnds } from '../simulator/programs/host-boot';
import { isReachable } from '../simulator/programs/host-devices';
import { timerEnds, ubuntuOf } from '../simulator/programs/ubuntu';
import { changed } from './refusals';

/** What a host needs to boot with our files, and what machines take back by themselves when nobody confirms that they can be reached. */
export async function undone(lab: Lab, tally: Tally): Promise<void> {
  await systemdBoot(lab, tally);
  await hostGoesBack(lab, tally);
  await firewallGoesBack(lab, tally);
}

/** A host that boots by systemd-boot (ZFS): its options stand in another file, and the partitions are written anew. */
async function systemdBoot(lab: Lab, tally: Tally): Promise<void> {
  await lab.restore('before host');
  const { simulation } = lab;
  simulation.writeFile('host', 'etc/kernel/proxmox-boot-uuids', 'AAAA-BBBB\n');
  simulation.writeFile('host', 'etc/kernel/cmdline', 'root=ZFS=rpool/ROOT/pve-1 boot=zfs\n');
  const run = await lab.run(['apply', 'host', '--yes']);
  const cmdline = fs.readFileSync(join(simulation.files('host'), '.proc/cmdline'), 'utf8');
  tally.check(
    'a host with systemd-boot: it boots with our options beside its own',
    run.code === 0 && /root=ZFS=\S+ boot=zfs .*iommu=pt/.test(cmdline),
    `${cmdline}\n${tail(run)}`,
  );
  const calls = simulation.calls.length;
  const again = await lab.run(['apply', 'host', '--yes']);
  tally.check(
    'a host with systemd-boot: then there is nothing to do',
    again.code === 0 && changed(lab, calls).length === 0,
    tail(again),
  );
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
