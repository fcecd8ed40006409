import type { Manifest } from '../objects';
import type { Risk } from '../plan';
import type { Pair, State, Step } from '../step';
import { argoOf, cascades, foldersOf, isNeverDeleted, isNeverPruned, prunes } from './argo';

/** Effects of a changed Application on everything that it deploys. */
export function applicationRisks({ before, after }: Step, pairs: readonly Pair[]): Risk[] {
  return pairs
    .filter((pair) => (pair.after ?? pair.before)!.object.kind === 'Application' && pair.before)
    .flatMap((pair) => (pair.after ? changedRisks(pair, after) : goneRisks(pair, before)));
}

/** Kinds whose deletion deletes data, or everything in them. */
const HOLDS_DATA: ReadonlySet<string> = new Set([
  'CustomResourceDefinition',
  'Namespace',
  'PersistentVolume',
  'PersistentVolumeClaim',
]);

function goneRisks({ id, before }: Pair, state: State): Risk[] {
  const application = before!.object;
  const { name } = application.metadata;
  const owner = argoOf(state).reads(before!.folder);
  if (isNeverPruned(application, owner) || !cascades(application) || (owner && !prunes(owner))) return [];
  const folders = foldersOf(application);
  const lost = state.objects
    .filter(
      ({ folder, object }) =>
        folders.includes(folder) && HOLDS_DATA.has(object.kind) && !isNeverDeleted(object, application),
    )
    .map(({ object }) => `${object.kind} ${object.metadata.name}`);
  if (lost.length === 0) return [];
  return [
    {
      verdict: 'data',
      what: `${name}.application`,
      objects: [id],
      from: 'deployed',
      to: 'deleted with everything that it deployed',
      problem: `The application ${name} leaves Git and has the finalizer that deletes everything it deployed: ${lost.slice(0, 4).join(', ')}.`,
      way: [
        `Take metadata.finalizers off the application ${name} first, and let Argo CD sync that.`,
        'Then remove it: its objects stay.',
      ],
    },
  ];
}

interface Rule {
  /** Value of a field as text. The same text means no change. */
  readonly of: (application: Manifest) => string;
  readonly path: string;
  readonly verdict: Risk['verdict'];
  /** @returns undefined if the change is harmless */
  readonly say: (name: string, from: string, to: string) => string | undefined;
}

function changedRisks({ id, before, after }: Pair, state: State): Risk[] {
  const [was, is] = [before!.object, after!.object];
  const { name } = is.metadata;
  const found = RULES.flatMap(({ of, path, verdict, say }): Risk[] => {
    const [from, to] = [of(was), of(is)];
    const problem = from === to ? undefined : say(name, from, to);
    return problem === undefined ? [] : [{ verdict, what: `${name}.${path}`, objects: [id], path, from, to, problem }];
  });
  const { project } = is.spec;
  const unknown =
    project !== was.spec.project && argoOf(state).projects.size > 0 && !argoOf(state).projects.has(project);
  return unknown
    ? [
        ...found,
        {
          verdict: 'not-deployed',
          what: `${name}.spec.project`,
          objects: [id],
          path: 'spec.project',
          from: was.spec.project,
          to: project,
          problem: `The application ${name} is of the project ${project}, which is not rendered: without it Argo CD deploys nothing of it.`,
        },
      ]
    : found;
}

const sources = ({ spec }: Manifest): readonly Manifest[] => [spec.source, ...(spec.sources ?? [])].filter(Boolean);
const place = (key: string) => (application: Manifest) =>
  sources(application)
    .map((each) => each[key] ?? 'HEAD')
    .join(', ');
const elsewhere = (what: string) => (name: string, from: string, to: string) =>
  `The application ${name} reads the ${what} ${to} instead of ${from}: commits here no longer reach the cluster. Objects that do not exist there are pruned.`;
const option =
  (name: string, of = 'true') =>
  (application: Manifest) =>
    (application.spec.syncPolicy?.syncOptions ?? []).includes(`${name}=${of}`) ? 'on' : 'off';
const automated = ({ spec }: Manifest) => spec.syncPolicy?.automated;
const onlyOff = (problem: (name: string) => string) => (name: string, _: string, to: string) =>
  to === 'off' ? problem(name) : undefined;
const onlyOn = (problem: (name: string) => string) => (name: string, _: string, to: string) =>
  to === 'on' ? problem(name) : undefined;
const isAutomated = (application: Manifest) =>
  automated(application) && automated(application).enabled !== false ? 'on' : 'off';

const RULES: readonly Rule[] = [
  { of: place('repoURL'), path: 'spec.source.repoURL', verdict: 'not-deployed', say: elsewhere('repository') },
  {
    of: place('targetRevision'),
    path: 'spec.source.targetRevision',
    verdict: 'not-deployed',
    say: elsewhere('revision'),
  },
  { of: place('path'), path: 'spec.source.path', verdict: 'not-deployed', say: elsewhere('folder') },
  {
    of: ({ spec }) => spec.destination?.server ?? spec.destination?.name ?? '',
    path: 'spec.destination.server',
    verdict: 'data',
    say: (name, from, to) =>
      `The application ${name} deploys to ${to}: everything is created there without its data, and what runs in ${from} stays without an application.`,
  },
  {
    of: isAutomated,
    path: 'spec.syncPolicy.automated',
    verdict: 'not-deployed',
    say: onlyOff(
      (name) =>
        `The application ${name} no longer syncs by itself: this commit and later ones reach the cluster only by a manual sync.`,
    ),
  },
  {
    of: (application) => (isAutomated(application) === 'off' || prunes(application) ? 'on' : 'off'),
    path: 'spec.syncPolicy.automated.prune',
    verdict: 'not-deployed',
    say: onlyOff((name) => `The application ${name} no longer prunes: what leaves Git stays in the cluster.`),
  },
  {
    of: (application) => (isAutomated(application) === 'off' || automated(application).selfHeal ? 'on' : 'off'),
    path: 'spec.syncPolicy.automated.selfHeal',
    verdict: 'not-deployed',
    say: onlyOff((name) => `The application ${name} no longer self-heals: manual changes in the cluster stay.`),
  },
  {
    of: option('ServerSideApply'),
    path: 'spec.syncPolicy.syncOptions',
    verdict: 'not-deployed',
    say: onlyOff(
      (name) =>
        `The application ${name} uses client-side apply (ServerSideApply was removed): objects above 256 KiB are refused, and fields of other managers are overwritten.`,
    ),
  },
  ...['Replace', 'Force'].map((each): Rule => ({
    of: option(each),
    path: 'spec.syncPolicy.syncOptions',
    verdict: 'data',
    say: onlyOn(
      (name) =>
        `The application ${name} gets ${each}=true: objects are replaced, and deleted and recreated if a field cannot change, including claims and namespaces.`,
    ),
  })),
  {
    of: option('Prune', 'false'),
    path: 'spec.syncPolicy.syncOptions',
    verdict: 'not-deployed',
    say: onlyOn((name) => `The application ${name} gets Prune=false: what leaves Git stays in the cluster.`),
  },
];
