import { groupOf } from '../../../constructs';
import { identity, isKept, type Manifest } from '../objects';
import type { Risk } from '../plan';
import type { Pair, Step } from '../step';
import { isActive, type Index } from './databases';
import { nameIn } from './names';
import { dataRisk } from './risk';
import { claimTemplates } from './workloads';

/** Options by which Argo CD keeps, deletes or recreates objects that hold data. */
export function argoCdRisks(step: Step, pairs: readonly Pair[], before: Index, after: Index): Risk[] {
  const holders = holdersOf(step);
  return [
    ...pairs.flatMap((pair) => {
      if (!pair.before || pair.before.object === pair.after?.object) return [];
      if (!pair.after) return removed(pair.before.object, holders, before);
      return kept(pair, holders, before);
    }),
    ...movedFolders(pairs, step, before),
    ...projects(pairs, before, after),
  ];
}

interface Holders {
  readonly namespaces: ReadonlySet<string>;
  readonly folders: ReadonlySet<string>;
}

/** Kinds that hold data, or refer to it. */
function isData(object: Manifest): boolean {
  return (
    object.kind === 'PersistentVolumeClaim' ||
    object.kind === 'PersistentVolume' ||
    claimTemplates(object).length > 0 ||
    isDatabaseResource(object)
  );
}

/** API groups whose objects are whole databases: if the object is deleted, the operator deletes the database. */
const OPERATORS =
  /(^|\.)(cnpg\.io|zalan\.do|mongodb\.com|percona\.com|datastax\.com|k8ssandra\.io|strimzi\.io|min\.io|k8s\.elastic\.co|opensearch\.opster\.io|rook\.io|longhorn\.io|crunchydata\.com|mariadb\.com|mysql\.oracle\.com|scylladb\.com|cockroachlabs\.com|redis\.opstreelabs\.in|databases\.spotahome\.com|influxdata\.com|clickhouse\.altinity\.com|snapshot\.storage\.k8s\.io)$/;

function isDatabaseResource({ apiVersion, kind }: Manifest): boolean {
  return (
    OPERATORS.test(groupOf(String(apiVersion))) &&
    !/Class$|Schedule|Backup$|Pooler|User$|Topic$|Operator|Setting/.test(String(kind))
  );
}

function holdersOf({ before }: Step): Holders {
  const namespaces = new Set<string>();
  const folders = new Set<string>();
  for (const { folder, object } of before.objects) {
    if (!isData(object)) continue;
    folders.add(folder);
    const namespace = object.metadata.namespace ?? object.spec?.claimRef?.namespace;
    if (namespace !== undefined) namespaces.add(namespace);
  }
  return { namespaces, folders };
}

/** Whether an object holds data, or is deleted together with data. */
function holds(object: Manifest, holders: Holders): boolean {
  const { kind, metadata } = object;
  if (kind === 'Namespace') return holders.namespaces.has(metadata.name);
  if (kind === 'Application')
    return sourcesOf(object).some(({ path }) =>
      holders.folders.has(
        String(path ?? '')
          .split('/')
          .at(-1)!,
      ),
    );
  return kind === 'CustomResourceDefinition' || isData(object);
}

function sourcesOf({ spec }: Manifest): Manifest[] {
  return [...(spec?.sources ?? []), ...(spec?.source ? [spec.source] : [])];
}

const CASCADE = /^resources-finalizer\.argocd\.argoproj\.io(?!\/background-never)/;

function cascades({ metadata }: Manifest): boolean {
  return (metadata.finalizers ?? []).some((each: string) => CASCADE.test(each));
}

function removed(was: Manifest, holders: Holders, before: Index): Risk[] {
  if (isKept(was) || !holds(was, holders)) return [];
  const risk = (aspect: string, problem: string, way: readonly string[]) =>
    dataRisk({
      what: `${nameIn(was, before)}.${aspect}`,
      section: 'delete',
      objects: [identity(was)],
      from: was.kind,
      to: undefined,
      problem,
      way,
    });
  if (was.kind === 'Namespace')
    return [
      risk(
        'namespace',
        'Argo CD deletes the namespace, and Kubernetes deletes every claim in it, with the data of the volumes.',
        [
          'first commit: stop what is in it, and give it the annotation argocd.argoproj.io/sync-options: Prune=false,Delete=false',
          `check: kubectl -n ${was.metadata.name} get pvc, and a backup of their data`,
          'second commit: remove it; delete it by hand (kubectl delete) when nobody needs its data',
        ],
      ),
    ];
  if (was.kind === 'CustomResourceDefinition')
    return [
      risk(
        'definition',
        'Kubernetes deletes every object of this kind in all namespaces, and their operator deletes the data.',
        [
          `first check that no object of it is left, and none is needed: kubectl get ${was.metadata.name} -A`,
          'then remove it, with an accepted change that says so',
        ],
      ),
    ];
  if (was.kind === 'Application')
    return cascades(was)
      ? [
          risk(
            'application',
            'It has the finalizer by which Argo CD deletes everything that it deployed, including data.',
            ['first commit: remove the finalizer, so that nothing else is deleted with it', 'second commit: remove it'],
          ),
        ]
      : [];
  if (isDatabaseResource(was))
    return [
      risk('resource', 'Its operator deletes the database with it, in most cases with its volumes.', [
        'first restore a backup as a test, and check that nobody uses it',
        'then remove it, with an accepted change that says so',
      ]),
    ];
  return [];
}

const options = ({ metadata }: Manifest): string[] =>
  String(metadata.annotations?.['argocd.argoproj.io/sync-options'] ?? '')
    .split(',')
    .map((each) => each.trim());

function kept({ before: was, after: is }: Pair, holders: Holders, before: Index): Risk[] {
  const [from, to] = [was!.object, is!.object];
  if (!holds(from, holders) && !(from.kind === 'StorageClass' || from.kind === 'AppProject')) return [];
  const found: Risk[] = [];
  const add = (aspect: string, path: string, a: unknown, b: unknown, problem: string, way: string) =>
    found.push(
      dataRisk({
        what: `${nameIn(from, before)}.${aspect}`,
        section: 'delete',
        objects: [identity(to)],
        path,
        from: a,
        to: b,
        problem,
        way: [way],
      }),
    );
  const lost = ['Prune', 'Delete'].filter(
    (each) =>
      options(from).includes(`${each}=false`) &&
      !options(to).some((one) => [`${each}=false`, `${each}=confirm`].includes(one)),
  );
  const note = "metadata.annotations['argocd.argoproj.io/sync-options']";
  if (lost.length > 0)
    add(
      'keep',
      note,
      lost.map((each) => `${each}=false`),
      options(to).filter(Boolean),
      `Argo CD would ${lost.includes('Prune') ? 'delete it when it leaves Git, also by mistake' : 'delete it with its application'}, with its data.`,
      'keep the annotation; delete by hand what nobody needs any more',
    );
  for (const option of ['Force=true', 'Replace=true'])
    if (options(to).includes(option) && !options(from).includes(option))
      add(
        option.split('=')[0]!.toLowerCase(),
        note,
        'none',
        option,
        forced(option),
        'leave it out, and change by hand what cannot change in place',
      );
  if (from.kind === 'Application') applications(from, to, add);
  return found;
}

function forced(option: string): string {
  return option === 'Force=true'
    ? 'Argo CD deletes and recreates what it cannot change in place: a claim with its volume, a StatefulSet with its pods.'
    : 'Argo CD replaces the whole object instead of applying it: fields that the cluster wrote, such as the volume of a claim, are lost.';
}

function applications(
  from: Manifest,
  to: Manifest,
  add: (aspect: string, path: string, a: unknown, b: unknown, problem: string, way: string) => void,
): void {
  if (cascades(to) && !cascades(from))
    add(
      'finalizer',
      'metadata.finalizers',
      undefined,
      to.metadata.finalizers,
      'When this application is deleted, Argo CD deletes everything that it deployed, including data.',
      'do not add the finalizer: then nothing else is deleted with the application',
    );
  const [was, is] = [from, to].map(({ spec }) => spec?.syncPolicy ?? {});
  if (is.automated?.allowEmpty === true && was.automated?.allowEmpty !== true)
    add(
      'allowEmpty',
      'spec.syncPolicy.automated.allowEmpty',
      false,
      true,
      'Then an empty folder, as after a wrong path or a bad merge, deletes everything that the application deployed.',
      'leave it off',
    );
  for (const option of ['Force=true', 'Replace=true'])
    if ((is.syncOptions ?? []).includes(option) && !(was.syncOptions ?? []).includes(option))
      add(
        option.split('=')[0]!.toLowerCase(),
        'spec.syncPolicy.syncOptions',
        'none',
        option,
        forced(option),
        'leave it out',
      );
}

/** Data that moves to another application: the old one prunes it, unless its options say to keep it. */
function movedFolders(pairs: readonly Pair[], { after }: Step, before: Index): Risk[] {
  const moved = pairs.filter(
    (pair) => pair.before && pair.after && pair.before.folder !== pair.after.folder && !isKept(pair.before.object),
  );
  if (moved.length === 0) return [];
  const folders = new Set(after.objects.map(({ folder }) => folder));
  return moved
    .filter(({ before: was }) => isPruned(was!.object) && folders.has(was!.folder))
    .map(({ id, before: was, after: is }) =>
      dataRisk({
        what: `${nameIn(was!.object, before)}.folder`,
        section: 'delete',
        objects: [id],
        from: was!.folder,
        to: is!.folder,
        problem:
          'The application of the old folder prunes it, in most cases before the application of the new folder takes it over; its volume is deleted, too.',
        way: [
          'first commit: give it the annotation argocd.argoproj.io/sync-options: Prune=false,Delete=false, and wait until Argo CD has synced it',
          'second commit: move it; third commit: remove the annotation if you want',
        ],
      }),
    );
}

function isPruned(object: Manifest): boolean {
  if (claimTemplates(object).length > 0)
    return object.spec.persistentVolumeClaimRetentionPolicy?.whenDeleted === 'Delete';
  return isData(object);
}

/** A project that no longer permits a namespace: Argo CD stops managing its objects. */
function projects(pairs: readonly Pair[], before: Index, after: Index): Risk[] {
  return pairs.flatMap(({ id, before: was, after: is }) => {
    if (was?.object.kind !== 'AppProject' || !is || was.object === is.object) return [];
    const names = ({ object }: { object: Manifest }) =>
      new Set<string>((object.spec?.destinations ?? []).map(({ namespace }: Manifest) => namespace));
    const [had, has] = [names(was), names(is)];
    const databases = [...after.databases.values()].filter(isActive).map(({ namespace }) => namespace);
    const left = [...new Set(databases)].filter((each) => had.has(each) && !has.has(each) && !has.has('*'));
    return left.map((namespace) =>
      dataRisk({
        what: `${nameIn(was.object, before)}.${namespace}`,
        section: 'delete',
        objects: [id],
        path: 'spec.destinations',
        from: 'permitted',
        to: 'not permitted',
        problem: `Argo CD may no longer manage the namespace ${namespace}: its database keeps running, but Argo CD neither repairs nor updates it. Only a failed sync shows that.`,
        way: ['keep the namespace in the project while something runs in it'],
      }),
    );
  });
}
