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
  notes: ['options: --yes (every question is answered), --json (doctor, status)'],
  stopping: 'what was done is kept, and the same command goes on from there',
});
