import type { Homelab } from '../inventory';
import { renderAiVms } from './ai-vm';
import { MachineFiles } from './files';
import { renderHosts } from './host';
import { talosPatches } from './talos';
import { renderVersions } from './versions';
import { renderVms } from './vms';

/** What machines are told, from the inventory alone: pure, the same everywhere, without a secret. One renderer per kind. */
const RENDERERS: readonly ((homelab: Homelab) => MachineFiles)[] = [
  renderHosts,
  talosPatches,
  renderVms,
  renderAiVms,
  renderVersions,
];

export function machineFiles(homelab: Homelab): MachineFiles {
  return new Map(RENDERERS.flatMap((render) => [...render(homelab)]).sort(([a], [b]) => (a < b ? -1 : 1)));
}
