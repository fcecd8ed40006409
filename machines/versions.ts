import { stringify } from 'yaml';
import type { Homelab } from '../inventory';
import type { MachineFiles } from './files';
import { ollamaVersion } from './ollama';

/**
 * What runs below everything else, in one place: most of it stands in no other file that is rendered, and an upgrade would be
 * seen in no review. The plan of a change reads both sides here.
 */
export function renderVersions(homelab: Homelab): MachineFiles {
  const { proxmox, talos, kubernetes, argoCd } = homelab.versions;
  const versions = { proxmox, talos, kubernetes, argoCd, ...(homelab.llm && { ollama: ollamaVersion(homelab) }) };
  return new Map([
    ['versions.yaml', `# What homelab.ts wants to run; the bootstrap brings it.\n${stringify(versions)}`],
  ]);
}
