import type { MachineChange } from './plan';
import type { Step } from './step';

/** TODO */
export function machineChanges(_step: Step): MachineChange[] {
  return [];
}
