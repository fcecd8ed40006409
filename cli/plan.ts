import * as fs from 'node:fs';
import { homelabApp } from '../charts';
import { planStep } from '../checks/step';
import { identity } from '../checks/step/objects';
import { renderedState } from '../checks/step/rendered';
import type { Plan } from '../checks/step/plan';
import type { State } from '../checks/step/step';
import { DeclaredSecret } from '../constructs';
import { versionsOf } from '../checks/step/versions';
import type { Homelab } from '../inventory';
import { machineFiles } from '../machines';
import { ownCharts } from '../own-charts';
import { printYaml, render } from '../synth';
import { committed, type Rendered } from '../synth/committed';
import { removalCommands } from '../synth/leftovers';
import { exitCode, html, json, markdown, terminal } from '../synth/plan';
import { sentence } from '../values/problem';
import { options, Usage } from './usage';

const HELP = `npm run homelab -- plan [--base REF] [--markdown | --json | --html] [--out FILE] [--color | --no-color]
Compares dist/ at a Git ref with the present rendering, and prints what the change does to the cluster and its machines.

  --base REF    branch, tag or commit to compare with (default HEAD; in CI origin/main)
  --markdown    for a comment of a pull request, always under 60,000 characters
  --json        for programs, every field of every object
  --html        one page without other files
  --out FILE    writes to a file instead of the terminal
  --color       colours even if the output is not a terminal; --no-color or NO_COLOR=1: none

exit codes, by the worst that homelab.ts does not accept:
   0  nothing dangerous
  10  pods restart, objects are recreated or nodes reboot
  15  someone may do, reach or read more than before
  20  the API server refuses an object, Argo CD never deploys it, or a quota or a node's budget is exceeded
  30  data is at risk
   1  the command itself failed, 2 it was called with wrong options`;

const FORMATS = { markdown, json, html } as const;

/**
 * Prints what a change does. The exit code is for CI: 0 nothing dangerous, 10 restarts, 15 more access, 20 refused, never
 * deployed or at a limit, 30 data at risk. Changes that homelab.ts accepts do not count. 1 and 2: the command itself failed.
 */
export async function plan(args: readonly string[], root = process.cwd()): Promise<void> {
  if (args.includes('--help')) return console.log(HELP);
  const given = options(args, {
    base: 'value',
    out: 'value',
    markdown: 'flag',
    json: 'flag',
    html: 'flag',
    color: 'flag',
    'no-color': 'flag',
  });
  const formats = (Object.keys(FORMATS) as (keyof typeof FORMATS)[]).filter((name) => given.has(name));
  if (formats.length > 1)
    throw new Usage(
      sentence({
        what: 'plan prints in one format',
        got: formats.map((name) => `--${name}`).join(' '),
        fix: 'leave all but one out',
      }),
    );
  const { default: homelab } = await import('../homelab');
  const found = await homelabPlan(homelab, given.get('base') ?? 'HEAD', root);
  const out = given.get('out');
  const text = formats[0] ? FORMATS[formats[0]](found) : terminal(found, look(given, out));
  if (out === undefined) print(text);
  else fs.writeFileSync(out, text);
  process.exitCode = exitCode(found);
}

/** The plan of a homelab, compared with dist/ at a Git ref. @throws without a base to compare with */
export async function homelabPlan(homelab: Homelab, ref: string, root: string): Promise<Plan> {
  const { state: after, rendered } = stateOf(homelab);
  const before = await committed(root, ref, { rendered, machines: true });
  if ('reason' in before)
    throw new Error(
      sentence({
        what: `plan compares with dist/ at a Git ref, but ${before.reason}`,
        got: ref,
        allowed: 'a branch, tag or commit that holds dist/',
        fix: 'name another ref with --base REF, or fetch it first (git fetch origin)',
      }),
    );
  // Argo CD applies the change before the cluster is upgraded.
  const kubernetes = versionsOf(before.state).kubernetes ?? homelab.versions.kubernetes;
  const step = { before: before.state, after, kubernetes, homelab };
  const found = planStep(step, before.base);
  return { ...found, notes: [...found.notes, ...unread(before.unreadable), ...leftBehind(found, step)] };
}

function stateOf(homelab: Homelab): { readonly state: State; readonly rendered: Rendered } {
  const app = homelabApp(homelab, { charts: ownCharts });
  const secrets = DeclaredSecret.all(app).map(({ name, namespaces }) => ({ name, namespaces, keys: [] }));
  const state = renderedState(render(app), secrets);
  const files = new Map(state.objects.map(({ file, object }) => [file, `---\n${printYaml(object)}`]));
  return { state: { ...state, machines: machineFiles(homelab) }, rendered: { files, objects: state.objects } };
}

function unread(files: readonly string[]): string[] {
  return files.map((file) => `dist/${file} of the base is not YAML and was not compared`);
}

/** What stays in the cluster until its owner removes it. */
function leftBehind({ changes }: Plan, { before, after }: { readonly before: State; readonly after: State }): string[] {
  const declared = new Set(after.secrets.map(identity));
  const kept = changes.filter(({ verdict, itself }) => (itself ?? verdict) === 'kept').map((change) => change.before!);
  const secrets = before.secrets.filter((secret) => !declared.has(identity(secret)));
  const commands = removalCommands([...kept, ...secrets]);
  return commands.length === 0
    ? []
    : ['only you can remove these, and their data with them, after the change is synced:', ...commands];
}

function look(given: ReadonlyMap<string, string>, out: string | undefined) {
  const isTerminal = out === undefined && process.stdout.isTTY === true;
  const declined = given.has('no-color') || (process.env.NO_COLOR ?? '') !== '';
  return {
    color: given.has('color') || (isTerminal && !declined),
    width: isTerminal ? process.stdout.columns : undefined,
  };
}

function print(text: string): void {
  // The reader may close the pipe early: plan | head.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  process.stdout.write(text);
}
