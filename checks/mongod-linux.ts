import { linuxOf, type Homelab } from '../inventory';
import type { Check, Finding } from './finding';
import type { Rendering } from './rendering';

/**
 * MongoDB 8.0 and newer stops at its start on Linux 6.19 to 7.0.13, because its allocator would corrupt memory there
 * (SERVER-121912, https://www.mongodb.com/docs/manual/release-notes/8.0/). Releases up to 8.0.28 stop on every newer kernel too
 * (SERVER-125742).
 */
const FIRST_BAD = [6, 19, 0];
const FIRST_GOOD = [7, 0, 14];
const LAST_TOO_STRICT = [8, 0, 28];
const WHY = 'MongoDB 8 and newer stops on Linux 6.19 to 7.0.13 (SERVER-121912)';
const WAY_OUT =
  'write a versions.talos whose release notes say "Linux:" below 6.19, such as v1.13.9, or 7.0.14 and newer';

/** The kernel of the declared Talos must be one that the rendered mongod starts on. */
export const mongodLinux: Check = {
  name: 'mongod and Linux',
  needs: ['homelab'],
  find: ({ rendering, homelab }) =>
    mongods(rendering)
      .filter(({ version }) => version[0]! >= 8)
      .flatMap((mongod) => judged(mongod, homelab!)),
};

interface Mongod {
  readonly place: string;
  readonly image: string;
  readonly version: readonly number[];
}

function mongods(rendering: Rendering): Mongod[] {
  return rendering.flatMap(({ object: { kind, metadata, spec } }) =>
    (kind === 'StatefulSet' ? spec.template.spec.containers : [])
      .filter(({ name }: { name: string }) => name === 'mongod')
      .map(({ image }: { image: string }) => ({
        place: `${metadata.namespace}/${metadata.name}`,
        image,
        // A tag that names no version may well be one of them.
        version: numbers(/:v?(\d+(\.\d+)*)[^/:]*$/.exec(image.replace(/@.*$/, ''))?.[1] ?? '8'),
      })),
  );
}

function judged({ place, image, version }: Mongod, homelab: Homelab): Finding[] {
  const { talos } = homelab.versions;
  const linux = linuxOf(homelab);
  if (linux === undefined)
    return [
      {
        severity: 'warning',
        message: `the kernel of Talos ${talos} is not known here, and ${WHY}, which ${place} (${image}) would; look for "Linux:" in https://github.com/siderolabs/talos/releases/tag/${talos} and write it into versions.linux`,
      },
    ];
  const kernel = numbers(linux);
  if (compare(kernel, FIRST_BAD) < 0) return [];
  const what = `${place} (${image}) would not start on Linux ${linux} of Talos ${talos}`;
  if (compare(kernel, FIRST_GOOD) < 0) return [{ severity: 'error', message: `${what}: ${WHY}; ${WAY_OUT}` }];
  return compare(version, LAST_TOO_STRICT) > 0
    ? []
    : [
        {
          severity: 'warning',
          message: `${what}, perhaps: up to 8.0.28 mongod stops on every kernel from 6.19 on (SERVER-125742); use a newer image`,
        },
      ];
}

function numbers(version: string): number[] {
  return version.split('.').map(Number);
}

/** A part that is left out is 0: of 7.0 the worst is assumed. */
function compare(a: readonly number[], b: readonly number[]): number {
  return b.map((part, index) => (a[index] ?? 0) - part).find((difference) => difference !== 0) ?? 0;
}
