/**
 * What starts the node again. `reboot`: Talos takes over a staged configuration. `stop`: the virtual machine goes off and on,
 * for changes of its hardware. `upgrade`: the version of Talos in homelab.ts.
 */
export type Restart = 'reboot' | 'stop' | 'upgrade';

/** On the Node while it is under maintenance: how far it has come. Another run goes on from there. */
export const NOTE = 'collab-homelab/maintenance';

/** The command that goes on with a maintenance. */
export function again(name: string, restart: Restart): string {
  return restart === 'upgrade' ? 'upgrade' : `maintenance ${name}${restart === 'stop' ? ' stop' : ''}`;
}

/** The command that ends the maintenance of a node that was begun, or undefined when there is none. */
export function unfinished({ metadata }: any): string | undefined {
  const text = metadata.annotations?.[NOTE];
  if (text === undefined) return undefined;
  // The caller handles a note that is not ours.
  const restart = /"restart":"(reboot|stop|upgrade)"/.exec(text)?.[1] ?? 'reboot';
  return again(metadata.name, restart as Restart);
}
