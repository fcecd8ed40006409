import { budget } from './budget';
import { connect } from './connect';
import { connections } from './connections';
import { fitModel } from './fit-model';
import { images } from './images';
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
  backup: { what: 'NAME: make a backup of a database now', run: backup },
  budget: { what: 'what every container requests of its node, and what is free', run: budget },
  connect: {
    what: 'NAME: open a shell of a database on this machine [--as CLIENT] [--forward] [--kubeconfig FILE]',
    run: connect,
  },
  connections: { what: '[SERVICE]: who may reach whom, at which port, by which login, and why', run: connections },
  'fit-model': {
    what: 'TAG | config.json | FILE.gguf: whether a model fits [--context N] [--parallel N] [--kv-cache TYPE] [--quantization TYPE]',
    run: fitModel,
  },
  images: {
    what: '[IMAGE]: whether registries have each image for the nodes, and which settings it needs',
    run: images,
  },
  leftovers: {
    what: 'print commands that remove what dist/ no longer has [--kubeconfig=FILE]',
    run: leftovers,
  },
  picture: { what: 'an SVG of the homelab: connections, and what runs where', run: printPicture },
  plan: {
    what: 'what a change of homelab.ts does to the cluster and its machines; plan --help for its options',
    run: plan,
  },
  rebind: { what: 'POD: let a recreated claim bind the volume of a pod', run: rebind },
  status: {
    what: 'the state of each database; exit code 1 if something is late or broken [--kubeconfig=FILE]',
    run: status,
  },
  restore: { what: 'NAME: restore a database from its backups; options in docs/backup.md', run: restore },
  'restore-drill': { what: 'NAME: test whether a database can be restored; changes nothing', run: restoreDrill },
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
