import { groupOf } from '../../../constructs';
import type { Manifest } from '../objects';
import type { State } from '../step';

/** Argo CD's objects of a state, and the application of each folder. */
export interface Argo {
  readonly applications: ReadonlyMap<string, Manifest>;
  readonly projects: ReadonlyMap<string, Manifest>;
  /** The application of a folder of dist/. */
  reads(folder: string): Manifest | undefined;
  /** The parent application of an application. */
  ownerOf(application: Manifest): Manifest | undefined;
}

const known = new WeakMap<State, Argo>();

/** Indexes a state once. */
export function argoOf(state: State): Argo {
  const found = known.get(state) ?? index(state);
  known.set(state, found);
  return found;
}

function index({ objects }: State): Argo {
  const homes = new Map<Manifest, string>();
  const of = (kind: string) =>
    new Map(
      objects
        .filter(({ object }) => object.kind === kind && groupOf(object.apiVersion) === 'argoproj.io')
        .map(({ folder, object }) => {
          homes.set(object, folder);
          return [object.metadata.name as string, object] as const;
        }),
    );
  const applications = of('Application');
  const folders = new Map(
    [...applications.values()].flatMap((application) =>
      foldersOf(application).map((folder) => [folder, application] as const),
    ),
  );
  return {
    applications,
    projects: of('AppProject'),
    reads: (folder) => folders.get(folder),
    ownerOf: (application) => folders.get(homes.get(application) ?? ''),
  };
}

/** The folders that an application reads, by the last part of their paths. */
export function foldersOf({ spec }: Manifest): string[] {
  return [spec.source, ...(spec.sources ?? [])].flatMap((each) => each?.path?.split('/').at(-1) ?? []);
}

/** Whether an annotation with a list of options contains an option. */
function hasOption({ metadata }: Manifest, annotation: string, option: string): boolean {
  return String(metadata.annotations?.[annotation] ?? '')
    .split(',')
    .some((each) => each.trim() === option);
}

/**
 * The option Prune or Delete of an object, or else of its application: true, false or confirm. Argo CD reads both
 * places (isPruningDisabled in gitops-engine/pkg/sync/sync_context.go, shouldBeDeleted in controller/appcontroller.go).
 */
export function optionOf(name: 'Prune' | 'Delete', { metadata }: Manifest, application?: Manifest): string | undefined {
  const own = String(metadata.annotations?.['argocd.argoproj.io/sync-options'] ?? '').split(',');
  const all: readonly string[] = application?.spec.syncPolicy?.syncOptions ?? [];
  const value = (options: readonly string[]) =>
    options
      .map((each) => each.trim())
      .find((each) => each.startsWith(`${name}=`))
      ?.slice(name.length + 1);
  return value(own) ?? value(all);
}

/** Whether Argo CD keeps an object that leaves Git. It ignores helm.sh/resource-policy here. */
export function isNeverPruned(object: Manifest, application?: Manifest): boolean {
  return optionOf('Prune', object, application) === 'false';
}

/** Whether Argo CD keeps an object when its application is deleted with everything in it; it ignores Prune=false here. */
export function isNeverDeleted(object: Manifest, application?: Manifest): boolean {
  return (
    object.kind === 'CustomResourceDefinition' ||
    optionOf('Delete', object, application) === 'false' ||
    hasOption(object, 'helm.sh/resource-policy', 'keep')
  );
}

/** Whether deleting an application deletes its objects. */
export function cascades({ metadata }: Manifest): boolean {
  return (metadata.finalizers ?? []).some((each: string) => each.startsWith('resources-finalizer.argocd.argoproj.io'));
}

/** Whether an application prunes automatically. */
export function prunes({ spec }: Manifest): boolean {
  const automated = spec.syncPolicy?.automated;
  return automated?.prune === true && automated.enabled !== false;
}

/** Whether an object is a hook, created and deleted by phases of a sync. */
export function isHook({ metadata }: Manifest): boolean {
  const annotations = metadata.annotations ?? {};
  const helm = String(annotations['helm.sh/hook'] ?? '');
  return 'argocd.argoproj.io/hook' in annotations || (helm !== '' && !helm.includes('crd-install'));
}

/** Position of an object in the order of a sync. The wave of its application comes first. */
export function wavesOf(object: Manifest, application: Manifest | undefined): readonly [number, number] {
  return [waveOf(application), waveOf(object)];
}

function waveOf(object: Manifest | undefined): number {
  return Number(object?.metadata.annotations?.['argocd.argoproj.io/sync-wave'] ?? 0);
}
