import { resolve } from 'node:path';

/** Folder of the repository: everything that is kept lies in it. */
export const ROOT = resolve(__dirname, '..', '..');
