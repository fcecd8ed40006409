import * as fs from 'node:fs';
import { join } from 'node:path';

/** They try hundreds of inputs, or start programs. */
const SLOW = ['random-homelabs.test.ts', 'cassandra-scripts.test.ts'];
/**
 * The tests of what a mutation run changes, as one file: the libraries load once for each mutant and not once for each test file.
 * A snapshot kills nothing here: what a person updates without reading it is no proof.
 */
const ROOMS = ['values', 'inventory', 'constructs', 'checks', 'charts', 'synth', 'examples'];

expect.extend({ toMatchSnapshot: () => ({ pass: true, message: () => '' }) });

const isQuickTest = (name: string) => name.endsWith('.test.ts') && !SLOW.includes(name);

for (const room of ROOMS)
  for (const file of fs.readdirSync(join(__dirname, '..', room)).filter(isQuickTest))
    describe(`${room}/${file}`, () => {
      jest.requireActual(join(__dirname, '..', room, file));
    });
