import { Size } from 'cdk8s';
import * as fs from 'node:fs';
import { servedName } from '../../inventory';
import { picture } from '../../synth/picture';
import homelab from '../fixtures/homelab';
import { changed } from '../homelab';

const HOST_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE00';
const target = { kind: 'sftp', host: 'mac', user: 'backup', path: '/Users/backup/homelab', hostKeys: [HOST_KEY] };
const shipped = changed((h) => {
  h.backup = { target };
  delete h.llm.models.writer;
  h.services.assistant.connects = h.services.assistant.connects.filter(({ model }: any) => model !== 'writer');
  h.services.documents.volumes = { uploads: { path: '/uploads' } };
  h.machines['talos-worker-02'].dataDisks['documents-uploads'] = Size.gibibytes(50);
  h.services.notifications.connects.push({ internet: [443], because: 'push notifications' });
  const { assistant, ...others } = h.services;
  const indexer = {
    kind: 'worker',
    connects: [{ mongodb: 'mongodb', database: 'search' }, { service: 'documents' }, { model: 'embeddings' }],
  };
  h.services = { ...others, 'search-indexer': indexer, assistant };
});

/** Texts of the picture, and how many lines of each kind lead to a box. */
const texts = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map(([, words]) => words!);
const lines = (svg: string, kind: string) => svg.match(new RegExp(`<path class="${kind}"`, 'g'))?.length ?? 0;

test('docs/picture.svg shows the committed homelab', () => {
  // To draw it again: npm run -s homelab -- picture > docs/picture.svg
  expect(fs.readFileSync('docs/picture.svg', 'utf8')).toBe(picture(shipped));
});

test('shows every service, database, model, machine and disk, and a line for each connection', () => {
  const svg = picture(homelab);
  const { services, webApps, databases, machines, llm } = homelab;
  const disks = Object.values(machines).flatMap((machine) =>
    machine.kind === 'talos' ? Object.keys(machine.dataDisks ?? {}) : [],
  );
  const names = [...Object.keys({ ...services, ...webApps, ...databases, ...machines }), ...disks];
  const models = Object.entries(llm!.models).flatMap(([name, model]) => [`model ${name}`, servedName(name, model)]);
  expect([...names, ...models].filter((name) => !texts(svg).includes(name))).toEqual([]);
  for (const machine of Object.keys(machines)) expect(texts(svg).filter((words) => words === machine)).toHaveLength(1);
  const connections = Object.values({ ...services, ...webApps }).flatMap(({ connects }) => connects);
  const drawn = ['service', 'mongodb', 'cassandra', 'model'].map((kind) => lines(svg, kind));
  expect(drawn).toEqual(
    ['service', 'mongodb', 'cassandra', 'model'].map((kind) => connections.filter((each) => kind in each).length),
  );
});

test('says what a service is, how it is reached from outside, and what it keeps', () => {
  const svg = picture(
    changed((h) => {
      h.webApps.web.routes = [
        { host: ['www', 'admin.app'] },
        { host: 'www', path: '/api' },
        { host: 'a', domain: 'example.org' },
      ];
      h.services.search = { kind: 'worker', connects: h.services.search.connects };
      h.services.nightly = { kind: 'job', schedule: '0 3 * * *', connects: [], image: 'ghcr.io/owner/nightly:1.0.0' };
      h.services.forge = {
        image: 'ghcr.io/owner/forge:1.0.0',
        ports: { http: 3000, ssh: { port: 2022, protocol: 'tcp' }, names: { port: 53, protocol: 'udp' } },
        published: [
          { port: 2222, to: 'ssh' },
          { port: 53, to: 'names' },
        ],
        volumes: { data: { path: '/data' }, cache: { path: '/cache', storageClass: 'nfs', size: Size.gibibytes(1) } },
        connects: [],
      };
      h.machines['talos-worker-02'].dataDisks['forge-data'] = Size.gibibytes(50);
    }),
  );
  const notes = [...svg.matchAll(/<text class="note"[^>]*>([^<]*)</g)].map(([, words]) => words);
  expect(notes).toEqual([
    ...['app', 'www', 'admin.app', 'www/api', 'a.example.org', 'admin'],
    ...['worker', 'job: 0 3 * * *'],
    ...['TCP port 2222', 'UDP port 53', 'disk forge-data', 'cache on class nfs'],
  ]);
  // No two boxes of a column overlap.
  const boxes = [
    ...svg.matchAll(/<rect class="(?:web|service)" x="([\d.]+)" y="([\d.]+)" width="\d+" height="(\d+)"/g),
  ].map(([, x, y, height]) => ({ x: Number(x), y: Number(y), height: Number(height) }));
  for (const box of boxes)
    expect(boxes.filter(({ x, y }) => x === box.x && y > box.y && y < box.y + box.height)).toEqual([]);
});

test('draws services that call each other, a homelab without models, and names with markup', () => {
  const circle = changed((h) => {
    h.services = { a: { connects: [{ service: 'b' }] }, b: { connects: [{ service: 'a' }] } };
    h.webApps = {};
    delete h.llm;
    h.hosts.mac.model = 'Mac <4> & "more"';
  });
  const svg = picture(circle);
  expect(lines(svg, 'service')).toBe(2);
  expect(texts(svg)).toContain('mac: Mac &#60;4&#62; &#38; &#34;more&#34;, 16 GiB, 192.168.1.50');
});
