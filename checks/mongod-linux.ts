import { linuxOf, MONGOD_STOPS, MONGOD_WAY_OUT, mongodStarts, type Homelab } from '../inventory';
import type { Check, Finding } from './finding';
import type { Rendering } from './rendering';

/** The rendered mongod must start on the kernel of the declared Talos. */
export const mongodLinux: Check = {
  name: 'mongod and Linux',
  needs: ['homelab'],
  find: ({ rendering, homelab }) => mongods(rendering).flatMap((mongod) => findingsOf(mongod, homelab!)),
};

interface Mongod {
  readonly place: string;
  readonly image: string;
  readonly version: string;
}

function mongods(rendering: Rendering): Mongod[] {
  return rendering.flatMap(({ object: { kind, metadata, spec } }) =>
    (kind === 'StatefulSet' ? spec.template.spec.containers : [])
      .filter(({ name }: { name: string }) => name === 'mongod')
      .map(({ image }: { image: string }) => ({
        place: `${metadata.namespace}/${metadata.name}`,
        image,
        // A tag without a version may be an affected one.
        version: /:v?(\d+(\.\d+)*)[^/:]*$/.exec(image.replace(/@.*$/, ''))?.[1] ?? '8',
      })),
  );
}

function findingsOf({ place, image, version }: Mongod, homelab: Homelab): Finding[] {
  const { talos } = homelab.versions;
  const linux = linuxOf(homelab);
  if (linux === undefined)
    return mongodStarts('6.19', version) === 'yes'
      ? []
      : [
          {
            severity: 'warning',
            message: `the kernel of Talos ${talos} is not known here, and ${MONGOD_STOPS}, which ${place} (${image}) would; look for "Linux:" in https://github.com/siderolabs/talos/releases/tag/${talos} and write it into versions.linux`,
          },
        ];
  const what = `${place} (${image}) would not start on Linux ${linux} of Talos ${talos}`;
  switch (mongodStarts(linux, version)) {
    case 'yes':
      return [];
    case 'no':
      return [{ severity: 'error', message: `${what}: ${MONGOD_STOPS}; ${MONGOD_WAY_OUT}` }];
    case 'perhaps':
      return [
        {
          severity: 'warning',
          message: `${what} if it is 8.0.28 or older: those stop on every kernel from 6.19 on (SERVER-125742); use a newer image`,
        },
      ];
  }
}
