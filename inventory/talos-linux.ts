import type { Homelab } from './homelab';

/**
 * Linux of each minor version of Talos. All releases of one stay in one series: DefaultKernelVersion in
 * pkg/machinery/constants/constants.go of siderolabs/talos, read at v1.9.6, v1.10.9, v1.11.6, v1.12.11 and v1.13.9; 6.18.65 in the
 * release notes of v1.14.7 (https://github.com/siderolabs/talos/releases/tag/v1.14.7).
 */
const SERIES: Readonly<Record<string, string>> = {
  'v1.9': '6.12',
  'v1.10': '6.12',
  'v1.11': '6.12',
  'v1.12': '6.18',
  'v1.13': '6.18',
  'v1.14': '6.18',
};

/** The kernel of the nodes, or its series; undefined for a Talos that is not known here. */
export function linuxOf({ versions: { talos, linux } }: Homelab): string | undefined {
  return linux ?? SERIES[talos.replace(/\.\d+$/, '')];
}
