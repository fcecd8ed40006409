import type { Manifest } from '../objects';

/** What the server takes over from the object that is there, where the merged one does not say it. */
export function carried(live: Manifest, merged: Manifest): Manifest {
  return merged.kind === 'Service' ? service(live, merged) : merged;
}

/** Ports of nodes that were assigned stay with their ports, and so does the one for checks of health. */
function service(live: Manifest, given: Manifest): Manifest {
  const merged = checked(live, given);
  if (!merged.spec?.ports) return merged;
  const name = ({ port, protocol = 'TCP' }: Manifest) => `${port}/${protocol}`;
  const known = new Map((live.spec.ports ?? []).map((port: Manifest) => [name(port), port.nodePort]));
  const ports = merged.spec.ports.map((port: Manifest) => {
    const nodePort = port.nodePort || known.get(name(port));
    return nodePort === undefined ? port : { ...port, nodePort };
  });
  return { ...merged, spec: { ...merged.spec, ports } };
}

/** The server fills in again one that it chose itself, and chooses the same. */
function checked(live: Manifest, merged: Manifest): Manifest {
  const { healthCheckNodePort } = live.spec;
  if (typeof healthCheckNodePort !== 'number' || !merged.spec || merged.spec.healthCheckNodePort) return merged;
  return { ...merged, spec: { ...merged.spec, healthCheckNodePort } };
}
