import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { images } from '../../../constructs';
import { MODULES } from '../cluster/binaries';
import { built, CACHE, go } from '../modules';

/** Argo CD's one binary, and the folder of its definitions. It acts by the name that it is started under. */
export function argoCd(): { readonly program: string; readonly definitions: string } {
  const module = 'github.com/argoproj/argo-cd/v3';
  const folder = join(MODULES, 'argo-cd');
  const program = built(folder, module, `${module}/cmd`, 'argocd', []);
  const definitions = resolve(program, '..', 'crds');
  if (!fs.existsSync(definitions)) {
    const source = go(folder, ['list', '-m', '-f', '{{.Dir}}', module]).trim();
    fs.cpSync(join(source, 'manifests', 'crds'), definitions, { recursive: true });
  }
  return { program, definitions };
}

/** Traefik of the version that we render. Its module lacks the web interface that it embeds, so a copy gets an empty one. */
export function traefik(): string {
  const version = images.traefik.split(':')[1]!;
  const target = join(CACHE, 'traefik', version, 'traefik');
  if (fs.existsSync(target)) return target;
  console.log(`building traefik ${version} (once; into ${target})`);
  const { Dir } = JSON.parse(
    go(join(MODULES, 'etcd'), ['mod', 'download', '-json', `github.com/traefik/traefik/v3@${version}`]),
  );
  const copy = fs.mkdtempSync(join(tmpdir(), 'traefik-'));
  try {
    spawnSync('cp', ['-r', `${Dir}/.`, copy]);
    spawnSync('chmod', ['-R', 'u+w', copy]);
    fs.mkdirSync(join(copy, 'webui', 'static'), { recursive: true });
    fs.writeFileSync(join(copy, 'webui', 'static', 'index.html'), '');
    fs.mkdirSync(resolve(target, '..'), { recursive: true });
    const part = `${target}.${process.pid}`;
    const args = ['build', '-trimpath', '-ldflags', '-s -w', '-o', part, './cmd/traefik'];
    const { status, stderr } = spawnSync('go', args, {
      cwd: copy,
      env: { ...process.env, CGO_ENABLED: '0' },
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`traefik ${version} does not build:\n${stderr}`);
    fs.renameSync(part, target);
  } finally {
    fs.rmSync(copy, { recursive: true, force: true });
  }
  return target;
}
