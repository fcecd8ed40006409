import type { ModelCommand } from './command';
import { compare } from './compare';
import { doctor } from './doctor';
import { exportModel } from './export';
import { publish } from './publish';
import { rollback } from './rollback';
import { status } from './status';
import { train } from './train';
import { tryModel } from './try';

/** The commands by name, one file each. */
export const COMMANDS: Readonly<Record<string, ModelCommand>> = {
  doctor: { usage: '', what: 'lists every problem that would stop a training, with its fix', run: doctor },
  train: { usage: 'NAME', what: 'fine-tunes a model; resumes an earlier run', run: train },
  export: { usage: 'NAME', what: 'fuses, converts and quantizes the trained model, and checks it', run: exportModel },
  publish: {
    usage: 'NAME',
    what: 'copies the export to the AI VM, tests it there, then serves it to clients',
    run: publish,
  },
  rollback: { usage: 'NAME [vN]', what: 'serves the previous version, or vN, within seconds', run: rollback },
  compare: {
    usage: 'NAME vA vB',
    what: 'shows the answers of two versions side by side; --html FILE writes a page',
    run: compare,
  },
  status: {
    usage: '',
    what: 'shows what is served, since when, its speed and memory; exits with 1 on a problem',
    run: status,
  },
  try: {
    usage: 'NAME [--base|--fused]',
    what: 'serves a model on this machine, with the variables of the cluster',
    run: tryModel,
  },
};
