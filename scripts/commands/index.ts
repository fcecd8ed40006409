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
  doctor: { usage: '', what: 'everything that stands in the way, at once, and what to do about it', run: doctor },
  plan: { usage: '[STAGE]', what: 'shows what would change, and changes nothing (default)', run: planStages },
  apply: { usage: '[STAGE]', what: 'shows it, asks, and does exactly that', run: applyStages },
  verify: { usage: '', what: 'whether the running homelab is as it should be; --json for monitoring', run: verify },
  rotate: { usage: 'SECRET', what: 'gives a secret a new value, everywhere and in order', run: rotate },
  maintenance: { usage: 'NODE [stop]', what: 'starts a node again whose databases cannot move', run: maintainNode },
  upgrade: { usage: '', what: 'Talos, then Kubernetes, to the versions of homelab.ts', run: upgradeCluster },
  snapshot: {
    usage: '[FOLDER]',
    what: 'saves a snapshot of etcd to .homelab/etcd/, and to FOLDER; run it every night',
    run: snapshot,
  },
  talosctl: { usage: 'NODE -- ARGS', what: 'talosctl with the login that is kept encrypted', run: talosctlHere },
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
