import { imageFile } from '../storage';
import { SCHEMATIC, type Bench } from './bench';

/** What curl gets. */
export async function downloads(bench: Bench): Promise<void> {
  const { run, onHost, same, simulation } = bench;
  const url = `https://factory.talos.dev/image/${SCHEMATIC}/v1.13.9/nocloud-amd64.raw`;
  simulation.urls[url] = imageFile({ system: 'talos', version: 'v1.13.9', schematic: SCHEMATIC, platform: 'nocloud' });
  simulation.urls['https://cloud-images.ubuntu.com/noble.img'] = imageFile({ system: 'ubuntu', version: '24.04' });
  same('curl', (await onHost(`curl -fsSL --proto '=https' -o /var/lib/vz/import/talos.raw ${url}`)).code, 0);
  same(
    'curl goes on',
    (
      await onHost(
        `cd /var/lib/vz/import && head -c 5 talos.raw > half && curl -fsSL --continue-at - -o half ${url} && cmp half talos.raw && rm half`,
      )
    ).code,
    0,
  );
  await onHost('curl -fsSLo /var/lib/vz/import/ubuntu.img https://cloud-images.ubuntu.com/noble.img');
  same('curl refuses', (await onHost('curl -fsS https://factory.talos.dev/none')).code, 22);
  same('curl does not find a host', (await run('curl', ['-fsS', 'https://example.invalid/'])).code, 6);
}
