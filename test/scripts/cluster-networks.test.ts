import { parseAllDocuments } from 'yaml';
import { talosPatches } from '../../machines/talos';
import { changed } from '../homelab';

const networkOf = (networks: object) => {
  const files = talosPatches(changed((h) => Object.assign(h.network, networks)));
  return parseAllDocuments(files.get('talos/cluster.patch.yaml')!)[0]!.toJS().cluster.network;
};

test('nodes get the networks of pods and Services; the default is that of Talos', () => {
  expect(networkOf({})).toMatchObject({ podSubnets: ['10.244.0.0/16'], serviceSubnets: ['10.96.0.0/12'] });
  expect(networkOf({ podCidr: '172.20.0.0/16', serviceCidr: '172.24.0.0/16' })).toMatchObject({
    podSubnets: ['172.20.0.0/16'],
    serviceSubnets: ['172.24.0.0/16'],
  });
});

test('nodes trust the certificate authority of an own registry', () => {
  const documents = (registry?: object) =>
    parseAllDocuments(talosPatches(changed((h) => (h.registry = registry))).get('talos/cluster.patch.yaml')!).map(
      (document) => document.toJS(),
    );
  const ca = '-----BEGIN CERTIFICATE-----\nMIIC0DCCAbigAwIBAgIUI7z\n-----END CERTIFICATE-----\n';
  const roots = { apiVersion: 'v1alpha1', kind: 'TrustedRootsConfig', name: 'registry', certificates: ca };
  expect(documents({ server: 'registry.home.arpa:5000', ca })).toContainEqual(roots);
  const kinds = documents({ server: 'ghcr.io' }).map(({ kind }) => kind);
  expect(kinds).not.toContain('TrustedRootsConfig');
});
