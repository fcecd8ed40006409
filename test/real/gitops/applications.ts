import { join, resolve } from 'node:path';
import type { Homelab, TalosMachine } from '../../../inventory';
import type { Json } from '../cluster/client';
import { missingReferences } from '../cluster/deploy';
import type { Report } from './report';
import type { Site } from './site';

/** Applications that nobody here wrote: their services, added to the homelab of tests in one commit. */
const APPLICATIONS = ['online-boutique', 'rocket-chat', 'forgejo'] as const;
/** The worker with the most room. */
const MACHINE = 'talos-worker-02';

export async function applications(site: Site, { tally, lap }: Report): Promise<void> {
  const examples = await Promise.all(
    APPLICATIONS.map(
      async (name): Promise<Homelab> => (await import(resolve(join('examples', name, 'homelab')))).default,
    ),
  );
  await site.commit('Add three applications', (homelab) => examples.forEach((example) => add(example, homelab)));
  const synced = await site.settled(120);
  tally.check('three applications of others are synced and healthy', synced.length === site.folders());
  const missing = await missingReferences(site.client);
  tally.check('nothing that their pods refer to is missing', missing.length === 0, missing.join('\n'));
  const pods = await site.client.list('v1', 'Pod');
  const instances = new Set(pods.map(({ metadata }: Json) => metadata.labels?.['app.kubernetes.io/instance']));
  const without = examples
    .flatMap(({ services, webApps }) => Object.entries({ ...services, ...webApps }))
    .filter(([name, { kind }]) => kind !== 'job' && !instances.has(name))
    .map(([name]) => name);
  tally.check('each of their services has a pod', without.length === 0, without.join(', '));
  lap('Online Boutique, Rocket.Chat and Forgejo were synced');
}

/** What an owner would copy from one homelab.ts into another. */
function add(example: Homelab, homelab: Json): void {
  Object.assign(homelab.services, example.services);
  Object.assign(homelab.webApps, example.webApps);
  const disks = Object.values(example.machines).flatMap((machine) =>
    Object.entries((machine as TalosMachine).dataDisks ?? {}),
  );
  const own = disks.filter(([disk]) => !Object.keys(example.databases).some((name) => disk.startsWith(`${name}-`)));
  const machine = homelab.machines[MACHINE];
  machine.dataDisks = { ...machine.dataDisks, ...Object.fromEntries(own) };
}
