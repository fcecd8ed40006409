import { parseAllDocuments } from 'yaml';
import { talosPatches } from '../../scripts/machines/talos';
import { changed } from '../homelab';

const networkOf = (networks: object) => {
  const files = talosPatches(changed((h) => Object.assign(h.network, networks)));
  return parseAllDocuments(files.get('talos/cluster.patch.yaml')!)[0]!.toJS().cluster.network;
};

test('nodes are told the networks of pods and Services; by default those that Talos takes itself', () => {
  expect(networkOf({})).toMatchObject({ podSubnets: ['10.244.0.0/16'], serviceSubnets: ['10.96.0.0/12'] });
  expect(networkOf({ podCidr: '172.20.0.0/16', serviceCidr: '172.24.0.0/16' })).toMatchObject({
    podSubnets: ['172.20.0.0/16'],
    serviceSubnets: ['172.24.0.0/16'],
  });
});
