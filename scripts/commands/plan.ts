import type { Ask } from '../engine/ask';
import { ProgramMissing } from '../engine/commands';
import type { Context } from '../clients/context';
import { EXIT, isFault, Usage } from '../engine/problem';
import { execute, planStage, shownLines, type PlannedStep, type Stage, type Step } from '../engine/step';
import { assertReviewable } from './rendered';
import { machineFiles } from '../../machines';
import { STAGES } from '../stages';

export async function planStages(context: Context, [name]: readonly string[]): Promise<number> {
  assertReviewable(machineFiles(context.homelab));
  const stages = chosen(context, name);
  const missing = new Set<string>();
  for (const [index, stage] of stages.entries()) {
    const planned = await planPartly(context, stage, missing);
    if (planned === undefined) continue;
    show(stage, planned);
    if (planned.length > 0) {
      const rest = stages.slice(index + 1).map(({ name }) => name);
      if (rest.length > 0) console.log(`\nafter that: ${rest.join(', ')}`);
      if (missing.size === 0) console.log(`\nnpm run bootstrap -- apply${name === undefined ? '' : ` ${name}`}`);
      break;
    }
  }
  if (missing.size === 0) return EXIT.done;
  console.log(`\nnot installed here: ${[...missing].join(', ')}; npm run bootstrap -- doctor`);
  return EXIT.stopped;
}

/**
 * Plans a stage as far as possible without the programs that are not installed here.
 * @returns undefined where nothing of it can be planned; prints why
 */
async function planPartly(
  context: Context,
  stage: Stage,
  missing: Set<string>,
): Promise<readonly PlannedStep[] | undefined> {
  context.commands.changing = false;
  try {
    const planned = await planStage(stage, true);
    for (const { needs } of planned) if (needs !== undefined) missing.add(needs);
    return planned;
  } catch (error) {
    // A stage may lack what an earlier one brings, which could not be planned.
    if (!(error instanceof ProgramMissing) && (missing.size === 0 || !isFault(error))) throw error;
    if (error instanceof ProgramMissing) missing.add(error.program);
    console.log(`\n${stage.name}: ${stage.title}\n  cannot be planned: ${(error as Error).message}`);
    return undefined;
  }
}

export async function applyStages(context: Context, [name]: readonly string[]): Promise<number> {
  assertReviewable(machineFiles(context.homelab));
  for (const stage of chosen(context, name)) await applyStage(context, stage);
  return EXIT.done;
}

/** Prints the plan of a stage, asks, and applies exactly that. */
export async function applyStage(context: Context, stage: Stage): Promise<void> {
  context.commands.changing = false;
  const planned = await planStage(stage);
  show(stage, planned);
  if (planned.length === 0) return;
  await answered(context.ask, planned, ['apply this plan?']);
  await executeAll(context, planned);
}

/** Asks what the plan needs an answer to. @param last asked before what only the owner knows */
async function answered(ask: Ask, planned: readonly PlannedStep[], last: readonly string[] = []): Promise<void> {
  for (const question of [...planned.flatMap(({ change }) => change?.asks ?? []), ...last]) await ask.agree(question);
  for (const question of planned.flatMap(({ change }) => change?.secrets ?? [])) await ask.secret(question);
}

/** Prints one line per step with the time it took, and what it waits for meanwhile. */
export async function executeAll(context: Context, planned: readonly PlannedStep[]): Promise<void> {
  context.commands.changing = true;
  try {
    for (const each of planned) {
      const seen = each.change === undefined ? await planNow(context, each.step) : each;
      if (seen !== undefined) await executeOne(seen);
    }
  } finally {
    context.commands.changing = false;
  }
}

/** Plans a step that could not be planned before, prints it, and asks its questions. @returns undefined when it is done */
async function planNow({ ask }: Context, step: Step): Promise<PlannedStep | undefined> {
  const change = await step.plan();
  if (change === undefined) return undefined;
  const planned = { step, change };
  showStep(planned);
  await answered(ask, [planned]);
  return planned;
}

async function executeOne(planned: PlannedStep): Promise<void> {
  const { Listr, PRESET_TIMER: timer } = await import('listr2');
  const task = async (_: unknown, task: { output: string; skip: (why: string) => void }) => {
    const changed = await execute(planned, (what) => {
      task.output = what;
    });
    if (!changed) task.skip(`${planned.step.title} (already done)`);
  };
  const options = { rendererOptions: { timer }, fallbackRendererOptions: { timer }, registerSignalListeners: false };
  await new Listr([{ title: planned.step.title, task }], options).run();
}

function show({ name, title }: Stage, planned: readonly PlannedStep[]): void {
  console.log(`\n${name}: ${title}`);
  if (planned.length === 0) console.log('  nothing to do');
  for (const each of planned) showStep(each);
}

function showStep({ step, change, needs }: PlannedStep): void {
  const why = needs === undefined ? 'the steps above' : `${needs} is installed`;
  console.log(`  ${step.title}${change === undefined ? ` (planned after ${why})` : ''}`);
  for (const line of change === undefined ? [] : shownLines(change))
    console.log(`      ${line.replace(/\n/g, '\n      ')}`);
  for (const question of change?.asks ?? []) console.log(`    ! ${question}`);
}

function chosen(context: Context, name: string | undefined): Stage[] {
  if (name === undefined) return Object.values(STAGES).map((stage) => stage(context));
  const stage = STAGES[name];
  if (stage === undefined) throw new Usage(`no stage ${name} (allowed: ${Object.keys(STAGES).join(', ')})`);
  return [stage(context)];
}
