import type { Check, Finding } from './finding';
import type { RenderedObject } from './rendering';

/** What a chart of somebody else renders and this way of deploying cannot use: values of Secrets, and hooks of Helm alone. */
export const foreignCharts: Check = {
  name: 'charts of others',
  find: ({ rendering }) => rendering.flatMap((each) => [...secretValues(each), ...neverRun(each)]),
};

/** dist/ is in Git. A value that a chart generates would also be another one at each synth. */
function secretValues({ object, construct }: RenderedObject): Finding[] {
  if (object.kind !== 'Secret' || object.apiVersion !== 'v1') return [];
  const keys = [...Object.keys(object.data ?? {}), ...Object.keys(object.stringData ?? {})];
  if (keys.length === 0) return [];
  const message = `Secret ${object.metadata.namespace}/${object.metadata.name} (${construct}) would put the values of ${keys.join(', ')} into dist/, and so into Git; declare it with new DeclaredSecret(...) and name it in the chart's values, such as existingSecret, so that the chart renders none`;
  return [{ severity: 'error', message }];
}

/** Argo CD runs hooks of an install or an upgrade; it ignores the others (gitops-engine/pkg/sync/hook/helm/type.go). */
function neverRun({ object, construct }: RenderedObject): Finding[] {
  const hooks = String(object.metadata.annotations?.['helm.sh/hook'] ?? '')
    .split(',')
    .map((hook) => hook.trim())
    .filter(Boolean);
  if (hooks.length === 0 || hooks.some((hook) => RUN.test(hook))) return [];
  const fix = hooks.some((hook) => hook.startsWith('test'))
    ? "add helmFlags: ['--skip-tests'] to leave tests out"
    : 'leave it out by a value of the chart';
  const message = `${object.kind} ${object.metadata.namespace}/${object.metadata.name} (${construct}) is a hook of Helm for ${hooks.join(', ')}, which Argo CD never runs; ${fix}`;
  return [{ severity: 'error', message }];
}

const RUN = /^((pre|post)-(install|upgrade)|post-delete|crd-install)$/;
