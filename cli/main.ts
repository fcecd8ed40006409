import { budget } from './budget';

/** `npm run homelab -- COMMAND`: one file per command. */
const commands: Readonly<Record<string, { readonly what: string; readonly run: () => Promise<void> }>> = {
  budget: { what: 'what every container costs its node, and what is free', run: budget },
};

const name = process.argv[2] ?? '';
const command = commands[name];
if (!command) {
  console.error(
    `npm run homelab -- COMMAND\n${Object.entries(commands)
      .map(([each, { what }]) => `  ${each.padEnd(12)} ${what}`)
      .join('\n')}`,
  );
  process.exitCode = 2;
} else {
  command.run().catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
