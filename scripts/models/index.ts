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
  doctor: { usage: '', what: 'everything that stands in the way, at once, and what to do about it', run: doctor },
  train: { usage: 'NAME', what: 'fine-tunes a model; goes on where an earlier run ended', run: train },
  export: { usage: 'NAME', what: 'fuses, converts and quantizes what was trained, and checks it', run: exportModel },
  publish: {
    usage: 'NAME',
    what: 'copies the export to the AI VM, tries it there, then gives it to clients',
    run: publish,
  },
  rollback: { usage: 'NAME [vN]', what: 'gives clients the version before, or vN, in seconds', run: rollback },
  compare: { usage: 'NAME vA vB', what: 'answers of two versions side by side; --html FILE for a page', run: compare },
  status: {
    usage: '',
    what: 'what is served, since when, how fast, what it takes; 1 when something is wrong',
    run: status,
  },
  try: {
    usage: 'NAME [--base|--fused]',
    what: 'serves a model on this machine, with the variables of the cluster',
    run: tryModel,
  },
};
