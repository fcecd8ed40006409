import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import owners from '../../homelab';
import secondEnvironment from '../../examples/second-environment/homelab';
import smallest from '../../examples/smallest/homelab';
import threeHosts from '../../examples/three-hosts/homelab';
import { API_SERVER_PORT, apiServerAddresses, nodes, type Homelab } from '../../inventory';
import { machineFiles } from '../../machines';
import { patchesOf } from '../../machines/talos';
import { talosMachinery } from './bootstrap/simulator/binaries';
import { Tally } from './tally';

/**
 * What machines are told, judged by the programs that will read it: Talos' own loader for every complete machine
 * configuration, cloud-init, netplan, systemd, nft and the shell for the rest. Programs of scripts/remote/ run under bats.
 */
const tally = new Tally();
const folder = fs.mkdtempSync(join(tmpdir(), 'rendered-'));

function run(program: string, args: readonly string[]): { good: boolean; said: string } {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', timeout: 120_000 });
  return { good: status === 0, said: error?.message ?? `${stderr}${stdout}` };
}

function accepts(what: string, program: string, args: readonly string[]): boolean {
  const { good, said } = run(program, args);
  tally.check(what, good, said);
  return good;
}

function isHere(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

/** Writes what is rendered for a homelab. @returns its folder, and the paths in it */
function written(name: string, homelab: Homelab): { root: string; paths: string[] } {
  const root = join(folder, name);
  const files = machineFiles(homelab);
  for (const [path, text] of files) {
    fs.mkdirSync(join(root, dirname(path)), { recursive: true });
    fs.writeFileSync(join(root, path), text);
  }
  return { root, paths: [...files.keys()] };
}

function machineConfigs(name: string, homelab: Homelab, root: string): void {
  const secrets = join(folder, `${name}.secrets.yaml`);
  if (!accepts(`${name}: secrets`, talosMachinery(), ['gen', 'secrets', '-o', secrets])) return;
  for (const [node, machine] of nodes(homelab)) {
    const type = machine.role === 'worker' ? 'worker' : 'controlplane';
    const config = join(folder, `${name}.${node}.yaml`);
    const made = accepts(`${name}: ${node} is generated`, talosMachinery(), [
      ...['gen', 'config', homelab.name, `https://${apiServerAddresses(homelab)[0]}:${API_SERVER_PORT}`],
      ...['--with-secrets', secrets, '--talos-version', homelab.versions.talos],
      ...['--kubernetes-version', homelab.versions.kubernetes, '--with-docs=false', '--with-examples=false'],
      ...['--output-types', type, '-o', config],
      ...patchesOf(node, machine).flatMap((patch) => ['--config-patch', `@${join(root, patch)}`]),
    ]);
    if (!made) continue;
    for (const mode of ['metal', 'cloud']) {
      accepts(`${name}: ${node} in mode ${mode}`, talosMachinery(), ['validate', '-c', config, '-m', mode, '--strict']);
      if (isHere('talosctl'))
        accepts(`${name}: ${node} by talosctl`, 'talosctl', ['validate', '-c', config, '-m', mode, '--strict']);
    }
    // The validator must be one that says no.
    const broken = `${config}.broken`;
    fs.writeFileSync(
      broken,
      `${fs.readFileSync(config, 'utf8')}---\n${stringify({ apiVersion: 'v1alpha1', kind: 'UserVolumeConfig', name: 'x' })}`,
    );
    tally.check(
      `${name}: ${node} with a volume without a disk is refused`,
      !run(talosMachinery(), ['validate', '-c', broken, '-m', 'metal', '--strict']).good,
    );
  }
}

function cloudInit(name: string, root: string, paths: readonly string[]): void {
  for (const path of paths) {
    const file = join(root, path);
    if (/cloud-init\/.*user\.yaml$/.test(path))
      accepts(`${name}: ${path}`, 'cloud-init', ['schema', '--config-file', file]);
    // Ubuntu's cloud-init hands it to netplan as it is.
    if (/cloud-init\/.*network\.yaml$/.test(path)) {
      const network: unknown = parse(fs.readFileSync(file, 'utf8'));
      accepts(`${name}: ${path}`, 'netplan', netplan(`${name}.netplan`, network));
      const broken = { ...(network as object), ethernets: { lan: { adresses: [] } } };
      tally.check(
        `${name}: a network with a wrong key is refused`,
        !run('netplan', netplan(`${name}.broken`, broken)).good,
      );
    }
  }
}

function netplan(root: string, network: unknown): string[] {
  const file = join(folder, root, 'etc/netplan/50.yaml');
  fs.mkdirSync(dirname(file), { recursive: true });
  fs.writeFileSync(file, stringify({ network }), { mode: 0o600 });
  return ['generate', '--root-dir', join(folder, root)];
}

/** By the kernel of this machine, in a network namespace of its own. */
function firewalls(name: string, root: string, paths: readonly string[]): void {
  for (const path of paths.filter((each) => each.endsWith('.nft'))) {
    const check = (file: string) => ['--map-root-user', '--net', 'nft', '--check', '--file', file];
    const file = join(root, path);
    accepts(`${name}: ${path}`, 'unshare', check(file));
    const broken = join(folder, `${name}.broken.nft`);
    fs.writeFileSync(broken, fs.readFileSync(file, 'utf8').replace('dport', 'dpurt'));
    tally.check(`${name}: rules with a wrong word are refused`, !run('unshare', check(broken)).good);
  }
}

/** Programs that a unit starts are on the machine and not here: empty ones stand for them in a root of its own. */
function units(name: string, root: string, paths: readonly string[]): void {
  for (const machine of new Set(
    paths.filter((path) => path.includes('/etc/systemd/system/')).map((path) => path.split('/')[0]!),
  )) {
    const tree = join(folder, `${name}.${machine}.root`);
    fs.cpSync(join(root, machine), tree, { recursive: true });
    const system = join(tree, 'etc/systemd/system');
    for (const unit of [
      'network-pre',
      'network-online',
      'multi-user',
      'sysinit',
      'shutdown',
      'basic',
      'timers',
      'time-set',
      'time-sync',
      'network',
    ])
      fs.writeFileSync(join(system, `${unit}.target`), '[Unit]\nDescription=of the system\n');
    const own = fs.readdirSync(system).filter((file) => /\.(service|timer)$/.test(file));
    for (const unit of own)
      for (const [, program] of fs.readFileSync(join(system, unit), 'utf8').matchAll(/^Exec\w+=[-+!@:]*(\/\S+)/gm)) {
        fs.mkdirSync(join(tree, dirname(program!)), { recursive: true });
        fs.writeFileSync(join(tree, program!), '#!/bin/sh\n', { mode: 0o755 });
      }
    for (const [path, text] of [
      ['etc/passwd', 'root:x:0:0::/root:/bin/sh\nollama:x:990:990::/:/bin/false\n'],
      ['etc/group', 'root:x:0:\nollama:x:990:\n'],
    ] as const)
      fs.writeFileSync(join(tree, path), text);
    for (const unit of own)
      accepts(`${name}: ${machine} ${unit}`, 'systemd-analyze', [
        'verify',
        `--root=${tree}`,
        '--man=no',
        '--recursive-errors=one',
        join(system, unit),
      ]);
  }
}

function scripts(name: string, root: string, paths: readonly string[]): void {
  const shell = paths.filter((path) => path.endsWith('.sh'));
  if (shell.length > 0)
    accepts(
      `${name}: commands of ${shell.length} VMs`,
      'shellcheck',
      shell.map((path) => join(root, path)),
    );
}

try {
  const all: Readonly<Record<string, Homelab>> = {
    homelab: owners,
    smallest,
    'three-hosts': threeHosts,
    'second-environment': secondEnvironment,
  };
  if (!isHere('talosctl')) console.log("left out: talosctl validate, which is not here; Talos' own loader judges");
  for (const [name, homelab] of Object.entries(all)) {
    const { root, paths } = written(name, homelab);
    machineConfigs(name, homelab, root);
    cloudInit(name, root, paths);
    firewalls(name, root, paths);
    units(name, root, paths);
    scripts(name, root, paths);
  }
  const host = (fs.readdirSync('scripts/remote', { recursive: true }) as string[]).map((file) =>
    join('scripts/remote', file),
  );
  accepts(
    'shellcheck of scripts/remote',
    'shellcheck',
    host.filter((file) => file.endsWith('.sh')),
  );
  const bats = host.filter((file) => file.endsWith('.bats'));
  const { good, said } = run('bats', bats);
  tally.check(`bats: ${bats.length} files`, good, said);
  console.log(`bats: ${(/^1\.\.(\d+)/m.exec(said) ?? [])[1] ?? 0} cases`);
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
tally.close();
