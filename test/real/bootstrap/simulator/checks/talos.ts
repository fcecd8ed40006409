import * as fs from 'node:fs';
import { join } from 'node:path';
import { until } from '../../../cluster/processes';
import { SCHEMATIC, type Bench } from './bench';

/** Nodes of Talos, from maintenance to a cluster that lost its control plane. */
export async function talos(bench: Bench): Promise<void> {
  const { folder, run, qm, talosctl, same, holds, interceptOnce, simulation } = bench;
  await qm('start', '200');
  await qm('start', '201');
  await until('maintenance', 5, async () =>
    (await run('talosctl', ['-n', '192.168.1.21', 'get', 'machinestatus', '--insecure', '-o', 'json'])).stdout.includes(
      '"stage": "maintenance"',
    ),
  );
  const disks = await run('talosctl', ['-n', '192.168.1.21', 'get', 'disks', '--insecure', '-o', 'json']);
  holds('disks with serials', disks.stdout, '"serial": "cassandra-r1-0"', '"dev_path": "/dev/vda"');
  same('one document for each', disks.stdout.match(/^\{$/gm)?.length, 3);
  const installer = `factory.talos.dev/nocloud-installer/${SCHEMATIC}:v1.13.9`;
  const made = await run('talosctl', [
    'gen',
    'config',
    'collab',
    'https://192.168.1.20:6443',
    '--install-image',
    installer,
    '--install-disk',
    '/dev/sda',
    '--with-docs=false',
    '--with-examples=false',
    '-o',
    '.',
  ]);
  same('gen config is real', made.code, 0);
  for (const [name, role, address, mac] of [
    ['talos-cp-01', 'controlplane', '192.168.1.20', '02:00:00:00:02:00'],
    ['talos-worker-01', 'worker', '192.168.1.21', '02:00:00:00:02:01'],
  ] as const) {
    const patch = [
      'machine:\n  nodeLabels: {storage-type: cassandra}',
      `apiVersion: v1alpha1\nkind: HostnameConfig\nauto: "off"\nhostname: ${name}`,
      `apiVersion: v1alpha1\nkind: LinkAliasConfig\nname: net0\nselector:\n  match: mac(link.permanent_addr) == "${mac}"`,
      `apiVersion: v1alpha1\nkind: LinkConfig\nname: net0\naddresses: [{address: ${address}/24}]\nroutes: [{gateway: 192.168.1.1}]`,
      ...(role === 'worker'
        ? [
            'apiVersion: v1alpha1\nkind: UserVolumeConfig\nname: cassandra-r1-0\nprovisioning:\n  diskSelector: {match: disk.serial == "cassandra-r1-0" && !system_disk}\n  minSize: 90GiB\n  grow: true',
          ]
        : []),
    ].join('\n---\n');
    fs.writeFileSync(join(folder, 'patch.yaml'), patch);
    const patched = await run('talosctl', [
      'machineconfig',
      'patch',
      `${role}.yaml`,
      '--patch',
      '@patch.yaml',
      '-o',
      `${name}.yaml`,
    ]);
    same(`patch of ${name}`, [patched.code, patched.stderr], [0, '']);
  }
  const secure = ['-e', '192.168.1.20', '-n'];
  holds(
    'maintenance wants no certificate',
    (await talosctl(...secure, '192.168.1.20', 'get', 'members')).stderr,
    'certificate signed by unknown authority',
  );
  const dry = await run('talosctl', [
    'apply-config',
    '--insecure',
    '-n',
    '192.168.1.20',
    '--file',
    'talos-cp-01.yaml',
    '--dry-run',
  ]);
  holds('a dry run', dry.stderr, 'Dry run summary:', '(skipped in dry-run)', '+machine:');
  same(
    'bad configuration',
    (
      await run(
        'talosctl',
        ['apply-config', '--insecure', '-n', '192.168.1.20', '--file', '/dev/stdin'],
        'machine: {typo: 1}',
      )
    ).code,
    1,
  );
  for (const [name, address] of [
    ['talos-cp-01', '192.168.1.20'],
    ['talos-worker-01', '192.168.1.21'],
  ] as const) {
    const applied = await run('talosctl', ['apply-config', '--insecure', '-n', address, '--file', `${name}.yaml`]);
    same(`apply to ${name}`, applied, { code: 0, stdout: '', stderr: 'Applied configuration without a reboot\n' });
  }
  holds(
    'it installs',
    (await talosctl('-e', '192.168.1.21', '-n', '192.168.1.21', 'get', 'members')).stderr,
    'connection refused',
  );
  for (const address of ['192.168.1.20', '192.168.1.21'])
    await until(`${address} answers`, 10, async () => (await talosctl(...secure, address, 'version')).code === 0);
  holds(
    'no longer insecure',
    (await run('talosctl', ['-n', '192.168.1.20', 'get', 'disks', '--insecure'])).stderr,
    'tls: certificate required',
  );
  holds(
    'its name',
    (await talosctl(...secure, '192.168.1.21', 'get', 'nodename', '-o', 'yaml')).stdout,
    'nodename: talos-worker-01',
  );
  holds(
    'not yet ready',
    (await talosctl(...secure, '192.168.1.20', 'get', 'machinestatus', '-o', 'json')).stdout,
    '"ready": false',
  );
  same('no nodes yet', bench.joined, []);
  const login = join(folder, 'login');
  fs.copyFileSync(join(folder, 'talosconfig'), login);
  interceptOnce('talosctl', 'during');
  const killed = run('talosctl', ['--talosconfig', login, ...secure, '192.168.1.21', 'reboot']);
  same('a local call is cut', (await killed).code, null);
  fs.rmSync(login);
  await until('and has its effect', 5, async () => {
    const { code, stdout } = await talosctl(...secure, '192.168.1.21', 'read', '/proc/sys/kernel/random/boot_id');
    return code === 0 && stdout.trim().endsWith('3');
  });
  simulation.intercept = undefined;
  holds(
    'etcd waits for it',
    (await talosctl(...secure, '192.168.1.20', 'service', 'etcd')).stdout,
    'STATE    Preparing',
  );
  same('bootstrap', await talosctl(...secure, '192.168.1.20', 'bootstrap'), { code: 0, stdout: '', stderr: '' });
  holds(
    'bootstrap twice',
    (await talosctl(...secure, '192.168.1.20', 'bootstrap')).stderr,
    'rpc error: code = AlreadyExists desc = etcd data directory is not empty',
  );
  same('health', (await talosctl(...secure, '192.168.1.20', 'health', '--wait-timeout', '15m')).code, 0);
  await until('nodes join', 5, async () => bench.joined.length === 2);
  same(
    'with their labels',
    bench.joined.find(({ name }) => name === 'talos-worker-01')?.labels['storage-type'],
    'cassandra',
  );
  holds(
    'the volume',
    (await talosctl(...secure, '192.168.1.21', 'get', 'volumestatus', 'u-cassandra-r1-0', '-o', 'json')).stdout,
    '"phase": "ready"',
    '"parentLocation": "/dev/vda"',
  );
  same('the disk is in use', simulation.state.volumes['local-lvm:vm-201-disk-1']!.label, 'u-cassandra-r1-0');
  same('kubeconfig', (await talosctl(...secure, '192.168.1.20', 'kubeconfig', '-')).stdout, 'the kubeconfig\n');
  await talosctl(...secure, '192.168.1.20', 'etcd', 'snapshot', 'etcd.db');
  same('a snapshot of etcd', fs.existsSync(join(folder, 'etcd.db')), true);
  await dryRun(bench, secure);
  await withoutControlPlane(bench, secure);
  same('shutdown ends by itself', (await qm('shutdown', '201')).code, 0);
  simulation.state.vms[200]!.shutdownSeconds = 10_000;
  holds('shutdown that does not', (await qm('shutdown', '200')).stderr, 'VM quit/powerdown failed - got timeout');
  holds('an unknown flag', (await talosctl('get', '--tpyo')).stderr, 'unknown flag: --tpyo');
}

/** A dry run of upgrade-k8s writes the configuration in force back to control planes. */
async function dryRun(bench: Bench, secure: readonly string[]): Promise<void> {
  const { folder, talosctl, same, holds, simulation } = bench;
  for (const [name, address, left] of [
    ['talos-cp-01', '192.168.1.20', false],
    ['talos-worker-01', '192.168.1.21', true],
  ] as const) {
    const file = join(folder, 'staged.yaml');
    const text = fs.readFileSync(join(folder, `${name}.yaml`), 'utf8');
    fs.writeFileSync(file, text.replace('storage-type: cassandra', 'storage-type: other'));
    const staged = await talosctl(...secure, address, 'apply-config', '--mode=staged', '-f', file);
    holds(`${name} stages`, staged.stderr, 'Staged configuration to be applied after the next reboot');
    const version = simulation.state.cluster.kubernetes!.slice(1);
    const said = await talosctl(...secure, '192.168.1.20', 'upgrade-k8s', '--to', version, '--dry-run');
    holds('upgrade-k8s says what stays', said.stdout, 'updating manifests (dry run)\n < unchanged ');
    const next = await talosctl(...secure, address, 'get', 'machineconfig', 'persistent', '-o', 'yaml');
    same(`${name}: a staged configuration is left`, next.stdout.includes('storage-type: other'), left);
  }
}

/** Workers answer for themselves while the control plane has lost its configuration, or is off. */
async function withoutControlPlane(bench: Bench, secure: readonly string[]): Promise<void> {
  const { run, qm, talosctl, same, holds } = bench;
  const own = (...args: readonly string[]) => talosctl('-e', '192.168.1.21', '-n', '192.168.1.21', ...args);
  const across = () => talosctl(...secure, '192.168.1.21', 'version');
  holds(
    'a worker passes nothing on',
    (await talosctl('-e', '192.168.1.21', '-n', '192.168.1.20', 'version')).stderr,
    'code = PermissionDenied desc = no request forwarding',
  );
  await talosctl(
    ...[...secure, '192.168.1.20', 'reset', '--graceful=false', '--reboot'],
    ...['--system-labels-to-wipe=STATE', '--system-labels-to-wipe=EPHEMERAL'],
  );
  await until('the control plane is in maintenance', 5, async () => {
    const args = ['-n', '192.168.1.20', 'get', 'disks', '--insecure'];
    return (await run('talosctl', args)).code === 0;
  });
  holds('its certificate is another one', (await across()).stderr, 'certificate signed by unknown authority');
  same('the worker answers', (await own('version')).code, 0);
  same(
    'a dry run of its configuration',
    (await own('apply-config', '--dry-run', '-f', 'talos-worker-01.yaml')).code,
    0,
  );
  await qm('stop', '200');
  holds('off it passes nothing on', (await across()).stderr, 'connect: no route to host');
  same('the worker still answers', (await own('version')).code, 0);
  await qm('start', '200');
}
