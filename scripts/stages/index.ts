import type { Context } from '../engine/context';
import type { Stage } from '../engine/step';

/** The stages in their order: each stands on those before it. */
export const STAGES: Readonly<Record<string, (context: Context) => Stage>> = {};
