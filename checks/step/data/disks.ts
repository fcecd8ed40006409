import { bytesOf } from './quantities';
import { identity, type Manifest } from '../objects';
import type { Risk } from '../plan';
import type { Pair } from '../step';
import { databaseOf, thingOf, type Index } from './databases';
import { nameIn } from './names';
import { dataRisk, shownAs } from './risk';
import { claimTemplates } from './workloads';

/** Claim templates: they cannot change, so a change needs manual steps, and may need new volumes. */
export function templateRisks(pairs: readonly Pair[], before: Index): Risk[] {
  const groups = new Map<string, { thing: string; was: Manifest; is: Manifest; objects: string[] }>();
  for (const { before: was, after: is } of pairs) {
    if (was?.object.kind !== 'StatefulSet' || !is || was.object === is.object) continue;
    const database = databaseOf(was.object);
    const whole = database && before.databases.get(database.key);
    const thing = whole ? thingOf(whole, before) : nameIn(was.object, before);
    // Racks change together: one message for the ring.
    const change = JSON.stringify([thing, ...[was, is].map(({ object }) => claimTemplates(object).map(shape))]);
    const group = groups.get(change) ?? { thing, was: was.object, is: is.object, objects: [] };
    group.objects.push(identity(is.object));
    groups.set(change, group);
  }
  return [...groups.values()].flatMap((group) => templates(group));
}

function shape({ metadata, spec = {} }: Manifest) {
  return {
    name: metadata.name as string,
    size: spec.resources?.requests?.storage as unknown,
    class: spec.storageClassName as unknown,
    modes: shownAs(spec.accessModes),
    volumeMode: (spec.volumeMode ?? 'Filesystem') as string,
  };
}

function templates({
  thing,
  was,
  is,
  objects,
}: {
  thing: string;
  was: Manifest;
  is: Manifest;
  objects: string[];
}): Risk[] {
  const after = claimTemplates(is).map(shape);
  const only = claimTemplates(was).length === 1;
  return claimTemplates(was)
    .map(shape)
    .flatMap((from) => {
      const to = after.find(({ name }) => name === from.name);
      const aspect = (text: string) => (only ? `${thing}.${text}` : `${thing}.${from.name}.${text}`);
      const common = { objects, path: `spec.volumeClaimTemplates[${from.name}]` };
      if (!to)
        return [
          dataRisk({
            ...common,
            what: aspect('claims'),
            section: 'storage',
            from: from.name,
            to: after.map(({ name }) => name),
            problem:
              'Claims are named after the template: claims with the data stay behind, and pods of a recreated StatefulSet start on empty ones. The API server refuses the change.',
            way: ['put the old name back'],
          }),
        ];
      return [
        ...size(from, to, aspect('diskSize'), common, was),
        ...storageClass(from, to, aspect('storageClass'), common),
      ];
    });
}

type Shape = ReturnType<typeof shape>;

function size(
  from: Shape,
  to: Shape,
  what: string,
  common: { objects: string[]; path: string },
  set: Manifest,
): Risk[] {
  const [was, is] = [bytesOf(from.size), bytesOf(to.size)];
  if (was === is || was === undefined) return [];
  const smaller = is === undefined || is < was;
  const { namespace } = set.metadata;
  const names = common.objects.map((id) => id.slice(id.lastIndexOf('/') + 1)).join(' ');
  return [
    dataRisk({
      ...common,
      what,
      section: 'disks',
      from: from.size,
      to: to.size,
      problem: smaller
        ? 'A disk cannot shrink: a smaller disk is a new, empty one, and the data stays on the old one. The API server refuses a smaller claim.'
        : 'The claim template of a StatefulSet cannot change: Argo CD cannot apply it. If you delete the StatefulSet with its pods, every member ends at once.',
      way: smaller
        ? ['put the old size back', 'for smaller disks add a second database, copy the data, retire the old one']
        : [
            'one commit: all disks of the database larger, with this accepted change; do not push yet. Then npm run bootstrap -- apply vms, apply talos, and maintenance for each node that has them',
            `check: the new size in df -h of every pod, then push, and when Argo CD reports the refused update: kubectl -n ${namespace} delete statefulset ${names} --cascade=orphan. Argo CD recreates it, pods and claims stay`,
            'next commit: npm run bootstrap -- verify has no BAD, remove the accepted change (docs/day-2.md, Data disks)',
          ],
    }),
  ];
}

function storageClass(from: Shape, to: Shape, what: string, common: { objects: string[]; path: string }): Risk[] {
  if (from.class === to.class && from.volumeMode === to.volumeMode) return [];
  return [
    dataRisk({
      ...common,
      what,
      section: 'storage',
      from: from.class === to.class ? from.volumeMode : from.class,
      to: from.class === to.class ? to.volumeMode : to.class,
      problem:
        'Existing claims keep their class, and claims of another class get new, empty volumes. The API server refuses the change of the template.',
      way: [
        'put the old one back',
        'for another class add a second database with it, copy the data, retire the old one',
      ],
    }),
  ];
}
