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
