import { Size } from 'cdk8s';
import { defineHomelab, neededDisks, machineOfDisk, type Homelab } from '../../../inventory';
import { changed } from '../../homelab';
import { claimsBound, type Ground } from './points';
import { until } from './processes';

/** The homelab of tests with a service that keeps uploads, and one whose replicas have disks of their own. */
export function withServiceVolumes(size = 5): Homelab {
  return defineHomelab(
    changed((h) => {
      // Pods follow their disks, also to a node that they would not prefer.
      delete h.preferredNodes;
      h.services.documents.volumes = { uploads: { path: '/uploads', folder: 'files' } };
      // A second pod on the same disk.
      h.services.previews = {
        ...{ kind: 'worker', image: 'registry.example.org/previews:1.0.0', memory: Size.mebibytes(64), connects: [] },
        sharedVolumes: { '/uploads': { of: 'documents', volume: 'uploads' } },
      };
      h.services.search.replicas = 2;
      h.services.search.volumes = { index: { path: '/index', perReplica: true } };
      h.services.search.scratch = { '/var/cache/app': Size.mebibytes(8), '/dev/shm': { memory: Size.mebibytes(8) } };
      h.machines['talos-worker-02'].dataDisks['documents-uploads'] = Size.gibibytes(size);
      h.machines['talos-worker-01'].dataDisks['search-index-0'] = Size.gibibytes(size);
      h.machines['talos-worker-02'].dataDisks['search-index-1'] = Size.gibibytes(size);
    }) as Homelab,
  );
}

/** 3, continued. Each pod runs on the machine of its disk, no other claim gets the disk, and the disk may grow. */
export async function disksOfServices({ client, tally, homelab, manifests }: Ground): Promise<void> {
  await claimsBound({ client, tally });
  const pods = await client.list('v1', 'Pod');
  for (const { disk, namespace, claim, owner } of neededDisks(homelab)) {
    if (namespace !== 'services') continue;
    const found = pods.filter(
      ({ metadata, spec }) =>
        metadata.namespace === namespace &&
        spec.volumes.some((volume: any) => volume.persistentVolumeClaim?.claimName === claim),
    );
    const [machine] = machineOfDisk(homelab, disk);
    const expected = owner === 'documents' ? 2 : 1;
    tally.check(
      `${expected === 1 ? 'the pod' : 'both pods'} with ${disk} of ${owner} run on ${machine}`,
      found.length === expected && found.every(({ spec }) => spec.nodeName === machine),
      JSON.stringify(found.map(({ metadata, spec }) => `${metadata.name} ${spec.nodeName}`)),
    );
  }
  const volume = manifests.find(({ object }) => object.metadata.name === 'services-documents-uploads')!.object;
  const other = (name: string, spec: object) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace: 'services' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'local-data',
      resources: { requests: { storage: '1Mi' } },
      ...spec,
    },
  });
  const thieves = [other('thief', {}), other('thief-by-name', { volumeName: volume.metadata.name })];
  for (const thief of thieves) await client.apply(thief);
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  for (const thief of thieves) {
    const phase = (await client.get(thief))?.status?.phase;
    tally.check(
      `another claim (${thief.metadata.name}) does not get the disk of documents`,
      phase === 'Pending',
      phase,
    );
    await client.delete(thief);
  }
  await client.apply({ ...volume, spec: { ...volume.spec, capacity: { storage: '6Gi' } } });
  await until('the volume shows its larger disk', 10, async () => {
    const found = await client.get(volume);
    return found?.spec.capacity.storage === '6Gi' && found.status.phase === 'Bound';
  });
}
