import * as fs from 'node:fs';
import { images } from '../constructs';
import { BUSYBOX, MLX_REQUIREMENTS, OLLAMA_VERSION } from '../machines/pins';
import homelab from './fixtures/homelab';

test('the homelab of tests pins a Kubernetes that the real suites build, or what they prove would be about another', () => {
  const folder = 'test/real/cluster/go';
  const built = fs
    .readdirSync(folder)
    .filter((name) => name.startsWith('kubernetes-'))
    .map((name) => /k8s\.io\/kubernetes (v\S+)/.exec(fs.readFileSync(`${folder}/${name}/go.mod`, 'utf8'))?.[1]);
  expect(built).toContain(homelab.versions.kubernetes);
});

test('the tools of .tool-versions are those that the suites build and that the homelab of tests names', () => {
  const tools = new Map(
    fs
      .readFileSync('.tool-versions', 'utf8')
      .split('\n')
      .filter((line) => /^[a-z]/.test(line))
      .map((line) => line.split(' ') as [string, string]),
  );
  const module = fs.readFileSync('test/real/bootstrap/simulator/go/sops/go.mod', 'utf8');
  const built = (name: string) => new RegExp(`${name} v(\\S+)`).exec(module)?.[1];
  expect(tools.get('sops')).toBe(built('github.com/getsops/sops/v3'));
  expect(tools.get('age')).toBe(built('filippo.io/age'));
  expect(`v${tools.get('kubectl')}`).toBe(homelab.versions.kubernetes);
  expect(`v${tools.get('talosctl')}`).toBe(homelab.versions.talos);
});

test('Renovate finds every image and every pinned release', () => {
  const { customManagers } = JSON.parse(fs.readFileSync('renovate.json', 'utf8'));
  const found = (file: string) =>
    customManagers
      .filter(({ managerFilePatterns }: any) =>
        managerFilePatterns.some((pattern: string) => new RegExp(pattern.slice(1, -1)).test(file)),
      )
      .flatMap(({ matchStrings, depNameTemplate }: any) =>
        matchStrings.flatMap((match: string) =>
          [...fs.readFileSync(file, 'utf8').matchAll(new RegExp(match, 'g'))].map(
            ({ groups }) => `${groups!.depName ?? depNameTemplate}:${groups!.currentValue}`,
          ),
        ),
      );
  expect(found('constructs/images.ts').sort()).toEqual(Object.values(images).sort());
  const mlx = MLX_REQUIREMENTS.map((each) => each.replace('[cpu]', '').replace('==', ':'));
  expect(found('machines/pins.ts')).toEqual([BUSYBOX, `ollama/ollama:${OLLAMA_VERSION}`, ...mlx]);
});
