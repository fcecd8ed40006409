import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import homelab from '../../fixtures/homelab';
import { databasePods } from '../../../inventory';
import { leftoverCommands } from '../../../cli/leftovers';
import { leftovers } from '../../../synth/leftovers';
import { published } from '../../../synth/publish';
import { manifestsOf, missingReferences } from '../cluster/deploy';
import { until } from '../cluster/processes';
import { Walk } from '../change/walk';
import { difference, picture, Site, type Change } from './site';
import type { Report } from './report';

export async function commits(site: Site, { tally, lap }: Report): Promise<void> {
  const { client } = site;
  const service = 'chat';
  // Each commit is planned as well: what happened must be what the plan says.
  const walk = new Walk(site, tally);
  const done = async (what: string, change: Change) => {
    const before = await picture(client);
    await walk.commit(what, change);
    return difference(before, await picture(client));
  };

  const image = await done('a new image', (h) =>
    Object.assign(h.services[service], { image: 'ghcr.io/owner/chat:1.0.1', port: 9898 }),
  );
  tally.check(
    'a commit that changes one service changes that service alone',
    image.changed.join() === `Deployment services/${service}` && image.added.length + image.gone.length === 0,
    JSON.stringify(image),
  );
  lap('a changed image was synced');

  const keyspace = await done('a keyspace', (h) =>
    h.services.search.connects.push({ cassandra: 'cassandra', keyspace: 'search' }),
  );
  tally.check(
    'a commit that adds a keyspace makes its job run, with its secret there',
    keyspace.added.some((key) => /^Job cassandra\/cassandra-schema-/.test(key)) &&
      keyspace.gone.some((key) => /^Job cassandra\/cassandra-schema-/.test(key)) &&
      keyspace.added.includes('Secret services/cassandra-search') &&
      !keyspace.changed.some((key) => key.startsWith('StatefulSet')),
    JSON.stringify(keyspace),
  );
  tally.check('and no pod refers to what is not there', (await missingReferences(client)).length === 0);
  const user = await done('a database user', (h) =>
    h.services.presence.connects.push({ mongodb: 'mongodb', database: 'presence' }),
  );
  tally.check(
    'so does one that adds a database user',
    user.added.some((key) => /^Job mongodb\/mongodb-users-/.test(key)) &&
      !user.changed.some((key) => key.startsWith('StatefulSet')),
    JSON.stringify(user),
  );
  lap('Jobs created a keyspace and a user');

  const removed = await done('no notifications', (h) => {
    delete h.services.notifications;
    h.services.gateway.connects = h.services.gateway.connects.filter(
      (connection: any) => connection.service !== 'notifications',
    );
  });
  tally.check(
    'a commit that removes a service prunes it',
    ['Deployment', 'Service', 'NetworkPolicy'].every((kind) => removed.gone.includes(`${kind} services/notifications`)),
    JSON.stringify(removed),
  );
  lap('a removed service was pruned');

  const path = `/apis/apps/v1/namespaces/services/deployments/${service}`;
  await client.ask('PATCH', path, { spec: { replicas: 5 } }, 'application/merge-patch+json');
  await client.ask('DELETE', '/api/v1/namespaces/services/services/documents');
  await until('what was edited by hand is healed', 60, async () => {
    const [deployment, documents] = await Promise.all([
      client.ask('GET', path),
      client.request('GET', '/api/v1/namespaces/services/services/documents'),
    ]);
    return deployment.spec.replicas === 1 && documents.status === 200;
  });
  tally.check('a manual edit and a deletion in the cluster are healed', true);
  lap('Argo CD reverted manual edits');
}

/** `state: 'retired'` keeps what holds data, as the very objects that they were, and `active` brings the pods back to it. */
export async function retires(site: Site, { tally, lap }: Report): Promise<void> {
  const walk = new Walk(site, tally);
  const before = await picture(site.client);
  await walk.commit('mongodb retires', (h) => {
    h.databases.mongodb.state = 'retired';
    for (const service of Object.values<any>(h.services))
      service.connects = service.connects.filter((connection: any) => !connection.mongodb);
  });
  const gone = await picture(site.client);
  const kept = [...before.keys()].filter(
    (key) =>
      key === 'Namespace /mongodb' ||
      /^NetworkPolicy mongodb\/(mongodb|default-deny)$/.test(key) ||
      /^(Secret|PersistentVolumeClaim) mongodb\//.test(key) ||
      /^PersistentVolume \/mongodb-/.test(key),
  );
  const pods = databasePods('mongodb', homelab.databases.mongodb!).length;
  tally.check(
    `a retired database keeps ${kept.length} objects as they were, with their UIDs`,
    kept.length >= 3 + 2 * pods && kept.every((key) => gone.get(key)?.uid === before.get(key)!.uid),
    kept.filter((key) => gone.get(key)?.uid !== before.get(key)!.uid).join(),
  );
  tally.check('and runs no pods', !gone.has('StatefulSet mongodb/mongodb'));
  await walk.revert('mongodb comes back');
  const back = await picture(site.client);
  tally.check(
    'it comes back to the same claims and volumes',
    back.has('StatefulSet mongodb/mongodb') && kept.every((key) => back.get(key)?.uid === before.get(key)!.uid),
  );
  lap('a database retired and came back');
}

/** A database whose entry is deleted while it runs: what synth prints removes all of it, in that order. */
export async function leavesForGood(site: Site, { tally, lap }: Report): Promise<void> {
  const before = published(site.dist);
  await site.commit('mongodb leaves', (h) => {
    delete h.databases.mongodb;
    delete h.machines['talos-worker-02'].dataDisks;
    for (const service of Object.values<any>(h.services))
      service.connects = service.connects.filter((connection: any) => !connection.mongodb);
  });
  const printed = await leftovers(before, published(site.dist));
  await site.argo.refresh('hard');
  await until('the root application reads the commit', 120, async () =>
    (await site.argo.applications()).some(
      ({ metadata, status }) => metadata.name === homelab.name && status.sync.revision === site.revision,
    ),
  );
  const { kubeconfig } = site.plane;
  const found = leftoverCommands(site.dist, kubeconfig);
  // Earlier commits left secrets of theirs.
  const again = found.filter((command) => printed.includes(command));
  tally.check('what is left over is found again in the cluster', again.join() === printed.join(), found.join('\n'));
  for (const command of found)
    await promisify(execFile)('sh', ['-c', command], {
      env: { ...process.env, KUBECONFIG: kubeconfig },
      timeout: 120_000,
    });
  await site.settled(180);
  const left = [...(await picture(site.client)).keys()].filter((key) => / mongodb\/|\/mongodb($|-)/.test(key));
  tally.check(
    `${found.length} commands removed a database that still ran, and nothing of it is left`,
    printed.length > 5 && left.length === 0 && leftoverCommands(site.dist, kubeconfig).length === 0,
    left.join(),
  );
  lap('a database was removed for good');
}

/** Argo CD deletes nothing of a kind that its project does not permit, also when the last object of the kind has left Git. */
export async function lastOfItsKind(site: Site, { tally, lap }: Report): Promise<void> {
  const { client } = site;
  const slice = { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice' };
  const ours = { ...slice, metadata: { name: homelab.llm!.service, namespace: 'services' } };
  const inGit = () => manifestsOf(site.dist).filter(({ object }) => object.kind === slice.kind).length;
  const [before, there] = [inGit(), await client.get(ours)];
  const walk = new Walk(site, tally);
  await walk.commit('the models by a proxy', (h) => (h.llm.via = 'tcp-proxy'));
  tally.check(
    'the last EndpointSlice that leaves Git leaves the cluster',
    before === 1 && there !== undefined && inGit() === 0 && (await client.get(ours)) === undefined,
    `${before} in Git before, ${inGit()} after`,
  );
  await walk.revert('the models by their address');
  tally.check('and comes back with it', (await client.get(ours)) !== undefined);
  lap('the last object of a kind was pruned');
}
