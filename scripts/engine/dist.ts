import { join } from 'node:path';
import { ROOT } from './root';

/** The manifests that synth wrote, which the bootstrap reads as files. */
export const DIST = join(ROOT, 'dist');
