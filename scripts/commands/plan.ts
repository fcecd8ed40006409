import { Listr } from 'listr2';
import type { Context } from '../engine/context';
import { EXIT, Usage } from '../engine/problem';
import { carryOut, plan, type PlannedStep, type Stage } from '../engine/step';
import { assertReviewable } from '../engine/rendered';
import { machineFiles } from '../machines';
import { STAGES } from '../stages';

export async function planStages(context: Context, [name]: readonly string[]): Promise<number> {
  assertReviewable(machineFiles(context.homelab));
  const stages = chosen(context, name);
  for (const [index, stage] of stages.entries()) {
    const planned = await look(context, stage);
    show(stage, planned);
    if (planned.length > 0) {
      const rest = stages.slice(index + 1).map(({ name }) => name);
      if (rest.length > 0) console.log(`\nthen, once that is done: ${rest.join(', ')}`);
      console.log(`\nnpm run bootstrap -- apply${name === undefined ? '' : ` ${name}`}`);
      return EXIT.done;
    }
  }
  return EXIT.done;
}

export async function applyStages(context: Context, [name]: readonly string[]): Promise<number> {
  assertReviewable(machineFiles(context.homelab));
  for (const stage of chosen(context, name)) {
    const planned = await look(context, stage);
    show(stage, planned);
    if (planned.length === 0) continue;
    for (const question of planned.flatMap(({ change }) => change?.asks ?? [])) await context.ask.agree(question);
    await context.ask.agree('do that now?');
    await carryOutAll(context, planned);
  }
  return EXIT.done;
}

async function look(context: Context, stage: Stage): Promise<readonly PlannedStep[]> {
  context.commands.changing = false;
  return plan(stage);
}

/** One line per step with the time it took; what it waits for meanwhile. */
export async function carryOutAll(context: Context, planned: readonly PlannedStep[]): Promise<void> {
  context.commands.changing = true;
  try {
    await new Listr(
      planned.map((each) => ({
        title: each.step.title,
        task: async (_: unknown, task: { output: string; skip: (why: string) => void }) => {
          const changed = await carryOut(each, (what) => {
            task.output = what;
          });
          if (!changed) task.skip(`${each.step.title} (was there already)`);
        },
      })),
      {
        concurrent: false,
        rendererOptions: {
          timer: { condition: true, field: (ms: number) => `${(ms / 1000).toFixed(0)} s`, format: undefined },
        },
        fallbackRendererOptions: {},
        registerSignalListeners: false,
      } as never,
    ).run();
  } finally {
    context.commands.changing = false;
  }
}

function show({ name, title }: Stage, planned: readonly PlannedStep[]): void {
  console.log(`\n${name}: ${title}`);
  if (planned.length === 0) console.log('  nothing to do');
  for (const { step, change } of planned) {
    console.log(`  ${step.title}${change === undefined ? ' (can be seen once the steps above are done)' : ''}`);
    for (const line of change?.lines ?? []) console.log(`      ${line.replace(/\n/g, '\n      ')}`);
    for (const question of change?.asks ?? []) console.log(`    ! ${question}`);
  }
}

function chosen(context: Context, name: string | undefined): Stage[] {
  if (name === undefined) return Object.values(STAGES).map((stage) => stage(context));
  const stage = STAGES[name];
  if (stage === undefined) throw new Usage(`no stage ${name} (allowed: ${Object.keys(STAGES).join(', ')})`);
  return [stage(context)];
}
