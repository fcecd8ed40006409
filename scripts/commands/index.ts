import { machineFiles } from '../../machines';
import { writeRendered } from './rendered';
import { EXIT } from '../engine/problem';
import { destroy } from './destroy';
import { doctor } from './doctor';
import { maintainNode } from './maintenance';
import { applyStages, planStages } from './plan';
import { rotate } from './rotate';
import { upgradeCluster } from './upgrade';
import { snapshot } from './snapshot';
import { talosctlHere } from './talosctl';
import { verify } from './verify';
import { Command } from './command';

/** The commands by name, one file each. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  doctor: { usage: '', what: 'finds every problem before the bootstrap starts, each with its fix', run: doctor },
  plan: { usage: '[STAGE]', what: 'shows what would change, and changes nothing (default)', run: planStages },
  apply: { usage: '[STAGE]', what: 'shows the plan, asks, and applies exactly that plan', run: applyStages },
  verify: { usage: '', what: 'compares the running homelab with homelab.ts; --json for monitoring', run: verify },
  rotate: { usage: 'SECRET', what: 'replaces a secret everywhere, in a safe order', run: rotate },
  maintenance: { usage: 'NODE [stop]', what: 'restarts a node safely, with its databases', run: maintainNode },
  upgrade: { usage: '', what: 'Talos, then Kubernetes, to the versions of homelab.ts', run: upgradeCluster },
  snapshot: {
    usage: '[FOLDER]',
    what: 'saves a snapshot of etcd to .homelab/etcd/, and to FOLDER; run it every night',
    run: snapshot,
  },
  talosctl: { usage: 'NODE -- ARGS', what: 'talosctl with the encrypted login of the repository', run: talosctlHere },
  destroy: { usage: 'STAGE [BACKUP]', what: 'removes VMs or images; every name must be typed', run: destroy },
  render: {
    usage: '',
    what: 'writes the files and settings of machines to scripts/rendered/; npm run synth does it too',
    async run({ homelab }) {
      const said = writeRendered(machineFiles(homelab));
      if (said !== undefined) console.error(said);
      return EXIT.done;
    },
  },
};
