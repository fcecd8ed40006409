import type { Client, Json } from '../../cluster/client';
import type { Tally } from '../../tally';
import type { Clone, Run } from './clone';

/** A clone of the repository, and the real API server that its bootstrap works on. */
export interface ClusterSite {
  readonly clone: Clone;
  readonly client: Client;
  readonly tally: Tally;
  /** Prints what the time since the last call was spent on. */
  readonly lapped: (what: string) => void;
  /** Whether to kill a stage at every call. */
  readonly full: boolean;
}

export const done = ({ code, output }: Run) => code === 0 && !output.includes('nothing to do');
export const nothing = ({ code, output }: Run) => code === 0 && output.includes('nothing to do');
export const at = (kind: string, name: string, namespace?: string, apiVersion = 'v1') => ({
  apiVersion,
  kind,
  metadata: { name, namespace },
});

/** Fields of an object by the manager that owns them, as Argo CD or a person would see. */
export function managers({ metadata }: Json): string[] {
  return metadata.managedFields.map(({ manager, operation }: Json) => `${manager} ${operation}`).sort();
}
