import type { Manifest } from '../objects';

/** What the server takes over from the object that is there, where the merged one does not say it. */
export function carried(live: Manifest, merged: Manifest): Manifest {
  return merged.kind === 'Service' ? service(live, merged) : merged;
}

/** Ports of nodes that were assigned stay with their ports. */
function service(live: Manifest, merged: Manifest): Manifest {
  if (!merged.spec?.ports) return merged;
  const name = ({ port, protocol = 'TCP' }: Manifest) => `${port}/${protocol}`;
  const known = new Map((live.spec.ports ?? []).map((port: Manifest) => [name(port), port.nodePort]));
  const ports = merged.spec.ports.map((port: Manifest) => {
    const nodePort = port.nodePort || known.get(name(port));
    return nodePort === undefined ? port : { ...port, nodePort };
  });
  return { ...merged, spec: { ...merged.spec, ports } };
}
