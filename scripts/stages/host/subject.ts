import type { Homelab } from '../../../inventory';
import type { HostFacts } from '../../clients/proxmox/facts';

/** What a check of a host is about. */
export interface Subject {
  readonly homelab: Homelab;
  readonly name: string;
  readonly facts: HostFacts;
}
