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

/** The kernel of the nodes, or its series; undefined for an unknown version of Talos. */
export function linuxOf({ versions: { talos, linux } }: Homelab): string | undefined {
  return linux ?? SERIES[talos.replace(/\.\d+$/, '')];
}

/**
 * MongoDB 8.0 and newer refuses to start on Linux 6.19 to 7.0.13, because its allocator would corrupt memory there
 * (SERVER-121912, https://www.mongodb.com/docs/manual/release-notes/8.0/). Releases up to 8.0.28 also refuse every newer kernel
 * (SERVER-125742).
 */
const FIRST_BAD = [6, 19, 0];
const FIRST_GOOD = [7, 0, 14];
const LAST_TOO_STRICT = [8, 0, 28];

/** Reason why MongoDB does not start on a kernel, for an error message. */
export const MONGOD_STOPS = 'MongoDB 8 and newer stops on Linux 6.19 to 7.0.13 (SERVER-121912)';
/** The fix for an error message. */
export const MONGOD_WAY_OUT =
  'write a versions.talos whose release notes say "Linux:" below 6.19, such as v1.13.9, or 7.0.14 and newer';

/** Whether mongod 8 or newer starts on a kernel, such as 6.18.44-talos; `perhaps` when that depends on the release of mongod. */
export function mongodStarts(linux: string, mongod = '8.0'): 'yes' | 'no' | 'perhaps' {
  const kernel = numbers(linux);
  if (compare(numbers(mongod), [8]) < 0 || compare(kernel, FIRST_BAD) < 0) return 'yes';
  if (compare(kernel, FIRST_GOOD) < 0) return 'no';
  return compare(numbers(mongod), LAST_TOO_STRICT) > 0 ? 'yes' : 'perhaps';
}

function numbers(version: string): number[] {
  return (/^v?(\d+(\.\d+)*)/.exec(version)?.[1] ?? '').split('.').map(Number);
}

/** A missing part counts as 0: for 7.0 this assumes the worst case. */
function compare(a: readonly number[], b: readonly number[]): number {
  return b.map((part, index) => (a[index] ?? 0) - part).find((difference) => difference !== 0) ?? 0;
}
