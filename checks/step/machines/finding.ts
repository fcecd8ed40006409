import type { MachineChange } from '../plan';

/** From harmless to worst. */
export const EFFECTS: readonly MachineChange['effect'][] = [
  'nothing',
  'live',
  'next-start',
  'node-reboot',
  'host-reboot',
  'new-machine',
  'gone',
  'data',
];

/** The effect of one difference of one file. */
export interface Finding {
  /** Names of the machines, or of a host. */
  readonly machines: readonly string[];
  readonly effect: MachineChange['effect'];
  /** Why, in one sentence without a full stop. */
  readonly reason: string;
  readonly command?: string;
}

/** A file that exists before, after or both. */
export interface FileChange {
  readonly path: string;
  readonly before?: string;
  readonly after?: string;
}

/** Commands that apply a change. */
export const APPLY = {
  host: 'npm run bootstrap -- apply host',
  vms: 'npm run bootstrap -- apply vms',
  talos: 'npm run bootstrap -- apply talos',
  aiVm: 'npm run bootstrap -- apply ai-vm',
  gitops: 'npm run bootstrap -- apply gitops',
  upgrade: 'npm run bootstrap -- upgrade',
} as const;

/** Restarts a node after its change was sent. @param hardware whether to stop and start its virtual machine */
export function maintenance(node: string, first: string, hardware: boolean): string {
  return `${first}, then npm run bootstrap -- maintenance ${node}${hardware ? ' stop' : ''}`;
}
