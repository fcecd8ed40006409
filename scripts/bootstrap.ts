import { COMMANDS } from './commands';
import { runProgram } from './program';
import { STAGES } from './stages';

/**
 * `npm run bootstrap -- COMMAND`: from bare machines to the running homelab. Reads homelab.ts, dist/ and the state of the
 * machines; writes to the machines, to encrypted files of the repository, and to .homelab/ (log and kubeconfig,
 * ignored by Git).
 */
runProgram({
  name: 'bootstrap',
  commands: COMMANDS,
  otherwise: 'plan',
  flags: { json: false },
  notes: [
    `stages: ${Object.keys(STAGES).join(', ')}`,
    'options: --yes (answers every question with yes; tokens and logins must be typed), --name=NAME (a name that must be typed), --json (verify, doctor)',
  ],
  stopping: 'commands on other machines continue there, and the next run waits for them',
});
