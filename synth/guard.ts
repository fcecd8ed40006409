import { renderedState } from '../checks/step/rendered';
import type { NextCommit, Risk } from '../checks/step/plan';
import type { Step } from '../checks/step/step';
import type { NamedSecret, Rendering } from '../checks';
import type { AcceptedChange } from '../inventory';
import { committed } from './committed';
import type { Files } from './publish';

/** What a synth is about to publish. */
export interface Guarded {
  /** Folder that holds dist/. */
  readonly root: string;
  readonly files: Files;
  readonly rendering: Rendering;
  readonly secrets: readonly NamedSecret[];
  readonly accept: readonly AcceptedChange[];
}

/**
 * Compares the new rendering with dist/ at Git's HEAD, which is what Argo CD deployed last.
 * @returns lines to print: why nothing was compared, accepted changes, and the next commit of a change that takes several
 * @throws if the change puts data at risk and is not accepted
 */
export async function guard({ root, files, rendering, secrets, accept }: Guarded): Promise<string[]> {
  const after = renderedState(rendering, secrets);
  const found = await committed(root, 'HEAD', { rendered: { files, ...after }, matters });
  if ('reason' in found) return [`could not check whether data is at risk: ${found.reason}`];
  const { state: before, base, unreadable } = found;
  const lines = unreadable.map((file) => `warning: dist/${file} at ${base} is not YAML, so it was not compared`);
  if (isUnchanged({ before, after }) && accept.length === 0) return lines;
  const [{ dataRisks }, { acceptRisks, staleNote }, { nextCommits }, { pairs }] = await Promise.all([
    import('../checks/step/data'),
    import('../checks/step/accept'),
    import('../checks/step/next-commits'),
    import('../checks/step/step'),
  ]);
  const step: Step = { before, after, accept };
  const all = pairs(step);
  const { risks, stale } = acceptRisks(step, dataRisks(step, all));
  const open = risks.filter(({ accepted }) => accepted === undefined);
  if (open.length > 0) throw new Error(await refusal(open, base, before.tree!));
  return [...lines, ...risks.map(letThrough), ...stale.map(staleNote), ...nextCommits(step, all).map(nextLine)];
}

/** Kinds that hold no data, unless they name a volume or a file that a rule reads. */
const HARMLESS =
  /^kind: "?(Deployment|DaemonSet|Job|CronJob|ConfigMap|Service|ServiceAccount|Role|RoleBinding|ClusterRole|ClusterRoleBinding|NetworkPolicy|LimitRange|ResourceQuota|PodDisruptionBudget|HorizontalPodAutoscaler|PriorityClass|Ingress|IngressClass|HTTPRoute|EndpointSlice)"?\s*$/m;
const TELLING =
  /persistentVolumeClaim|hostPath|nfs|iscsi|csi|volumeClaimTemplate|cassandra|mongod|members\.json|schema\.json|^---\n[^]*^---$/m;

/** Whether a text can concern data: to parse all of dist/, as after a change of every label, would take longer than the rules. */
function matters(text: string): boolean {
  return !HARMLESS.test(text) || TELLING.test(text);
}

/** Loads no YAML parser and no rule for a rendering that is already committed. */
function isUnchanged({ before, after }: Step): boolean {
  if (before.objects.length !== after.objects.length || before.secrets !== after.secrets) return false;
  const now = new Set(after.objects.map(({ object }) => object));
  return before.objects.every(({ object }) => now.has(object));
}

function letThrough({ what, from, to, accepted }: Risk): string {
  return `accepted: ${what}, from ${from} to ${to}: ${accepted}`;
}

function nextLine({ what, when }: NextCommit): string {
  return `the next commit: ${what}\n  once ${when}`;
}

async function refusal(risks: readonly Risk[], base: string, tree: string): Promise<string> {
  const { acceptEntry, acceptEverything } = await import('../checks/step/accept');
  const today = new Date().toISOString().slice(0, 10);
  const several = risks.length > 1;
  return [
    `dist/ is unchanged, because this change puts data at risk, compared with dist/ at ${base}:`,
    ...risks.map((risk) => described(risk, acceptEntry(risk, today))),
    `The whole plan of it: npm run homelab -- plan. To let ${several ? 'them' : 'it'} through, write the reason${several ? 's' : ''} into because, and the entr${several ? 'ies' : 'y'} into accept: [] of homelab.ts. Where nothing of dist/ runs yet, one entry lets all of it through:`,
    `      ${acceptEverything(tree, today)}`,
  ].join('\n');
}

function described({ what, from, to, problem, way = [], docs }: Risk, entry: string): string {
  return [
    `  - ${what}, from ${from} to ${to}: ${problem}`,
    ...(way.length > 0 ? ['    The safe way:'] : []),
    ...way.map((step, index) => `      ${index + 1}. ${step}`),
    ...(docs === undefined ? [] : [`    More: ${docs}`]),
    `    accept: ${entry}`,
  ].join('\n');
}
