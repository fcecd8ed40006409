import { until } from '../../cluster/processes';
import { pause } from '../../node/processes';
import type { Lab } from './lab';
import type { OnCluster } from './on-cluster';
import { time } from './pod-status';

/** Description of a database for the test of the commands. */
export interface Tried {
  /** The pod that makes backups. */
  readonly keeper: string;
  readonly fill: (lab: Lab) => Promise<unknown>;
  /** All its data, as text for a comparison. */
  readonly contents: (lab: Lab) => Promise<string>;
  /** Options of `connect`, what is typed into its shell, and what that answers. */
  readonly shells: readonly { readonly args: readonly string[]; readonly input: string; readonly answers: RegExp }[];
}

/** Runs the owner's commands from a laptop against a database on an API server. Destroys everything and restores it. */
export async function givenBack(lab: Lab, tried: Tried): Promise<void> {
  const { tally, owner, kind } = lab;
  await lab.apply();
  await tried.fill(lab);
  const before = await tried.contents(lab);
  await backedUp(lab, tried.keeper);
  const well = await owner.homelab('status');
  tally.check('status finds nothing late or broken', well.code === 0 && /0 min ago/.test(well.output), well.output);

  await lab.destroy();
  await lab.apply();
  const restored = await owner.homelab('restore', [kind]);
  tally.check('restore ends well', restored.code === 0 && /^restored: /m.test(restored.output), restored.output);
  console.log(`  ${/^restored: .*$/m.exec(restored.output)?.[0]}`);
  const after = await tried.contents(lab);
  tally.check('all data is restored', after === before, `${before}\n${after}`);
}

/** The other commands: a drill, a shell, and the status of a late or failed backup. */
export async function everyCommand(lab: Lab, tried: Tried): Promise<void> {
  const { tally, owner, kind } = lab;
  for (const { args, input, answers } of tried.shells) {
    const { code, output } = await owner.homelab('connect', [kind, ...args], input);
    tally.check(`connect ${args.join(' ')} opens a shell that answers`, code === 0 && answers.test(output), output);
  }
  const drill = await owner.homelab('restore-drill', [kind]);
  const whole = drill.code === 0 && /the backup is complete/.test(drill.output);
  tally.check('restore-drill finds the backup complete', whole, drill.output);
  console.log(`  ${/^the backup is complete.*$/m.exec(drill.output)?.[0]}`);
  await lateAndBroken(lab, tried.keeper);
}

/** status reports a late or failed backup in its text and exit code, until it is repaired. */
async function lateAndBroken(lab: Lab, keeper: string): Promise<void> {
  const { tally, owner, store } = lab;
  const older = `cd /handover && sed 's/"newest":"20../"newest":"2001/' status.json >older && mv older status.json`;
  await lab.kubectl(['exec', keeper, '-c', 'backup', '--', 'sh', '-c', older]);
  const late = await owner.homelab('status');
  const isSaid = late.code === 1 && /should be at most/.test(late.output);
  tally.check('status exits with 1 when a backup is late', isSaid, late.output);
  await store.stop();
  await backedUp(lab, keeper);
  const broken = await owner.homelab('status');
  const said = broken.code === 1 && /the last backup failed/.test(broken.output);
  tally.check('status exits with 1 when the target is unreachable', said, broken.output);
  await store.start(store.authorized);
  await backedUp(lab, keeper);
  const mended = await owner.homelab('status');
  tally.check('status exits with 0 when the target is back', mended.code === 0, mended.output);
}

/** `backup`, until the pod that stores has tried one that began after it was asked: the schedule may be at one already. */
export async function backedUp(lab: OnCluster, keeper: string): Promise<void> {
  const read = ['exec', keeper, '-c', 'backup', '--', 'cat', '/handover/status.json'];
  const tried = async (): Promise<string> => JSON.parse(await lab.kubectl(read)).tried ?? '';
  const mark = time(new Date());
  // Times of tries are whole seconds.
  await pause(1);
  const asked = await lab.owner.homelab('backup', [lab.kind]);
  lab.tally.check('backup asks every pod', asked.code === 0 && asked.output.includes(keeper), asked.output);
  await until('the backup was tried', 180, async () => (await tried()) > mark);
}
