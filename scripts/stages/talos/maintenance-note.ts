/**
 * How the node restarts. `reboot`: Talos applies a staged configuration. `stop`: the virtual machine is stopped and started,
 * for changes of its hardware. `upgrade`: the version of Talos in homelab.ts.
 */
export type Restart = 'reboot' | 'stop' | 'upgrade';

/** Annotation of the Node during its maintenance: the phase. The next run continues there. */
export const NOTE = 'collab-homelab/maintenance';

/** The command that continues a maintenance. */
export function again(name: string, restart: Restart): string {
  return restart === 'upgrade' ? 'upgrade' : `maintenance ${name}${restart === 'stop' ? ' stop' : ''}`;
}

/** The command that finishes the unfinished maintenance of a node, or undefined if there is none. */
export function unfinished({ metadata }: any): string | undefined {
  const text = metadata.annotations?.[NOTE];
  if (text === undefined) return undefined;
  // The caller handles a note that is not ours.
  const restart = /"restart":"(reboot|stop|upgrade)"/.exec(text)?.[1] ?? 'reboot';
  return again(metadata.name, restart as Restart);
}
