import {
  ARGO_CD_NAMESPACE,
  argoCdObjects,
  INSTALLED,
  isClusterScoped,
  isDefinition,
  isWorkload,
  versionOf,
} from './manifest';
import { GitRepository } from '../../clients/git';
import { ArgoCd } from '../../clients/argo-cd';
import { rolloutProblem, type Kubernetes } from '../../clients/kubernetes';
import { action } from '../../engine/actions';
import { LOCALHOST, type Commands } from '../../engine/commands';
import { sha256 } from '../../engine/digests';
import { manifests, type Context, type DistFile } from '../../clients/context';
import { differences } from '../../clients/differences';
import { appliedObject, isArgoCds, liveObject } from '../applied-object';
import { FIELD_MANAGER } from '../../secrets/live';
import { NotReady, Blocked } from '../../engine/problem';
import { step, type Action, type Progress, type Stage, type Step } from '../../engine/step';
import { until, untilNone } from '../../engine/wait';
import { ARGO_CD_MANIFESTS, argoCdManifest } from '../../../machines/pins';
import { applicationsSettled } from './applications';
import { firstBackups } from './backups';
import { knownHostsOf, trustingGitServer } from './git-server';
import { isPushed, repositoryAccess } from './repository';

/** Two images of about 500 MB together over a slow line, and Argo CD's own start. */
const START_SECONDS = 15 * 60;

/** Stage 8: installs Argo CD and lets it deploy dist/. */
export function gitops(context: Context): Stage {
  const { homelab, kubernetes } = context;
  return {
    name: 'gitops',
    title: 'Argo CD, which deploys dist/ from then on',
    async steps() {
      const manifest = await installManifest(context.commands, homelab.versions.argoCd);
      const wanted = await trustingGitServer(context.commands, homelab, argoCdObjects(manifest, homelab));
      const files = manifests('argocd');
      const of = (kind: string, name: string): DistFile => {
        const found = files.find(({ object }) => object?.kind === kind && object.metadata.name === name);
        if (found === undefined)
          throw new Blocked(`dist/argocd must hold the ${kind} ${name}, but does not; npm run synth`);
        return found;
      };
      const { name, versions, git } = homelab;
      const repository = new GitRepository(context.commands, homelab);
      const pending = async () => (await changesTo(kubernetes, wanted)).lines.length > 0;
      return [
        appliedObject(kubernetes, of('Namespace', ARGO_CD_NAMESPACE)),
        definitions(kubernetes, versions.argoCd, wanted.filter(isDefinition)),
        appliedObject(kubernetes, of('ConfigMap', 'argocd-cm')),
        installed(
          kubernetes,
          `Argo CD ${versions.argoCd}`,
          wanted.filter((object) => !isDefinition(object)),
        ),
        running(kubernetes, wanted, pending),
        ...repositoryAccess(context, repository, knownHostsOf(wanted) ?? ''),
        isPushed(kubernetes, repository, of('Application', name)),
        appliedObject(kubernetes, of('AppProject', name)),
        appliedObject(kubernetes, of('Application', name)),
        sourceOf(kubernetes, git.url, of('AppProject', name), ['sourceRepos']),
        sourceOf(kubernetes, git.url, of('Application', name), ['source']),
        applicationsSettled(
          new ArgoCd(kubernetes),
          files.map(({ object }) => object).filter(({ kind }) => kind === 'Application'),
          name,
          pending,
        ),
        // Once, after Argo CD has brought everything up for the first time.
        ...firstBackups(homelab, kubernetes),
      ];
    },
  };
}

/** The pinned manifest. @throws Blocked when what came is not what was pinned: nothing of it is used */
async function installManifest(commands: Commands, version: string): Promise<string> {
  const url = argoCdManifest(version);
  const pin = ARGO_CD_MANIFESTS[version];
  if (pin === undefined)
    throw new Blocked(
      `machines/pins.ts must hold the SHA-256 of Argo CD ${version}'s install manifest (it knows ${Object.keys(ARGO_CD_MANIFESTS).join(', ')}); compare ${url} with the tag in Argo CD's repository, and add its line to ARGO_CD_MANIFESTS`,
    );
  // Each stage that asks for it reads it again; it is fetched once a run.
  const known = fetched.get(commands);
  if (known !== undefined) return known;
  const { stdout } = await commands.read(
    LOCALHOST,
    ['curl', '--fail', '--silent', '--show-error', '--location', '--proto', '=https', '--max-time', '120', url],
    { seconds: 150, waitsFor: 'the install manifest' },
  );
  const digest = sha256(stdout);
  if (digest !== pin)
    throw new Blocked(
      `${url} must have SHA-256\n  ${pin} (machines/pins.ts), but the download has\n  ${digest}. It was not used. Compare it with the tag in Argo CD's repository before you change the pin`,
    );
  fetched.set(commands, stdout);
  return stdout;
}

const fetched = new WeakMap<Commands, string>();

interface Changes {
  readonly lines: readonly string[];
  /** Objects to apply. */
  readonly objects: readonly any[];
  /** Objects of an earlier version that this one has no more. */
  readonly gone: readonly any[];
}

/** What is to be done to make the cluster hold these objects, and no others that an earlier version brought. */
async function changesTo(kubernetes: Kubernetes, wanted: readonly any[]): Promise<Changes> {
  const live = await installedObjects(kubernetes, wanted);
  const key = ({ kind, metadata }: any) => `${kind} ${metadata.name}`;
  const found = new Map(live.map((object) => [key(object), object]));
  const names = new Set(wanted.map(key));
  const lines: string[] = [];
  const server = (objects: readonly any[]) => objects.find((object) => key(object) === 'Deployment argocd-server');
  const [from, to] = [versionOf(server(live)), versionOf(server(wanted))];
  if (from !== to && to !== undefined) lines.push(`Argo CD: ${from ?? 'nothing'} -> ${to}`);
  const objects = wanted.filter((object) => {
    const there = found.get(key(object));
    // A Secret of the manifest is empty; what is in it is Argo CD's own.
    const different = there === undefined ? ['not there'] : differences(object, there);
    if (different.length > 0) lines.push(`${key(object)}: ${brief(different)}`);
    return different.length > 0;
  });
  const gone = live.filter((object) => !names.has(key(object)));
  for (const object of gone) lines.push(`${key(object)}: this version has none`);
  return { lines, objects, gone };
}

/** A definition differs in hundreds of fields between two versions: the first few, and how many more. */
function brief(different: readonly string[]): string {
  const shown = different.slice(0, 3).join('; ');
  return different.length > 3 ? `${shown}; and ${different.length - 3} more` : shown;
}

/** Objects of these kinds that this stage has installed. */
async function installedObjects(kubernetes: Kubernetes, wanted: readonly any[]): Promise<any[]> {
  const selector = Object.entries(INSTALLED)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  const found: any[] = [];
  for (const scoped of [true, false]) {
    const kinds = [...new Set(wanted.filter((object) => isClusterScoped(object) === scoped).map(resource))];
    if (kinds.length === 0) continue;
    const where = scoped ? [] : ['-n', ARGO_CD_NAMESPACE];
    found.push(...((await kubernetes.get([kinds.join(','), ...where, '-l', selector]))?.items ?? []));
  }
  return found;
}

/** As kubectl is asked for a kind: deployment.apps. */
function resource({ kind, apiVersion }: any): string {
  const [group] = apiVersion.includes('/') ? apiVersion.split('/') : [''];
  return group === '' ? kind.toLowerCase() : `${kind.toLowerCase()}.${group}`;
}

function installed(kubernetes: Kubernetes, title: string, wanted: readonly any[], then: readonly Action[] = []): Step {
  return {
    title,
    async plan() {
      const { lines, objects, gone } = await changesTo(kubernetes, wanted);
      if (lines.length === 0) return undefined;
      return {
        lines,
        actions: [
          // None are left where an earlier run was cut off before it deleted; kubectl refuses an empty list.
          ...(objects.length > 0 ? [kubernetes.apply(FIELD_MANAGER, objects)] : []),
          ...then,
          ...gone.map((object) =>
            kubernetes.delete({
              kind: resource(object),
              name: object.metadata.name,
              ...(!isClusterScoped(object) && { namespace: ARGO_CD_NAMESPACE }),
            }),
          ),
        ],
      };
    },
  };
}

function definitions(kubernetes: Kubernetes, version: string, wanted: readonly any[]): Step {
  const served = action('wait until the API server serves them', (progress) =>
    established(kubernetes, wanted, progress),
  );
  return installed(kubernetes, `definitions of Argo CD ${version}`, wanted, [served]);
}

async function established(kubernetes: Kubernetes, wanted: readonly any[], progress: Progress): Promise<void> {
  for (const { metadata } of wanted)
    await until(`the API server serves ${metadata.name}`, { seconds: 60, every: 1 }, progress, async () => {
      const live = await kubernetes.get(['crd', metadata.name]);
      return live?.status?.conditions?.some(({ type, status }: any) => type === 'Established' && status === 'True');
    });
}

/** Its pods are of this version and ready. */
function running(kubernetes: Kubernetes, wanted: readonly any[], pending: () => Promise<boolean>): Step {
  const workloads = wanted.filter(isWorkload);
  const names = workloads.map(({ metadata }) => metadata.name);
  const problems = async (): Promise<string[]> => {
    const live = await installedObjects(kubernetes, workloads);
    return names.flatMap((name) => {
      const found = live.find(({ metadata }) => metadata.name === name);
      const problem = found === undefined ? 'it is not there' : rolloutProblem(found);
      return problem === undefined ? [] : [`${name}: ${problem}`];
    });
  };
  return step('Argo CD runs', async () => {
    if (await pending()) throw new NotReady('Argo CD must be installed first');
    if ((await problems()).length === 0) return undefined;
    const wait = action(`wait until all run: ${names.join(', ')}`, (progress) =>
      untilNone('Argo CD runs', { seconds: START_SECONDS }, progress, problems),
    );
    return { actions: [wait] };
  });
}

/**
 * Where Argo CD reads from, when that changes: it cannot learn the new place from the old one. Everything else in these
 * objects it takes from Git itself.
 */
function sourceOf(
  kubernetes: Kubernetes,
  url: string,
  { file, text, object }: DistFile,
  fields: readonly string[],
): Step {
  const spec = Object.fromEntries(fields.map((field) => [field, object.spec[field]]));
  const { name } = object.metadata;
  return step(`${object.kind} ${name} reads ${url}`, async () => {
    const live = await liveObject(kubernetes, text);
    if (live === undefined) throw new NotReady(`dist/${file} comes first`);
    if (!isArgoCds(live)) return undefined;
    const different = differences({ spec }, live);
    if (different.length === 0) return undefined;
    const patch = ['--type=merge', `--patch=${JSON.stringify({ spec })}`];
    return {
      lines: different,
      actions: [kubernetes.command(['patch', resource(object), name, '-n', ARGO_CD_NAMESPACE, ...patch])],
    };
  });
}
