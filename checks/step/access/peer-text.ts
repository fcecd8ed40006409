import { isInternet } from '../../../values/ways-out';
import type { Manifest } from '../objects';
import { NAME_LABEL } from './view';

/** Text for a peer of a rule. A rule without a peer permits any address. */
export function podsText(peer: Manifest | undefined): string {
  if (!peer) return 'anywhere';
  if (peer.ipBlock) {
    const { cidr, except = [] } = peer.ipBlock;
    if (isInternet(cidr, except)) return 'the internet (all public addresses)';
    const everything = cidr === '0.0.0.0/0' || cidr === '::/0' ? ' (any address)' : '';
    return `${cidr}${everything}${except.length > 0 ? ` except ${except.join(', ')}` : ''}`;
  }
  const pods = selectorText(peer.podSelector);
  return `${pods ? `pods with ${pods}` : 'any pod'} of ${namespaceText(peer.namespaceSelector)}`;
}

function namespaceText(selector: Manifest = {}): string {
  const { [NAME_LABEL]: name, ...others } = selector.matchLabels ?? {};
  const rest = selectorText({ ...selector, matchLabels: others });
  if (name === undefined) return rest ? `namespaces with ${rest}` : 'any namespace';
  return `namespace ${name}${rest ? ` with ${rest}` : ''}`;
}

function selectorText({ matchLabels = {}, matchExpressions = [] }: Manifest = {}): string {
  return [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value as string}`),
    ...matchExpressions.map(
      ({ key, operator, values = [] }: Manifest) => `${key} ${operator}${values.length > 0 ? ` ${values}` : ''}`,
    ),
  ].join(', ');
}

/** Whether a peer is the cluster's DNS, which every pod may ask. */
export function isDns(text: string): boolean {
  return text.startsWith('pods with k8s-app=kube-dns of namespace kube-system');
}
