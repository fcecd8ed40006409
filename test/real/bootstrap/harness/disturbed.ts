import * as fs from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Tally } from '../../tally';
import { sopsBinaries } from '../simulator/binaries';
import type { Lab, Run } from './lab';
import type { Call, Interception } from '../simulator/programs/program';
import { secretsIn } from './secrets-in';

export const KILLS: readonly Interception[] = ['before', 'during', 'after'];

/** A place where a run is disturbed: one call of a stage, by what is called and the how many-th time. */
export interface Point {
  readonly stage: string;
  readonly signature: string;
  readonly nth: number;
  readonly how: Interception;
}

/** What a stage leaves behind when nobody disturbs it, and what it calls on the way. */
export interface Reference {
  readonly calls: readonly Call[];
  readonly machines: string;
}

/** A call without what differs from run to run: paths in memory, and names that are drawn by lot. */
export function signatureOf({ machine, program, argv }: Call): string {
  return `${machine}: ${program} ${argv.join(' ')}`
    .replace(/\/dev\/shm\/\S+\//g, '')
    .replace(/\d{4}-\d\d-\d\dT\S+/g, 'TIME')
    .replace(/[\w/.-]*\.[A-Za-z0-9]{6}\b/g, 'TEMPORARY');
}

/** Whether a call leaves something behind; a kill at one that only reads leaves the same as one after the change before it. */
export function leavesSomething({ program, argv, changing }: Call): boolean {
  // The simulation counts how often it is asked, and nothing else changes.
  const asksForBackups = program === 'kubectl' && argv.at(-1) === '/handover/status.json';
  return (
    (changing === true && !asksForBackups) ||
    (program === 'age-keygen' && !argv.includes('-y')) ||
    (program === 'sops' && argv.includes('encrypt'))
  );
}

/** The points of a stage at some of its calls. */
export function pointsAt(
  stage: string,
  calls: readonly Call[],
  chosen: (call: Call) => boolean,
  how: Interception,
): Point[] {
  const seen = new Map<string, number>();
  return calls.flatMap((call) => {
    const signature = signatureOf(call);
    const nth = seen.get(signature) ?? 0;
    seen.set(signature, nth + 1);
    return chosen(call) ? [{ stage, signature, nth, how }] : [];
  });
}

/** Calls that differ in numbers alone are the same to a fault: the same line of the bootstrap makes them. */
export function oneOfEach(points: readonly Point[]): Point[] {
  const seen = new Set<string>();
  return points.filter(({ stage, signature, how }) => {
    const key = `${stage} ${how} ${signature.replace(/\d+/g, 'N')}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** How a disturbed run ended. None: the call did not come; their order differs a little where something is waited for. */
export type Came = Interception | 'fault without effect' | undefined;

/**
 * Disturbs one call of a stage, runs the stage again undisturbed, and compares with what an undisturbed run leaves.
 * A disturbed run may only end well when what it left is whole.
 * @param from the name of the state in which it begins; where nothing is left in a state that is known to finish, no second run
 *   is needed
 */
export async function disturbed(
  lab: Lab,
  tally: Tally,
  point: Point,
  reference: Reference,
  from = `before ${point.stage}`,
): Promise<Came> {
  const { stage, signature, nth, how } = point;
  await lab.restore(from);
  const { simulation } = lab;
  simulation.watchesFiles = false;
  const before = lab.fingerprint();
  const beginning = beginningOf(lab);
  let left = nth;
  let struck = false;
  let isLine = false;
  simulation.intercept = (call) => {
    if (struck || signatureOf(call) !== signature || left-- > 0) return undefined;
    struck = true;
    isLine = call.program === 'ssh';
    return how;
  };
  // Faster where something is waited for until the end: what changes has ten times the time of what reads, and more.
  const isChange =
    / flock /.test(signature) || leavesSomething(reference.calls.find((call) => signatureOf(call) === signature)!);
  const isKill = KILLS.includes(how);
  const pace = isKill ? undefined : how === 'hang' && isChange ? 0.01 : 0.03;
  const first = await lab.run(['apply', stage, '--yes'], pace);
  simulation.intercept = undefined;
  // Somebody looks, and ends what hangs there; until then the next run would wait for it.
  if (how === 'hang') for (const machine of Object.keys(simulation.state.machines)) simulation.endSessions(machine);
  if (!struck) return undefined;
  const where = `${stage}, ${how}: ${signature.slice(0, 200)}`;
  tally.check(
    `${where}: ${isKill ? 'the run is killed' : 'the run says what failed'}`,
    isKill ? first.code === null : endsWell(first, how),
    tail(first),
  );
  assertNothingUnknown(lab, tally, where);
  // What a program fails with on a machine that answers is not laid on the line to it.
  if (how === 'fail' && !isLine)
    tally.check(`${where}: the line is not blamed`, !/cannot be reached/.test(first.output), tail(first));
  const isLeft = simulation.calls.some(({ program, changing }) => program === 'kubectl' && changing);
  if (!isKill && first.code !== 0 && !isLeft && lab.fingerprint() === before) {
    assertNoSecret(lab, tally, where, first.output);
    return 'fault without effect';
  }
  const isWhole = first.code === 0;
  if (isWhole) sameMachines(lab, tally, `${where}: a run that ends well`, reference);
  const calls = simulation.calls.length;
  await finishes(lab, tally, where, stage, reference, beginning, first);
  const changing = isWhole ? simulation.calls.slice(calls).filter((call) => call.changing) : [];
  tally.check(
    `${where}: after a run that ended well there is nothing to do`,
    changing.length === 0,
    changing.map(({ machine, argv }) => `${machine}: ${argv.join(' ').slice(0, 200)}`).join('\n'),
  );
  return how;
}

/** What must stay from the first disturbance on. */
interface Beginning {
  readonly secrets: ReadonlyMap<string, string>;
  /** Milliseconds at which etcd began, where it has. */
  readonly etcd: number | undefined;
}

function beginningOf(lab: Lab): Beginning {
  const begun = Object.values(lab.simulation.state.volumes).map(({ talos }) => talos?.bootstrappedAt);
  return { secrets: secretValues(lab), etcd: begun.find((each) => each !== undefined) };
}

/** Runs a stage to its end from what is there, and compares. What the disturbed run said is shown with what fails. */
export async function finishes(
  lab: Lab,
  tally: Tally,
  where: string,
  stage: string,
  reference: Reference,
  beginning: Beginning = beginningOf(lab),
  first?: Run,
): Promise<void> {
  const { simulation } = lab;
  const { etcd } = beginning;
  const kept = new Map([...beginningOf(lab).secrets, ...beginning.secrets]);
  const again = await lab.run(['apply', stage, '--yes']);
  const said = [...(first ? [tail(first)] : []), `-- next run\n${tail(again)}`].join('\n');
  tally.check(`${where}: the next run finishes`, again.code === 0, said);
  sameMachines(lab, tally, where, reference);
  const now = secretValues(lab);
  const changed = [...kept].filter(([key, value]) => now.get(key) !== value).map(([key]) => key);
  tally.check(`${where}: no secret changed`, changed.length === 0, changed.join(', '));
  // A second bootstrap is refused by etcd; it is not even asked for.
  const asked = simulation.calls.filter(({ program, argv }) => program === 'talosctl' && argv.includes('bootstrap'));
  const began = asked.findIndex(({ code, changing }) => code === 0 && changing);
  tally.check(
    `${where}: etcd is begun once`,
    etcd === undefined ? began < 0 || began === asked.length - 1 : beginningOf(lab).etcd === etcd && asked.length === 0,
    `${asked.length} calls, the one at ${began} began it`,
  );
  assertNothingUnknown(lab, tally, where);
  assertNoSecret(lab, tally, where, `${first?.output}${again.output}`);
}

function sameMachines(lab: Lab, tally: Tally, where: string, reference: Reference): void {
  const machines = machinesOf(lab);
  tally.check(`${where}: the same machines`, machines === reference.machines, difference(reference.machines, machines));
}

function assertNothingUnknown({ simulation: { unexpected } }: Lab, tally: Tally, where: string): void {
  tally.check(`${where}: nothing unknown was called`, unexpected.length === 0, unexpected.join('\n'));
}

function assertNoSecret(lab: Lab, tally: Tally, where: string, printed: string): void {
  const seen = secretsIn(lab, [...secretValues(lab).values()], printed);
  tally.check(`${where}: no secret in what was left or said`, seen.length === 0, seen.join('\n'));
}

/**
 * Not killed: either the failure was no obstacle, or the last sentence says what is wrong; of what hung, for how long it was
 * waited. Never a stack of our own code.
 */
function endsWell({ code, output }: Run, how: Interception): boolean {
  if (code === 0) return true;
  const [last = ''] = output.trim().split('\n\n').slice(-1);
  const says = how === 'hang' ? /did not end within \d+ s|waited \d+ s for/ : /\S+ \S+ \S+/;
  return code !== null && code > 0 && code < 5 && says.test(last) && !/^\s+at .*\.ts:|TypeError/m.test(output);
}

export function tail({ code, output }: Run): string {
  return `exit ${code}\n${output.trim().split('\n').slice(-25).join('\n')}`;
}

/** What machines there are and how they are set up, without times, places in a pool, and what is drawn by lot. */
export function machinesOf({ simulation }: Lab): string {
  const { state } = simulation;
  const vms = Object.entries(state.vms).map(([vmid, { config, pending, startedAt }]) => [
    vmid,
    Object.fromEntries(
      Object.entries(config)
        .filter(([key]) => !['digest', 'meta', 'vmgenid', 'smbios1'].includes(key))
        .map(([key, value]) => [key, value.replace(/vm-\d+-disk-\d+/, 'DISK')]),
    ),
    pending,
    startedAt !== undefined,
  ]);
  const volumes = Object.entries(state.volumes)
    .map(
      ([id, { size, vmid, label, talos }]) =>
        `${vmid} ${id.replace(/disk-\d+/, 'DISK')} ${size} ${label ?? ''} ${talos ? Object.keys(talos.volumes).sort().join() : ''}`,
    )
    .sort();
  return JSON.stringify({ vms, volumes, gpus: gpuRecords(simulation.files('host')) }, null, 1);
}

/** What is known of each GPU that was proved. */
function gpuRecords(host: string): unknown[] {
  const folder = join(host, 'var/lib/collab-homelab');
  const files = fs.existsSync(folder) ? fs.readdirSync(folder).filter((file) => /^gpu-\d+\.json$/.test(file)) : [];
  return files.map((file) => {
    const { state, done, failed } = JSON.parse(fs.readFileSync(join(folder, file), 'utf8'));
    return { file, state, done, failed };
  });
}

/** Every secret that the clone keeps, in the clear, by file and key. A file that sops cannot read is a failure. */
export function secretValues(lab: Lab): Map<string, string> {
  const values = new Map<string, string>();
  const walk = (path: string, value: unknown) => {
    if (value !== null && typeof value === 'object')
      for (const [key, each] of Object.entries(value)) walk(`${path} ${key}`, each);
    else values.set(path, String(value));
  };
  if (fs.existsSync(lab.ageKey)) values.set('age', fs.readFileSync(lab.ageKey, 'utf8'));
  for (const file of encryptedFiles(lab)) {
    walk(file, parse(inTheClear(lab, join(lab.workspace.path, file))));
  }
  return values;
}

const clear = new Map<string, string>();

function inTheClear({ ageKey }: Lab, path: string): string {
  const encrypted = fs.readFileSync(path, 'utf8');
  const known = clear.get(encrypted);
  if (known !== undefined) return known;
  const env = { ...process.env, SOPS_AGE_KEY_FILE: ageKey };
  const text = execFileSync(sopsBinaries().sops, ['decrypt', '--output-type', 'yaml', path], { env, encoding: 'utf8' });
  clear.set(encrypted, text);
  return text;
}

export function encryptedFiles({ workspace }: Lab): string[] {
  return ['.', 'scripts/secrets']
    .filter((folder) => fs.existsSync(join(workspace.path, folder)))
    .flatMap((folder) => fs.readdirSync(join(workspace.path, folder)).map((file) => join(folder, file)))
    .filter((file) => /\.sops\.(yaml|json)$/.test(file) && file !== '.sops.yaml');
}

/** Lines of one that are not in the other. */
export function difference(wanted: string, got: string): string {
  const [a, b] = [new Set(wanted.split('\n')), new Set(got.split('\n'))];
  return [
    ...[...a].filter((line) => !b.has(line)).map((line) => `- ${line}`),
    ...[...b].filter((line) => !a.has(line)).map((line) => `+ ${line}`),
  ].join('\n');
}
