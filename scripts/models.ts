import { COMMANDS } from './models/index';
import { runProgram } from './program';

/**
 * `npm run models -- COMMAND`: from a fine-tuning on this machine to a version that the AI VM serves. It reads homelab.ts;
 * it writes to .homelab/models/ (weights, ignored by Git), to models/ (cards, committed) and to the AI VM.
 */
runProgram({
  name: 'models',
  commands: COMMANDS,
  flags: { json: false, base: false, fused: false, html: false },
  notes: ['options: --yes (answers every question with yes), --json (doctor, status)'],
  stopping: 'finished work is kept, and the same command continues there',
});
