import { homelabApp } from '../../charts';
import { adviceFor, usedImages } from '../../cli/images';
import { placeOf, type ImageConfig } from '../../cli/registry';
import { render } from '../../synth';
import homelab from '../fixtures/homelab';

const plain: ImageConfig = { user: '10001', ports: [], volumes: [], entrypoint: ['/app'], command: [] };
const documents = () => usedImages(render(homelabApp(homelab))).get('ghcr.io/stefanprodan/podinfo:6.14.1')![0]!;

test.each([
  ['redis:7.4', { registry: 'registry-1.docker.io', path: 'library/redis', version: '7.4' }],
  ['docker.io/redis:7.4', { registry: 'registry-1.docker.io', path: 'library/redis', version: '7.4' }],
  ['owner/app:1', { registry: 'registry-1.docker.io', path: 'owner/app', version: '1' }],
  ['ghcr.io/owner/app:1', { registry: 'ghcr.io', path: 'owner/app', version: '1' }],
  ['registry.home.arpa:5000/a/b/c:1', { registry: 'registry.home.arpa:5000', path: 'a/b/c', version: '1' }],
  ['localhost/app:1@sha256:00', { registry: 'localhost', path: 'app', version: 'sha256:00' }],
])('%s is at that place', (image, place) => expect(placeOf(image)).toEqual(place));

test('an image whose settings are those of its service needs nothing', () => {
  expect(adviceFor({ ...plain, ports: ['9898/tcp'], volumes: ['/tmp'] }, documents())).toEqual([]);
});

test.each<[string, Partial<ImageConfig>, RegExp]>([
  ['another user', { user: '1000:1000' }, /its user is 1000: set user: 1000/],
  ['root', { user: '' }, /runs as root by itself, \S+\/\S+ runs it as 10001/],
  ['a user by name', { user: 'node' }, /its user is node, and Kubernetes needs a number/],
  ['another port', { ports: ['3000/tcp'] }, /listens on 3000, and \S+ has 9898: set port: 3000/],
  [
    'a folder of its own',
    { volumes: ['/data/'] },
    /writes to \/data: add it to volumes to keep the files, or to scratch/,
  ],
])('%s is named with its setting', (_, config, expected) => {
  expect(adviceFor({ ...plain, ...config }, documents()).join('\n')).toMatch(expected);
});

test('a health check of Docker becomes a probe where there is none', () => {
  const config = { ...plain, healthCheck: ['/app', 'health'] };
  expect(adviceFor(config, undefined).join()).toContain('probes: Probes.exec({ live: ["/app","health"] })');
  expect(adviceFor(config, documents())).toEqual([]);
});
