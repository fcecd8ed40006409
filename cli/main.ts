import { budget } from './budget';
import { connect } from './connect';
import { leftovers } from './leftovers';
import { plan } from './plan';
import { rebind } from './rebind';
import { status } from './status';
import { Usage } from './usage';
import { withPlace } from '../values/problem';

/** `npm run homelab -- COMMAND`: one file per command. */
const commands: Readonly<
  Record<string, { readonly what: string; readonly run: (args: readonly string[]) => Promise<void> }>
> = {
  budget: { what: 'what every container costs its node, and what is free', run: budget },
  connect: {
    what: 'NAME: a shell of that database on this machine [--as CLIENT] [--forward] [--kubeconfig FILE]',
    run: connect,
  },
  leftovers: {
    what: 'commands that remove what nobody removes and dist/ has no more [--kubeconfig=FILE]',
    run: leftovers,
  },
  plan: {
    what: 'what homelab.ts would change in the cluster and on its machines; plan --help for its options',
    run: plan,
  },
  rebind: { what: 'POD: let a claim that was made anew have the disk of that pod', run: rebind },
  status: {
    what: 'how each database is; ends with 1 where something is late or broken [--kubeconfig=FILE]',
    run: status,
  },
};

const [name = '', ...args] = process.argv.slice(2);
const command = commands[name];
if (!command) {
  console.error(
    `npm run homelab -- COMMAND\n${Object.entries(commands)
      .map(([each, { what }]) => `  ${each.padEnd(12)} ${what}`)
      .join('\n')}`,
  );
  process.exitCode = 2;
} else {
  command.run(args).catch((error: Error) => {
    console.error(withPlace(error));
    process.exitCode = error instanceof Usage ? 2 : 1;
  });
}
