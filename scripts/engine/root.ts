import { join, resolve } from 'node:path';

/** Folder of the repository: everything that is kept lies in it. */
export const ROOT = resolve(__dirname, '..', '..');

/** The manifests that synth wrote, which the bootstrap reads as files. */
export const DIST = join(ROOT, 'dist');
