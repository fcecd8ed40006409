import { identity, isKept, type Manifest } from '../objects';
import type { Risk } from '../plan';
import type { Pair } from '../step';
import type { Index } from './databases';
import { nameIn } from './names';
import { dataRisk, isSame, shownAs } from './risk';
import { bytesOf } from './quantities';
import { claimTemplates, podOf } from './workloads';

/** Claims that charts render, and StorageClasses. */
export function claimRisks(pairs: readonly Pair[], before: Index): Risk[] {
  return pairs.flatMap((pair) => {
    const kind = (pair.after ?? pair.before)!.object.kind;
    if (!pair.before || pair.before.object === pair.after?.object) return [];
    if (kind === 'PersistentVolumeClaim') return claim(pair.before.object, pair.after?.object, before);
    if (kind === 'StorageClass') return storageClass(pair.before.object, pair.after?.object, before);
    return [];
  });
}

function claim(was: Manifest, is: Manifest | undefined, before: Index): Risk[] {
  const name = nameIn(was, before);
  if (!is) {
    if (isKept(was)) return [];
    return [
      dataRisk({
        what: `${name}.claim`,
        section: 'storage',
        objects: [identity(was)],
        from: name,
        to: undefined,
        problem:
          'Argo CD deletes the claim, and its volume too unless the class retains it. A claim with another name gets a new, empty volume.',
        way: [
          'first commit: stop what uses it, and give the claim the annotation argocd.argoproj.io/sync-options: Prune=false,Delete=false',
          'check: the data was copied to its new place, or you restored a backup as a test',
          'second commit: remove it; delete the claim by hand (kubectl delete) when nobody needs its data',
        ],
      }),
    ];
  }
  const sizes = [was, is].map(({ spec }) => spec?.resources?.requests?.storage);
  const risks: Risk[] = [];
  const add = (aspect: string, path: string, from: unknown, to: unknown, problem: string, fix: string) =>
    risks.push(
      dataRisk({
        what: `${name}.${aspect}`,
        section: 'storage',
        objects: [identity(is)],
        path,
        from,
        to,
        problem,
        way: [fix],
      }),
    );
  if ((bytesOf(sizes[1]) ?? 0) < (bytesOf(sizes[0]) ?? 0))
    add(
      'size',
      'spec.resources.requests.storage',
      ...(sizes as [unknown, unknown]),
      'A claim cannot shrink: the API server refuses it, and a recreated claim gets a new, empty volume.',
      'put the old size back, or copy the data to a second, smaller claim',
    );
  for (const [field, aspect] of Object.entries({
    storageClassName: 'storageClass',
    volumeName: 'volume',
    volumeMode: 'volumeMode',
  })) {
    const [from, to] = [was, is].map(({ spec }) => spec?.[field] as unknown);
    // The cluster fills in a missing value, so naming it changes nothing.
    if (from !== to && from !== undefined)
      add(
        aspect,
        `spec.${field}`,
        from,
        to,
        'The API server refuses the change; a recreated claim gets another volume, and the data stays on the old one.',
        'put the old value back, or copy the data to a second claim',
      );
  }
  return risks;
}

function storageClass(was: Manifest, is: Manifest | undefined, before: Index): Risk[] {
  const name = was.metadata.name;
  if (!isUsed(name, before)) return [];
  const objects = [identity(was)];
  if (!is)
    return isKept(was)
      ? []
      : [
          dataRisk({
            what: `${name}.class`,
            section: 'storage',
            objects,
            from: name,
            to: undefined,
            problem:
              'Recreated claims of this class find no class, and their pods stay Pending, even if a disk with their data exists.',
            way: ['keep it for as long as a claim or volume names it'],
          }),
        ];
  return ['provisioner', 'reclaimPolicy', 'volumeBindingMode', 'parameters'].flatMap((field) => {
    if (isSame(was[field], is[field])) return [];
    return dataRisk({
      what: `${name}.${field}`,
      section: 'storage',
      objects,
      path: field,
      from: shownAs(was[field]),
      to: shownAs(is[field]),
      problem: `The API server refuses it; a recreated class creates later volumes differently${
        field === 'reclaimPolicy' ? ', and with Delete their data goes with their claims' : ', or not at all'
      }.`,
      way: ['do not change this class; add a class with another name for new claims'],
    });
  });
}

function isUsed(name: string, { byId }: Index): boolean {
  return [...byId.values()].some(
    (object) =>
      ((object.kind === 'PersistentVolume' || object.kind === 'PersistentVolumeClaim') &&
        object.spec?.storageClassName === name) ||
      claimTemplates(object).some(({ spec }) => spec?.storageClassName === name) ||
      (podOf(object)?.volumes ?? []).some(
        (volume: Manifest) => volume.ephemeral?.volumeClaimTemplate?.spec?.storageClassName === name,
      ),
  );
}
