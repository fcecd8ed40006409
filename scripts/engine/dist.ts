import { resolve } from 'node:path';

/** The manifests that synth wrote, which the bootstrap reads as files. */
export const DIST = resolve(__dirname, '..', '..', 'dist');
