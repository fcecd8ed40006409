import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import type { App } from 'cdk8s';
import {
  checks as everyCheck,
  render,
  verdict,
  type Check,
  type NamedSecret,
  type Plan,
  type Verdict,
} from '../checks';
import { DeclaredSecret } from '../constructs';
import { withPlace } from '../values/problem';
import { ENCRYPTED_SECRETS, isDerived } from '../values/secrets';
import type { AcceptedChange, Homelab } from '../inventory';
import { changes } from './changes';
import { guard } from './guard';
import { leftovers, LEFTOVERS } from './leftovers';
import { publish, published, recover, write, type Files } from './publish';
import { encryptedNames, secretsList } from './secrets';
import { printYaml } from './yaml';

export { printYaml, render, secretsList };
export { picture } from './picture';

/** What a synth publishes. */
export interface Synthesis {
  /** The app with all of its charts. `synthesize` renders it, so do not call `app.synth()`. */
  readonly app: App;
  /** Checks that run in this order before anything is written. */
  readonly checks: readonly Check[];
  /** @default none: checks that need it do not run */
  readonly homelab?: Homelab;
  /** Accepted changes: published although they put data at risk. @default those of the homelab */
  readonly accept?: readonly AcceptedChange[];
}

/** Paths of the input and output; the defaults suit a run by the cdk8s CLI. */
export interface Places {
  /** Folder that holds dist/. @default the working folder */
  readonly root?: string;
  /** Folder in which the cdk8s CLI expects the manifests. @default CDK8S_OUTDIR */
  readonly outdir?: string;
}

/** The folder that cdk8s.yaml names as output. The CLI deletes it before it runs the app, so it must never be dist/ itself. */
const SCRATCH = '.synth';

/**
 * Loads, renders, checks and publishes to dist/ in one swap; with another output folder (`-o DIR`, `--stdout`) it writes there
 * and publishes nothing. Prints to standard error what changed, because the CLI uses standard output.
 * @throws with every error of a check, or with the data that the change puts at risk compared with dist/ at Git's HEAD; dist/
 * is then as it was
 */
export async function synthesize(
  load: () => Promise<Synthesis>,
  { root = process.cwd(), outdir = process.env.CDK8S_OUTDIR }: Places = {},
): Promise<void> {
  const dist = join(root, 'dist');
  const scratch = join(root, SCRATCH);
  const output = outdir === undefined ? scratch : resolve(root, outdir);
  recover(dist);
  if (output === dist)
    throw new Error(
      'cdk8s synth -o dist deletes dist/ before this program runs; restore it with git checkout -- dist, then run cdk8s synth without -o',
    );
  const { app, homelab, checks, accept = homelab?.accept ?? [] } = await load();
  const rendering = render(app);
  const secrets = DeclaredSecret.all(app);
  const encrypted = await encryptedNames(join(root, ENCRYPTED_SECRETS));
  report(verdict(checks, { rendering, homelab, secrets: named(secrets), encrypted }), 'dist/ is unchanged, because:');
  const manifests = rendering.map(({ file, object }): [string, string] => [file, `---\n${printYaml(object)}`]);
  const files = new Map([...manifests, ['secrets.yaml', secretsList(secrets)]]);
  if (output !== scratch) return write(output, files);
  const said = await guard({ root, files, rendering, secrets: named(secrets), accept });
  for (const line of said) console.error(line);
  await replace(dist, files);
  // One file, because the CLI lists the files of this folder and passes them to its validation plugins.
  fs.mkdirSync(scratch, { recursive: true });
  fs.writeFileSync(join(scratch, 'manifests.yaml'), manifests.map(([, text]) => text).join(''));
}

async function replace(dist: string, files: Files): Promise<void> {
  const before = published(dist);
  const same = before.size === files.size && [...files].every(([path, text]) => before.get(path) === text);
  if (!same) await publish(dist, files, before);
  for (const line of changes(before, files)) console.error(line);
  const commands = await leftovers(before, files);
  if (commands.length > 0)
    console.error(
      [
        LEFTOVERS,
        ...commands.map((command) => `  ${command}`),
        'Run them after the change is pushed and synced. To print them again: npm run homelab -- leftovers',
      ].join('\n'),
    );
}

/**
 * Runs the checks that need no homelab over everything that an app renders: the one line for an app that calls
 * `app.synth()` by itself. Prints warnings. @returns also which checks did not run @throws with every error
 */
export function checkApp(app: App, checks: readonly Check[] = everyCheck): Verdict {
  const found = verdict(checks, { rendering: render(app), secrets: named(DeclaredSecret.all(app)) });
  report(found, 'collab-homelab found errors:');
  return found;
}

/** Prints a plan for a terminal, a pull request, a program or a browser. Its code is loaded at the first call. */
export async function planText(
  plan: Plan,
  format: 'terminal' | 'markdown' | 'json' | 'html' = 'terminal',
): Promise<string> {
  const formats = await import('./plan');
  return formats[format](plan);
}

/** The exit code of a plan: 0 nothing dangerous, 10 restarts, 15 more access, 20 refused, never deployed or at a limit, 30 data at risk. */
export async function planExitCode(plan: Plan): Promise<number> {
  const { exitCode } = await import('./plan');
  return exitCode(plan);
}

function named(secrets: readonly DeclaredSecret[]): NamedSecret[] {
  // A key that is derived from another key is not in the encrypted file.
  const kept = ({ keys }: DeclaredSecret) => Object.keys(keys).filter((key) => !isDerived(keys[key]));
  return secrets.map((secret) => ({ name: secret.name, namespaces: secret.namespaces, keys: kept(secret) }));
}

function report({ findings }: Verdict, headline: string): void {
  const errors = findings.filter(({ severity }) => severity === 'error').map(({ message }) => message);
  if (errors.length > 0) throw new Error(`${headline}\n${errors.map((message) => `  - ${message}`).join('\n')}`);
  for (const { message } of findings) console.error(`warning: ${message}`);
}

/** Runs a synth as a program: prints errors of the homelab and of its rendering without a stack trace. */
export function main(load: () => Promise<Synthesis>): void {
  synthesize(load).catch((error: Error) => {
    console.error(withPlace(error));
    process.exitCode = endsInTheCli() ? 0 : 1;
  });
}

/**
 * The cdk8s CLI prints its own stack trace when the app fails. Without an output folder it prints one line instead and
 * also ends with 1, so this removes the folder if it is empty. Otherwise the folder stays, and the stack trace is printed.
 */
function endsInTheCli(): boolean {
  const { CDK8S_OUTDIR: outdir, CDK8S_RECORD_CONSTRUCT_METADATA: setByTheCli } = process.env;
  if (outdir === undefined || setByTheCli === undefined) return false;
  try {
    if (fs.existsSync(outdir)) fs.rmdirSync(outdir);
    return true;
  } catch {
    return false;
  }
}
