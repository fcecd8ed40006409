import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { basename, join } from 'node:path';
import type { Container } from './container';
import { GATEWAY } from './node';
import { quoted, runQuietly } from './processes';
import { subFolder } from './volumes';

type Json = any;
type Bind = [from: string, to: string, how: 'ro' | 'rw'];

const CGROUPS = '/sys/fs/cgroup';
const IS_V1 = fs.existsSync(join(CGROUPS, 'memory'));

/** What counts and limits the memory of a container. */
export class Memory {
  private readonly folder: string;

  constructor(container: Container) {
    const { pod, name } = container;
    const base = IS_V1 ? join(CGROUPS, 'memory') : CGROUPS;
    this.folder = join(base, `${basename(pod.node.folder)}-${pod.name}-${pod.address}-${name}`);
  }

  limit(bytes: number): void {
    fs.mkdirSync(this.folder, { recursive: true });
    fs.writeFileSync(join(this.folder, IS_V1 ? 'memory.limit_in_bytes' : 'memory.max'), String(bytes));
  }

  get used(): number {
    return this.read(IS_V1 ? 'memory.usage_in_bytes' : 'memory.current');
  }

  get peak(): number {
    return this.read(IS_V1 ? 'memory.max_usage_in_bytes' : 'memory.peak');
  }

  /** All that run in the container. */
  get processes(): number[] {
    if (!fs.existsSync(this.procs)) return [];
    return fs.readFileSync(this.procs, 'utf8').split('\n').filter(Boolean).map(Number);
  }

  get procs(): string {
    return join(this.folder, 'cgroup.procs');
  }

  forget(): void {
    runQuietly('rmdir', this.folder);
  }

  private read(file: string): number {
    return Number(fs.readFileSync(join(this.folder, file), 'utf8'));
  }
}

/** What a container runtime does before the container's process runs, and that process. */
export function sandboxScript(container: Container): string {
  const { pod, name, memory } = container;
  const root = join(pod.folder, `${name}.root`);
  const image = join(pod.node.images, pod.namespace, `${pod.name}-${pod.address}`, name);
  const binds = bindsOf(container);
  layOut(container, image, binds);
  fs.mkdirSync(root, { recursive: true });
  memory.limit(container.limit);
  const layers = container.spec.securityContext?.readOnlyRootFilesystem ? `lowerdir=${image}:/` : writableLayers(image);
  const environment = Object.entries(container.environment()).map(([key, value]) => `${key}=${value}`);
  const command = [...userOf(container), 'env', '-i', '-C', '/', ...environment, ...container.command()];
  const inside = [
    `mount -t overlay overlay -o ${layers} ${quoted(root)}`,
    ...binds.map(([from, to, how]) => {
      const target = quoted(join(root, to));
      return `mount --bind ${quoted(from)} ${target} && mount -o remount,bind,${how},nosuid,nodev ${target}`;
    }),
    `mount -t proc proc ${quoted(join(root, 'proc'))}`,
    `mount --rbind /dev ${quoted(join(root, 'dev'))}`,
    `hostname ${pod.name}`,
    `exec chroot ${quoted(root)} ${command.map(quoted).join(' ')}`,
  ].join('\n');
  return [
    `echo $$ > ${quoted(memory.procs)}`,
    `exec setpriv --pdeathsig KILL nsenter -t ${pod.networkOf} -n unshare --mount --propagation slave --pid --uts --ipc --fork --kill-child sh -ec ${quoted(inside)}`,
    '',
  ].join('\n');
}

/** The layers of a root that the container may write to, as a runtime gives it without readOnlyRootFilesystem. */
function writableLayers(image: string): string {
  for (const part of ['upper', 'work']) fs.mkdirSync(`${image}.${part}`, { recursive: true });
  return `lowerdir=${image}:/,upperdir=${image}.upper,workdir=${image}.work`;
}

/** Programs and volumes, by their place in the container. */
function bindsOf({ pod, spec, image }: Container): Bind[] {
  const programs = Object.entries(image.mounts).map(([to, from]): Bind => [from, to, 'ro']);
  const volumes = (spec.volumeMounts ?? []).map(({ name, mountPath, subPath, readOnly }: Json): Bind => {
    const from = subFolder(pod.volume(name), subPath);
    const { configMap, secret, projected } = (pod.spec.volumes ?? []).find((each: Json) => each.name === name) ?? {};
    return [from, mountPath, readOnly || configMap || secret || projected ? 'ro' : 'rw'];
  });
  return [...programs, ...volumes];
}

/** The layer over this machine's root: files of the image, what it lacks, and a place for each mount. */
function layOut(container: Container, image: string, binds: readonly Bind[]): void {
  const { files, lacks } = container.image;
  const inPlace = (path: string) => join(image, path);
  const folderOf = (path: string) => fs.mkdirSync(join(inPlace(path), '..'), { recursive: true });
  for (const path of ['/proc', '/dev', '/sys', '/tmp']) fs.mkdirSync(inPlace(path), { recursive: true });
  for (const [path, text] of Object.entries({ ...files, ...networkFiles(container) })) {
    folderOf(path);
    fs.writeFileSync(inPlace(path), text, { mode: path.includes('/bin/') ? 0o755 : 0o644 });
  }
  for (const path of lacks) {
    if (fs.existsSync(inPlace(path))) continue;
    folderOf(path);
    // overlayfs takes such a device in an upper layer for "this file is not there".
    execFileSync('mknod', [inPlace(path), 'c', '0', '0']);
  }
  for (const [from, to] of binds) {
    if (fs.statSync(from).isDirectory()) fs.mkdirSync(inPlace(to), { recursive: true });
    else {
      folderOf(to);
      if (!fs.existsSync(inPlace(to))) fs.writeFileSync(inPlace(to), '');
    }
  }
}

/** The own name stands in /etc/hosts, as the kubelet writes it there; every other name is the name server's. */
function networkFiles({ pod }: Container): Record<string, string> {
  const { name, namespace, address, headless } = pod;
  const own = headless === undefined ? name : `${name}.${headless}.${namespace}.svc.cluster.local ${name}`;
  return {
    '/etc/hosts': `127.0.0.1 localhost\n${address} ${own}\n`,
    '/etc/resolv.conf': `search ${namespace}.svc.cluster.local svc.cluster.local cluster.local\nnameserver ${GATEWAY}\noptions ${pod.node.resolver}\n`,
    '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  };
}

/** The words that make the next ones run as the container's user. */
export function userOf({ pod, spec, image }: Container): string[] {
  const { fsGroup, ...ofPod } = pod.spec.securityContext ?? {};
  const { runAsUser, runAsGroup, capabilities, allowPrivilegeEscalation } = { ...ofPod, ...spec.securityContext };
  const user = runAsUser ?? image.user ?? 0;
  const group = runAsGroup ?? image.user ?? 0;
  // Kubernetes adds no ambient capabilities: a process that is not root has them only where its file grants them.
  const added = (capabilities?.add ?? []).map((name: string) => `+${name.toLowerCase()}`);
  return [
    'setpriv',
    ...[`--reuid=${user}`, `--regid=${group}`, `--groups=${fsGroup ?? group}`],
    ...(capabilities?.drop?.includes('ALL') ? [`--bounding-set=${['-all', ...added].join()}`, '--inh-caps=-all'] : []),
    ...(allowPrivilegeEscalation === false ? ['--no-new-privs'] : []),
  ];
}
