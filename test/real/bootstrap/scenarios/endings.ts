import type { Tally } from '../../tally';
import { machinesOf, tail, type Reference } from '../harness/disturbed';
import type { Lab } from '../harness/lab';
import { changed } from './refusals';

/** Ctrl-C while the host makes a disk: the run says so and ends, the host goes on, and the next run finishes. */
export async function interrupted(lab: Lab, tally: Tally, { machines }: Reference): Promise<void> {
  await lab.restore('before vms');
  let pressed = false;
  lab.simulation.intercept = ({ program, argv }) => {
    if (!pressed && program === 'qm' && argv[0] === 'set') {
      pressed = true;
      lab.interrupt();
    }
    return undefined;
  };
  const run = await lab.run(['apply', 'vms', '--yes']);
  lab.simulation.intercept = undefined;
  tally.check('Ctrl-C ends a run with 130', pressed && run.code === 130, tail(run));
  tally.check(
    'Ctrl-C: the run says what goes on',
    /stopping; commands on other machines continue there/.test(run.output),
    tail(run),
  );
  const again = await lab.run(['apply', 'vms', '--yes']);
  tally.check('Ctrl-C: the next run finishes', again.code === 0, tail(again));
  tally.check('Ctrl-C: the same machines', machinesOf(lab) === machines);
}

/** Nobody is there to agree: nothing is done, and the exit codes are those of the docs. */
export async function unanswered(lab: Lab, tally: Tally): Promise<void> {
  for (const stage of ['host', 'talos']) {
    await lab.restore(`before ${stage}`);
    const run = await lab.run(['apply', stage]);
    tally.check(
      `${stage} without --yes: nobody agrees`,
      run.code === 3 && /nobody is here/.test(run.output),
      tail(run),
    );
    tally.check(`${stage} without --yes: nothing changed`, changed(lab).length === 0);
  }
  const wrong = await lab.run(['apply', 'hots', '--yes']);
  tally.check(
    'a stage that is none: 2, and those that are',
    wrong.code === 2 && /\bhost\b/.test(wrong.output),
    tail(wrong),
  );
}

/** kubectl asks sops for its key. When that hangs and kubectl is killed, sops still holds what kubectl would have printed to. */
export async function hangsBelow(lab: Lab, tally: Tally): Promise<void> {
  await lab.restore('before secrets');
  lab.simulation.intercept = ({ program, argv }) =>
    program === 'sops' && argv.includes('--extract') ? 'hang' : undefined;
  const run = await lab.run(['apply', 'secrets', '--yes'], 0.03);
  lab.simulation.intercept = undefined;
  tally.check(
    'a program that hangs below another one: the run ends and says what did not',
    run.code === 1 && run.seconds < 60 && /kubectl .* did not end within \d+ s/.test(run.output),
    tail(run),
  );
}
