import { groupOf } from '../../../constructs';
import { identity } from '../objects';
import type { Risk } from '../plan';
import type { Step } from '../step';
import { minorOf, versionsOf } from '../versions';

/** The minor version of Kubernetes 1 that removed an API version (https://kubernetes.io/docs/reference/using-api/deprecation-guide/). */
const REMOVED: Readonly<Record<string, number>> = {
  'flowcontrol.apiserver.k8s.io/v1beta3': 32,
  'flowcontrol.apiserver.k8s.io/v1beta2': 29,
  'storage.k8s.io/v1beta1': 27,
  'flowcontrol.apiserver.k8s.io/v1beta1': 26,
  'autoscaling/v2beta2': 26,
  'autoscaling/v2beta1': 25,
  'batch/v1beta1': 25,
  'discovery.k8s.io/v1beta1': 25,
  'events.k8s.io/v1beta1': 25,
  'node.k8s.io/v1beta1': 25,
  'policy/v1beta1': 25,
};

/** Objects whose API version the new Kubernetes no longer serves. */
export function removedRisks({ before, after, kubernetes }: Step): Risk[] {
  const [from, to] = [versionsOf(before).kubernetes ?? kubernetes, versionsOf(after).kubernetes];
  if (from === undefined || to === undefined || from === to) return [];
  const [, old] = minorOf(from);
  const [, now] = minorOf(to);
  return after.objects.flatMap(({ object }): Risk[] => {
    const apiVersion = String(object.apiVersion);
    const gone = REMOVED[apiVersion];
    if (gone === undefined || gone > now || gone <= old) return [];
    const { kind, metadata } = object;
    return [
      {
        verdict: 'not-deployed',
        what: `${metadata.namespace ? `${metadata.namespace}/` : ''}${metadata.name}.apiVersion`,
        objects: [identity(object)],
        path: 'apiVersion',
        from: apiVersion,
        to: `not served by ${to}`,
        problem: `Kubernetes 1.${gone} and newer do not serve ${apiVersion}: after the upgrade from ${from} to ${to} the ${kind} ${metadata.name} cannot be read or changed with that version, and every sync of its application fails.`,
        way: [
          `Write a version of ${groupOf(apiVersion)} that ${from} serves, too, and let Argo CD sync that.`,
          'Then upgrade Kubernetes.',
        ],
      },
    ];
  });
}
