import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import homelab from '../../../fixtures/homelab';
import type { Json } from '../../cluster/client';
import type { ArgoCd } from '../../gitops/argo-cd';
import { at, done, managers, nothing, type ClusterSite } from '../harness/cluster-site';

/** Applies stage secrets, killed on the way, and compares the cluster with the encrypted file. */
export async function stageSecrets({ clone, client, tally, lapped, full }: ClusterSite): Promise<void> {
  const { kills, last: first } = await clone.killedAlong(['apply', 'secrets', '--yes'], full ? 1 : 7);
  tally.check(
    'stage secrets is done, however often it is killed on the way',
    kills > 2 && first.code === 0,
    first.output,
  );
  lapped(`stage secrets applied, killed ${kills} times on the way`);
  const second = await clone.run('apply', 'secrets', '--yes');
  tally.check('and finds nothing to do when run again', nothing(second), second.output);
  for (const file of fs.readdirSync(join(clone.path, 'dist'), { recursive: true }).map(String)) {
    if (!/namespace\./.test(file)) continue;
    const sent = parse(clone.read(join('dist', file)));
    const live = (await client.get(sent))!;
    const [{ fieldsV1 }] = live.metadata.managedFields;
    const labels = Object.keys(fieldsV1['f:metadata']['f:labels']).map((key) => key.slice(2));
    tally.check(
      `${file} is there byte for byte: Argo CD's name owns exactly what the file says`,
      managers(live).join() === 'argocd-controller Apply' &&
        labels.sort().join() === Object.keys(sent.metadata.labels).sort().join(),
      JSON.stringify(live.metadata),
    );
  }
  const declared: Json[] = parse(clone.read('dist/secrets.yaml')).secrets;
  const kept = clone.secrets();
  for (const { name, namespaces, keys, type } of declared)
    for (const namespace of namespaces) {
      const live = await client.get(at('Secret', name, namespace));
      const same = Object.keys(keys).every(
        (key) =>
          Buffer.from(live?.data[key] ?? '', 'base64').toString() ===
            valueOf(kept.secrets[namespace][name], keys, key) &&
          kept.secrets[namespaces[0]][name][key] === kept.secrets[namespace][name][key],
      );
      tally.check(`${namespace}/${name} is in the cluster as it is kept`, same && live?.type === type);
    }
  const text = clone.read('secrets.sops.yaml');
  const values = declared.flatMap(({ name, namespaces, keys }) =>
    Object.entries<Json>(keys).map(
      ([key, source]) => [source, valueOf(kept.secrets[namespaces[0]][name], keys, key)] as const,
    ),
  );
  const log = clone.read('.homelab/bootstrap.log');
  const leaked = values.filter(
    ([source, value]) => !('value' in source) && [text, log, first.output].some((each) => each.includes(value)),
  );
  tally.check(
    'no value is in the encrypted file, the log or what was printed',
    leaked.length === 0 && values.length > 20,
  );
  const leaf = new X509Certificate(kept.secrets.ingress['traefik-certificate']['tls.crt']);
  tally.check(
    'the certificate is from the authority in ca.crt',
    leaf.verify(new X509Certificate(clone.read('ca.crt')).publicKey),
  );
}

/** What a key holds: what is kept, or another key percent-encoded, which is not kept. */
function valueOf(kept: Json, keys: Json, key: string): string {
  const { percentEncoded } = keys[key];
  return percentEncoded === undefined ? kept[key] : encodeURIComponent(kept[percentEncoded]);
}

/** A secret with another value is never overwritten, and a missing one comes back. */
export async function foreign({ clone, client, tally, lapped }: ClusterSite): Promise<void> {
  const secret = at('Secret', 'mongodb-chat', 'mongodb');
  const name = { ...secret, metadata: { ...secret.metadata, name: 'mongodb-search' } };
  const path = await client.pathOf(name);
  const good = (await client.get(name))!.data.password;
  const change = (password: string) =>
    client.ask('PATCH', path, { data: { password } }, 'application/merge-patch+json');
  await change(Buffer.from('somebody-elses').toString('base64'));
  await client.delete(at('Secret', 'mongodb-identity', 'services'));
  const before = clone.read('secrets.sops.yaml');
  const run = await clone.run('apply', 'secrets', '--yes');
  tally.check(
    'a secret with another value stops the stage, which says which, and both ways out',
    run.code === 4 &&
      /secret mongodb\/mongodb-search holds another password/.test(run.output) &&
      run.output.includes('kubectl -n mongodb delete secret mongodb-search') &&
      !run.output.includes('somebody-elses'),
    run.output,
  );
  tally.check(
    'and nothing was changed',
    Buffer.from((await client.get(name))!.data.password, 'base64').toString() === 'somebody-elses' &&
      before === clone.read('secrets.sops.yaml') &&
      (await client.get(at('Secret', 'mongodb-identity', 'services'))) === undefined,
  );
  await change(good);
  const mended = await clone.run('apply', 'secrets', '--yes');
  tally.check(
    'a missing one comes back with its value',
    done(mended) && (await client.get(at('Secret', 'mongodb-identity', 'services'))) !== undefined,
    mended.output,
  );
  lapped('a foreign secret was left alone, a missing one came back');
}

/** The password of a client, through its database's job and its deployment. */
export async function rotates({ clone, client, tally, lapped, full }: ClusterSite, argo: ArgoCd): Promise<void> {
  const old = clone.secrets().secrets.mongodb['mongodb-search'].password;
  const job = (await client.list('batch/v1', 'Job', 'mongodb'))[0]!.metadata;
  const podOf = async (name: string) =>
    (await client.list('v1', 'Pod', 'services')).filter(
      ({ metadata }) => metadata.labels['app.kubernetes.io/instance'] === name && !metadata.deletionTimestamp,
    );
  const before = (await podOf('search'))[0]!.metadata.uid;
  const others = (await podOf('documents'))[0]!.metadata.uid;
  const [{ kills, last: run }] = await Promise.all([
    clone.killedAlong(['rotate', 'mongodb-search', '--yes'], full ? 1 : 2),
    pump(argo, 60),
  ]);
  tally.check('rotate is done, however often it is killed on the way', kills > 1 && run.code === 0, run.output);
  const kept = clone.secrets();
  const now = kept.secrets.mongodb['mongodb-search'].password;
  const live = await Promise.all(
    ['mongodb', 'services'].map((namespace) => client.get(at('Secret', 'mongodb-search', namespace))),
  );
  tally.check(
    'both namespaces and the file have one new value, and the old one is forgotten',
    now !== old &&
      kept.secrets.services['mongodb-search'].password === now &&
      kept.previous === undefined &&
      live.every((each) => Buffer.from(each!.data.password, 'base64').toString() === now),
  );
  const again = (await client.get(at('Job', job.name, 'mongodb', 'batch/v1')))!;
  tally.check('the job ran again', again.metadata.uid !== job.uid && again.status.succeeded === 1);
  const pods = await podOf('search');
  tally.check(
    'who reads it has started anew, and nobody else',
    pods.every(({ metadata }) => metadata.uid !== before) && (await podOf('documents'))[0]!.metadata.uid === others,
  );
  await argo.refresh('hard');
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  tally.check(
    'Argo CD undoes none of it and stays Synced',
    (await argo.applications()).every(({ status }) => status.sync.status === 'Synced') &&
      (await podOf('search')).map(({ metadata }) => metadata.uid).join() ===
        pods.map(({ metadata }) => metadata.uid).join(),
    await argo.explain(),
  );
  tally.check(
    'neither value was printed or logged',
    ![run.output, clone.read('.homelab/bootstrap.log')].some((text) => text.includes(old) || text.includes(now)),
  );
  const [own] = await Promise.all([clone.run('rotate', 'mongodb-root', '--yes'), pump(argo, 30)]);
  tally.check('root of a database is rotated by its job', own.code === 0, own.output);
  lapped(`a password was rotated, killed ${kills} times on the way`);
}

async function pump(argo: ArgoCd, seconds: number): Promise<void> {
  for (let passed = 0; passed < seconds; passed += 2) {
    await argo.refresh().catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

/** A certificate that ends soon is renewed by the stage, and the ingress controller restarts to read it. */
export async function renews({ clone, client, tally, lapped }: ClusterSite): Promise<void> {
  const authority = clone.secrets('scripts/secrets/authority.sops.yaml');
  const { issue } = await import('../../../../scripts/secrets/certificates');
  const soon = await issue(authority as any, [`*.${homelab.network.domain}`], new Date(Date.now() - 380 * 86_400_000));
  const kept = clone.secrets();
  const values = { 'tls.crt': soon.certificate, 'tls.key': soon.key };
  kept.secrets.ingress['traefik-certificate'] = values;
  clone.keepSecrets(kept);
  await client.ask(
    'PATCH',
    '/api/v1/namespaces/ingress/secrets/traefik-certificate',
    { stringData: values },
    'application/merge-patch+json',
  );
  const uids = async () =>
    (await client.list('v1', 'Pod', 'ingress'))
      .map(({ metadata }) => metadata.uid)
      .sort()
      .join();
  const before = await uids();
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const run = await clone.run('apply', 'secrets', '--yes');
  const leaf = clone.secrets().secrets.ingress['traefik-certificate']['tls.crt'];
  const live = (await client.get(at('Secret', 'traefik-certificate', 'ingress')))!;
  tally.check(
    'a certificate that ends in 17 days is renewed, in the file and in the cluster',
    done(run) &&
      leaf !== soon.certificate &&
      Buffer.from(live.data['tls.crt'], 'base64').toString() === leaf &&
      new Date(new X509Certificate(leaf).validTo).getTime() > Date.now() + 390 * 86_400_000,
    run.output,
  );
  tally.check('the ingress controller has started anew to read it', (await uids()) !== before, run.output);
  const again = await clone.run('apply', 'secrets', '--yes');
  tally.check('and nothing is left to do', nothing(again), again.output);
  lapped('a certificate was renewed');
}
