import { stringify } from 'yaml';
import type { Homelab } from '../inventory';
import type { MachineFiles } from './files';
import { ollamaVersion } from './ollama';

/**
 * Versions of the platform in one file: no other rendered file has most of them, so a review would not show an
 * upgrade. The plan of a change compares this file.
 */
export function renderVersions(homelab: Homelab): MachineFiles {
  const { proxmox, talos, kubernetes, argoCd } = homelab.versions;
  const versions = { proxmox, talos, kubernetes, argoCd, ...(homelab.llm && { ollama: ollamaVersion(homelab) }) };
  return new Map([
    ['versions.yaml', `# What homelab.ts wants to run; the bootstrap brings it.\n${stringify(versions)}`],
  ]);
}
