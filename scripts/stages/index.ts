import type { Context } from '../clients/context';
import type { Stage } from '../engine/step';
import { aiVmStage } from './ai-vm';
import { host } from './host';
import { images } from './images';
import { gitops } from './gitops';
import { keys } from './keys';
import { models } from './models';
import { secrets } from './secrets';
import { talos } from './talos';
import { vms } from './vms';

/** The stages in order: each needs those before it. */
export const STAGES: Readonly<Record<string, (context: Context) => Stage>> = {
  keys,
  host,
  images,
  vms,
  talos,
  'ai-vm': aiVmStage,
  models,
  secrets,
  gitops,
};
