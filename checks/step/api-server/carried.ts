import type { Manifest } from '../objects';

/** Values that the server keeps from the existing object if the merged one lacks them. */
export function carried(live: Manifest, merged: Manifest): Manifest {
  return merged.kind === 'Service' ? service(live, merged) : merged;
}

/** Keeps assigned node ports, and the health check port. */
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

/** Keeps a value that the server itself assigned. */
function checked(live: Manifest, merged: Manifest): Manifest {
  const { healthCheckNodePort } = live.spec;
  if (typeof healthCheckNodePort !== 'number' || !merged.spec || merged.spec.healthCheckNodePort) return merged;
  return { ...merged, spec: { ...merged.spec, healthCheckNodePort } };
}
