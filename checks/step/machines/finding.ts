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

/** What one difference of one file does. */
export interface Finding {
  /** Names of the machines that are told, or of a host. */
  readonly machines: readonly string[];
  readonly effect: MachineChange['effect'];
  /** Why, as one sentence without its full stop. */
  readonly reason: string;
  readonly command?: string;
}

/** What may differ: a file that is there before, after or both. */
export interface FileChange {
  readonly path: string;
  readonly before?: string;
  readonly after?: string;
}

/** What carries a change out. */
export const APPLY = {
  host: 'npm run bootstrap -- apply host',
  vms: 'npm run bootstrap -- apply vms',
  talos: 'npm run bootstrap -- apply talos',
  aiVm: 'npm run bootstrap -- apply ai-vm',
  gitops: 'npm run bootstrap -- apply gitops',
  upgrade: 'npm run bootstrap -- upgrade',
} as const;

/** Starts a node again, once its change was sent. @param hardware whether its virtual machine goes off and on */
export function maintenance(node: string, first: string, hardware: boolean): string {
  return `${first}, then npm run bootstrap -- maintenance ${node}${hardware ? ' stop' : ''}`;
}
