import { budget } from './budget';
import { connect } from './connect';
import { leftovers } from './leftovers';
import { printPicture } from './picture';
import { plan } from './plan';
import { rebind } from './rebind';
import { status } from './status';
import { backup, restore, restoreDrill } from './restore';
import { Usage } from './usage';
import { withPlace } from '../values/problem';

/** `npm run homelab -- COMMAND`: one file per command. */
const commands: Readonly<
  Record<string, { readonly what: string; readonly run: (args: readonly string[]) => Promise<void> }>
> = {
  backup: { what: 'NAME: store a database now, beside its schedule', run: backup },
  budget: { what: 'what every container costs its node, and what is free', run: budget },
  connect: {
    what: 'NAME: a shell of that database on this machine [--as CLIENT] [--forward] [--kubeconfig FILE]',
    run: connect,
  },
  leftovers: {
    what: 'commands that remove what nobody removes and dist/ has no more [--kubeconfig=FILE]',
    run: leftovers,
  },
  picture: { what: 'an SVG of the homelab: who may talk to whom, and what runs where', run: printPicture },
  plan: {
    what: 'what homelab.ts would change in the cluster and on its machines; plan --help for its options',
    run: plan,
  },
  rebind: { what: 'POD: let a claim that was made anew have the disk of that pod', run: rebind },
  status: {
    what: 'how each database is; ends with 1 where something is late or broken [--kubeconfig=FILE]',
    run: status,
  },
  restore: { what: 'NAME: load a database from its backups; docs/backup.md has its options', run: restore },
  'restore-drill': { what: 'NAME: try whether it could be loaded from its backups; loads nothing', run: restoreDrill },
};

const [name = '', ...args] = process.argv.slice(2);
const command = commands[name];
if (!command) {
  console.error(
    `npm run homelab -- COMMAND\n${Object.entries(commands)
      .map(([each, { what }]) => `  ${each.padEnd(14)} ${what}`)
      .join('\n')}`,
  );
  process.exitCode = 2;
} else {
  command.run(args).catch((error: Error) => {
    console.error(withPlace(error));
    process.exitCode = error instanceof Usage ? 2 : 1;
  });
}
