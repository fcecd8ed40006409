import * as fs from 'node:fs';
import homelab from './fixtures/homelab';

test('the homelab of tests pins a Kubernetes that the real suites build, or what they prove would be about another', () => {
  const folder = 'test/real/cluster/go';
  const built = fs
    .readdirSync(folder)
    .filter((name) => name.startsWith('kubernetes-'))
    .map((name) => /k8s\.io\/kubernetes (v\S+)/.exec(fs.readFileSync(`${folder}/${name}/go.mod`, 'utf8'))?.[1]);
  expect(built).toContain(homelab.versions.kubernetes);
});
