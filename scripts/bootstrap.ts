import { parseArgs } from 'node:util';
import { HomelabError } from '../inventory';
import { COMMANDS } from './commands';
import { terminal } from './engine/ask';
import { context } from './clients/context';
import { EXIT, Interrupted, Problem, Declined, Blocked, Usage } from './engine/problem';
import { STAGES } from './stages';

/**
 * `npm run bootstrap -- COMMAND`: from bare machines to the running homelab. It reads homelab.ts and dist/, and what the
 * machines say; it writes to the machines, to encrypted files of the repository, and to .homelab/ (log and kubeconfig,
 * ignored by Git).
 */
function usage(): string {
  return [
    'npm run bootstrap -- COMMAND',
    ...Object.entries(COMMANDS).map(([name, { usage, what }]) => `  ${`${name} ${usage}`.padEnd(26)} ${what}`),
    `stages: ${Object.keys(STAGES).join(', ')}`,
    'options: --yes (every question is answered, but tokens and logins must be typed), --name=NAME (a name that must be typed), --json (verify, doctor)',
    'exit codes: 0 done, 1 failed, 2 wrong usage, 3 not agreed to, 4 stopped until its owner acts, 130 interrupted',
  ].join('\n');
}

const SAME_KEY_MILLISECONDS = 500;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      yes: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      name: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', default: false },
    },
  });
  const [name = 'plan', ...args] = positionals;
  const command = COMMANDS[name];
  if (values.help) {
    console.log(usage());
    return EXIT.done;
  }
  if (command === undefined) throw new Usage(`no command ${name}\n${usage()}`);
  const { default: homelab } = await import('../homelab');
  const here = context(homelab, terminal(values.yes, new Set(values.name)));
  let stopping: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    // Not once(): with its listener gone, those that end child processes would end this one by the signal.
    process.on(signal, () => {
      // npm passes on what the terminal has told this program already.
      if (stopping !== undefined && Date.now() - stopping < SAME_KEY_MILLISECONDS) return;
      if (stopping !== undefined) process.exit(EXIT.interrupted);
      stopping = Date.now();
      console.error('\nstopping; what runs on another machine goes on there, and the next run waits for it');
      here.commands.interrupt();
      setTimeout(() => process.exit(EXIT.interrupted), 3000).unref();
    });
  here.log.line(`== ${name} ${args.join(' ')}`);
  try {
    return await command.run(here, args, { json: values.json });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { message, stack = '' } = error;
    throw Object.assign(error, { message: here.log.masked(message), stack: here.log.masked(stack) });
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error & { code?: string }) => {
    const isUsage = error instanceof Usage || error.code?.startsWith('ERR_PARSE_ARGS');
    console.error(error instanceof Problem || error instanceof HomelabError || isUsage ? `\n${error.message}` : error);
    process.exitCode = isUsage ? EXIT.usage : exitCode(error);
  },
);

function exitCode(error: Error): number {
  if (error instanceof Interrupted) return EXIT.interrupted;
  if (error instanceof Declined) return EXIT.refused;
  return error instanceof Blocked || error instanceof HomelabError ? EXIT.stopped : EXIT.failed;
}
