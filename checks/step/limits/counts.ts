import { groupOf } from '../../../constructs';
import type { Manifest } from '../objects';
import type { Namespace } from './namespace';
import { quantity, type Usage } from './pods';

/** Number of objects, and requests of claims. */
export function countsOf({ objects, secrets }: Namespace): Usage {
  const counts: Record<string, number> = { secrets, 'count/secrets': secrets };
  const add = (key: string, value = 1) => (counts[key] = (counts[key] ?? 0) + value);
  const claim = ({ resources, storageClassName }: Manifest, pods = 1) => {
    const size = quantity(resources?.requests?.storage ?? 0) * pods;
    add('persistentvolumeclaims', pods);
    add('count/persistentvolumeclaims', pods);
    add('requests.storage', size);
    if (storageClassName) {
      add(`${storageClassName}.storageclass.storage.k8s.io/requests.storage`, size);
      add(`${storageClassName}.storageclass.storage.k8s.io/persistentvolumeclaims`, pods);
    }
  };
  for (const { apiVersion, kind, spec } of objects) {
    const group = groupOf(apiVersion);
    const plural = `${kind.toLowerCase()}${/(s|x|ch)$/i.test(kind) ? 'es' : 's'}`.replace(/ys$/, 'ies');
    if (kind === 'PersistentVolumeClaim') claim(spec);
    else add(`count/${plural}${group ? `.${group}` : ''}`);
    if (kind === 'ConfigMap' || kind === 'Service') add(plural);
    if (kind === 'StatefulSet')
      for (const template of spec.volumeClaimTemplates ?? []) claim(template.spec, spec.replicas ?? 1);
    if (kind === 'Service' && spec.type === 'LoadBalancer') add('services.loadbalancers');
    if (kind === 'Service' && ['NodePort', 'LoadBalancer'].includes(spec.type))
      add('services.nodeports', spec.ports.length);
  }
  return counts;
}
