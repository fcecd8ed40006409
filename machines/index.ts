import type { Homelab } from '../inventory';
import { renderAiVms } from './ai-vm';
import { MachineFiles } from './files';
import { renderHosts } from './host';
import { talosPatches } from './talos';
import { renderVersions } from './versions';
import { renderVms } from './vms';

/** Files and settings of machines, computed from the inventory only: pure, without secrets. One renderer per kind of machine. */
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
