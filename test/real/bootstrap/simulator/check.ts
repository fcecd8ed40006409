import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../cluster/processes';
import { Tally } from '../../tally';
import { shim, sopsBinaries, talosMachinery } from './binaries';
import type { ClusterNode } from './life';
import { canChangeUser, inNamespace } from './machines';
import type { Call, Interception } from './programs/program';
import { Simulation } from './simulation';
import { imageFile } from './storage';

/** Whether the simulated homelab answers as the real one is known to. */
inNamespace();

const HOST = '192.168.1.10';
const SCHEMATIC = 'a'.repeat(64);
const TALOS = ['--serial0', 'socket', '--agent', 'enabled=0', '--boot', 'order=scsi0', '--ide0', 'local-lvm:cloudinit'];

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const tally = new Tally();
const folder = fs.mkdtempSync(join(tmpdir(), 'sim-'));
let joined: readonly ClusterNode[] = [];
let running: ReturnType<typeof spawn> | undefined;

function run(program: string, args: readonly string[], input = ''): Promise<Run> {
  const child = spawn(program, args, {
    cwd: folder,
    env: { ...process.env, ...simulation.environment() },
    detached: true,
  });
  running = child;
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((done) => child.once('close', (code) => done({ code, stdout, stderr })));
}

const onHost = (command: string, input?: string) =>
  run('ssh', ['-o', 'BatchMode=yes', `root@${HOST}`, '--', command], input);
const qm = (...args: readonly string[]) => onHost(['qm', ...args].map((arg) => `'${arg}'`).join(' '));
const talosctl = (...args: readonly string[]) => run('talosctl', ['--talosconfig', 'talosconfig', ...args]);

function same(what: string, found: unknown, wanted: unknown): void {
  const [a, b] = [found, wanted].map((each) => JSON.stringify(each));
  tally.check(what, a === b, `found  ${a}\nwanted ${b}`);
}

function holds(what: string, text: string, ...parts: readonly string[]): void {
  for (const part of parts) tally.check(what, text.includes(part), `no ${JSON.stringify(part)} in\n${text}`);
}

/** One call of a program is treated as a test says. */
function interceptOnce(program: string, how: Interception): void {
  let left = 1;
  simulation.intercept = (call: Call) => (call.program === program && left-- > 0 ? how : undefined);
  simulation.onKill = () => process.kill(-running!.pid!, 'SIGKILL');
}

async function shells(): Promise<void> {
  const odd = `a  b'c"d $HOME \`x\` \\ * \n é`;
  const quoted = `'${odd.replaceAll("'", `'\\''`)}'`;
  same('an argument arrives as it is', (await onHost(`printf %s ${quoted}`)).stdout, odd);
  same(
    'without quotes the remote shell splits',
    (await run('ssh', [`root@${HOST}`, 'printf', '%s.', 'a  b'])).stdout,
    'a.b.',
  );
  same('input arrives', (await onHost('cat', 'one\ntwo')).stdout, 'one\ntwo');
  same(
    'a script is read from the input',
    (await onHost('bash -s -- x', 'echo "$1" "$(hostname -f 2>/dev/null || cat /etc/hostname)"')).code,
    0,
  );
  same('an exit code arrives', (await onHost('exit 7')).code, 7);
  const began = Date.now();
  await onHost('sleep 600; true');
  tally.check('sleep costs no time', Date.now() - began < 2000);
  const many = Date.now();
  for (let count = 0; count < 10; count++) await run('ping', ['-c', '1', HOST]);
  tally.check('a call is quick', Date.now() - many < 500, `${(Date.now() - many) / 10} ms`);
  holds('the system is read-only', (await onHost('touch /usr/bin/x')).stderr, 'Read-only file system');
  same(
    'some folders are not',
    (await onHost('touch /usr/local/bin/x /usr/share/kvm/y /usr/share/keyrings/z /etc/w')).code,
    0,
  );
  same('its files are in its folder', fs.existsSync(join(simulation.files('host'), 'etc/w')), true);
  tally.check('the call is known to change', simulation.calls.at(-1)!.changing === true);
  await onHost('cat /etc/w');
  tally.check('one that reads is not', simulation.calls.at(-1)!.changing === false);
  same('another address does not answer', (await run('ssh', ['root@192.168.1.99', 'true'])).code, 255);
  same('another user may not', (await run('ssh', [`nobody@${HOST}`, 'true'])).code, 255);
  same('a program that is not there', (await onHost('no-such-program')).code, 127);
  same('and the test sees it', simulation.unexpected.splice(0), ['host: no program no-such-program']);
  holds('kernel options are those of the machine', (await onHost('cat /proc/cmdline')).stdout, 'pve-root');
}

async function downloads(): Promise<void> {
  const url = `https://factory.talos.dev/image/${SCHEMATIC}/v1.13.9/nocloud-amd64.raw`;
  simulation.urls[url] = imageFile({ system: 'talos', version: 'v1.13.9', schematic: SCHEMATIC, platform: 'nocloud' });
  simulation.urls['https://cloud-images.ubuntu.com/noble.img'] = imageFile({ system: 'ubuntu', version: '24.04' });
  same('curl', (await onHost(`curl -fsSL --proto '=https' -o /var/lib/vz/import/talos.raw ${url}`)).code, 0);
  same(
    'curl goes on',
    (
      await onHost(
        `cd /var/lib/vz/import && head -c 5 talos.raw > half && curl -fsSL --continue-at - -o half ${url} && cmp half talos.raw && rm half`,
      )
    ).code,
    0,
  );
  await onHost('curl -fsSLo /var/lib/vz/import/ubuntu.img https://cloud-images.ubuntu.com/noble.img');
  same('curl refuses', (await onHost('curl -fsS https://factory.talos.dev/none')).code, 22);
  same('curl does not find a host', (await run('curl', ['-fsS', 'https://example.invalid/'])).code, 6);
}

async function machines(): Promise<void> {
  holds(
    'a wrong option',
    (await qm('create', '201', '--nam', 'x')).stderr,
    'Unknown option: nam',
    '400 unable to parse option',
  );
  holds(
    'a wrong value',
    (await qm('create', '201', '--bios', 'uefi')).stderr,
    "bios: value 'uefi' does not have a value in the enumeration 'ovmf, seabios'",
  );
  holds(
    'virtio has no ssd',
    (await qm('create', '201', '--virtio1', 'local-lvm:100,ssd=1')).stderr,
    'invalid key in comma-separated list property: ssd',
  );
  holds(
    'a long serial',
    (await qm('create', '201', '--virtio1', `local-lvm:100,serial=${'s'.repeat(21)}`)).stderr,
    'virtio1.serial',
  );
  same('nothing was made', [Object.keys(simulation.state.vms), Object.keys(simulation.state.volumes)], [[], []]);
  await create('200', 'talos-cp-01', '192.168.1.20', '02:00:00:00:02:00');
  await create(
    '201',
    'talos-worker-01',
    '192.168.1.21',
    '02:00:00:00:02:01',
    '--virtio1',
    'local-lvm:100,serial=cassandra-r1-0,cache=none,iothread=1,discard=on,backup=0',
  );
  const config = (await qm('config', '201')).stdout;
  holds(
    'the configuration',
    config,
    'net0: virtio=02:00:00:00:02:01,bridge=vmbr0\n',
    'virtio1: local-lvm:vm-201-disk-1,backup=0,cache=none,discard=on,iothread=1,serial=cassandra-r1-0,size=100G\n',
    'ide0: local-lvm:vm-201-cloudinit,media=cdrom\n',
    'efidisk0: local-lvm:vm-201-disk-2,efitype=4m,pre-enrolled-keys=0,size=4M\n',
    'scsi0: local-lvm:vm-201-disk-0,discard=on,size=40G,ssd=1\n',
  );
  same(
    'it is sorted',
    config
      .trim()
      .split('\n')
      .map((line) => line.split(':')[0]!),
    [
      ...config
        .trim()
        .split('\n')
        .map((line) => line.split(':')[0]!),
    ].sort(),
  );
  holds(
    'twice',
    (await qm('create', '201', '--name', 'x')).stderr,
    "unable to create VM 201 - VM 201 already exists on node 'pve'",
  );
  same('no such VM', await qm('config', '999'), {
    code: 2,
    stdout: '',
    stderr: "Configuration file 'nodes/pve/qemu-server/999.conf' does not exist\n",
  });
  holds(
    'protection',
    (await qm('set', '201', '--delete', 'virtio1')).stderr,
    "can't remove drive 'virtio1' - protection mode enabled",
  );
  holds('protection', (await qm('destroy', '201')).stderr, "can't remove VM 201 - protection mode enabled");
  const before = join(folder, 'before');
  simulation.snapshot(before);
  await qm('set', '201', '--virtio1', 'local-lvm:200');
  holds(
    'an occupied slot makes the old disk unused',
    (await qm('config', '201')).stdout,
    'unused0: local-lvm:vm-201-disk-1\n',
    'virtio1: local-lvm:vm-201-disk-3,size=200G\n',
  );
  simulation.restore(before);
  tally.check('a snapshot brings it back', !(await qm('config', '201')).stdout.includes('unused0'));
  same('files too', (await onHost('cat /etc/pve/qemu-server/201.conf | grep -c unused')).stdout, '0\n');
  await qm('disk', 'resize', '201', 'virtio1', '+20G');
  holds('it grows', (await qm('config', '201')).stdout, 'size=120G');
  const look = 'cmp --silent --bytes=1048576 "$(pvesm path local-lvm:vm-201-disk-1)" /dev/zero';
  same('a new disk is empty', (await onHost(look)).code, 0);
  same('a system disk is not', (await onHost(look.replace('disk-1', 'disk-0'))).code, 1);
  await qm('set', '201', '--memory', '8192', '--description', 'ours: é');
  holds('notes', (await qm('config', '201')).stdout, 'description: ours%3A %C3%A9\n');
  holds(
    'the list',
    (await qm('list')).stdout,
    '      VMID NAME                 STATUS     MEM(MB)    BOOTDISK(GB) PID       \n',
    '       201 talos-worker-01      stopped    8192              40.00 0         \n',
  );
  holds('no agent', (await qm('guest', 'cmd', '201', 'ping')).stderr, 'VM 201 is not running');
  holds('storage', (await onHost('pvesm status')).stdout, 'local-lvm     lvmthin     active', '     Total (KiB)');
  same('snippets are not allowed at first', (await onHost('pvesm path local:snippets/x')).code, 255);
  same(
    'then they are',
    (await onHost('pvesm set local --content iso,vztmpl,backup,snippets,import && pvesm path local:snippets/x')).stdout,
    '/var/lib/vz/snippets/x\n',
  );
  holds('pvesh', (await onHost('pvesh get /nodes/pve/qemu/201/config --output-format json')).stdout, '"digest":"');
  simulation.state.storages['local-lvm']!.used = simulation.state.storages['local-lvm']!.total;
  holds(
    'a full pool',
    (await qm('set', '201', '--virtio2', 'local-lvm:10')).stderr,
    'free space in thin pool pve/data reached threshold',
  );
  simulation.state.storages['local-lvm']!.used = 0;
}

async function create(
  vmid: string,
  name: string,
  address: string,
  mac: string,
  ...more: readonly string[]
): Promise<void> {
  const made = await qm(
    'create',
    vmid,
    '--name',
    name,
    '--ostype',
    'l26',
    '--machine',
    'q35',
    '--bios',
    'ovmf',
    '--efidisk0',
    'local-lvm:1,efitype=4m,pre-enrolled-keys=0',
    '--cpu',
    'host',
    '--cores',
    '4',
    '--memory',
    '4096',
    '--balloon',
    '0',
    '--scsihw',
    'virtio-scsi-pci',
    '--scsi0',
    'local-lvm:0,import-from=/var/lib/vz/import/talos.raw,discard=on,ssd=1',
    '--ipconfig0',
    `ip=${address}/24,gw=192.168.1.1`,
    '--nameserver',
    '192.168.1.1',
    '--net0',
    `virtio=${mac},bridge=vmbr0`,
    '--protection',
    '1',
    '--onboot',
    '1',
    '--startup',
    'order=1,down=270',
    ...TALOS,
    ...more,
  );
  same(`qm create ${vmid}`, [made.code, made.stderr], [0, '']);
  await qm('disk', 'resize', vmid, 'scsi0', '40G');
}

async function kills(): Promise<void> {
  const exists = async () => (await qm('status', '300')).code === 0;
  const make = () => qm('create', '300', '--name', 'x', '--memory', '512');
  const gone = async () => void (await qm('destroy', '300'));
  interceptOnce('qm', 'before');
  same('before: killed', (await make()).code, null);
  same('before: never', await exists(), false);
  interceptOnce('qm', 'after');
  same('after: killed', (await make()).code, null);
  same('after: done', await exists(), true);
  await gone();
  interceptOnce('qm', 'during');
  same('during: killed', (await make()).code, null);
  holds('during: locked', (await qm('config', '300')).stdout, 'lock: create');
  holds('during: locked for others', (await qm('set', '300', '--memory', '1024')).stderr, 'VM is locked (create)');
  await until('the remote went on', 5, async () => (await qm('config', '300')).stdout.includes('name: x'));
  tally.check('during: no lock in the end', simulation.state.vms[300]!.config.lock === undefined);
  await gone();
  interceptOnce('ssh', 'during');
  same('an upload is cut', (await onHost('cat > /tmp/part', 'x'.repeat(1000))).code, null);
  await until('half of it arrives', 5, async () => (await onHost('wc -c < /tmp/part')).stdout === '500\n');
  interceptOnce('qm', 'fail');
  const failed = await make();
  same('fail', [failed.code, failed.stderr], [255, 'qm: simulated failure\n']);
  interceptOnce('ssh', 'fail');
  same('fail of ssh', (await make()).code, 255);
  interceptOnce('qm', 'nonsense');
  same('nonsense', (await make()).code, 0);
  same('nonsense has no effect', await exists(), false);
  interceptOnce('qm', 'hang');
  const hung = make();
  await new Promise((done) => setTimeout(done, 300));
  process.kill(-running!.pid!, 'SIGKILL');
  same('hang', (await hung).code, null);
  simulation.intercept = undefined;
}

async function talos(): Promise<void> {
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
  same('no nodes yet', joined, []);
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
  await until('nodes join', 5, async () => joined.length === 2);
  same('with their labels', joined.find(({ name }) => name === 'talos-worker-01')?.labels['storage-type'], 'cassandra');
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
  await dryRun(secure);
  await withoutControlPlane(secure);
  same('shutdown ends by itself', (await qm('shutdown', '201')).code, 0);
  simulation.state.vms[200]!.shutdownSeconds = 10_000;
  holds('shutdown that does not', (await qm('shutdown', '200')).stderr, 'VM quit/powerdown failed - got timeout');
  holds('an unknown flag', (await talosctl('get', '--tpyo')).stderr, 'unknown flag: --tpyo');
}

/** A dry run of upgrade-k8s writes the configuration in force back to control planes. */
async function dryRun(secure: readonly string[]): Promise<void> {
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
async function withoutControlPlane(secure: readonly string[]): Promise<void> {
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

async function ubuntu(): Promise<void> {
  const key = 'ssh-ed25519 AAAA me';
  await onHost(
    'cat > /var/lib/vz/snippets/user.yaml',
    `#cloud-config\nhostname: ai-vm\nusers:\n  - name: homelab\n    sudo: ALL=(ALL) NOPASSWD:ALL\n    ssh_authorized_keys: ['${key}']\n`,
  );
  await onHost(
    'cat > /var/lib/vz/snippets/network.yaml',
    'version: 2\nethernets:\n  net0: {addresses: [192.168.1.30/24]}\n',
  );
  await onHost('printf "instance-id: ai-vm-1\\n" > /var/lib/vz/snippets/meta.yaml');
  const made = await qm(
    'create',
    '210',
    '--name',
    'ai-vm',
    '--memory',
    '4096',
    '--scsi0',
    'local-lvm:0,import-from=/var/lib/vz/import/ubuntu.img',
    '--ide0',
    'local-lvm:cloudinit',
    '--boot',
    'order=scsi0',
    '--cicustom',
    'user=local:snippets/user.yaml,network=local:snippets/network.yaml,meta=local:snippets/meta.yaml',
  );
  same('qm create 210', [made.code, made.stderr], [0, '']);
  const there = (user: string, command: string) =>
    run('ssh', ['-o', 'StrictHostKeyChecking=accept-new', `${user}@192.168.1.30`, '--', command]);
  same('off', (await there('homelab', 'true')).code, 255);
  await qm('start', '210');
  await until('cloud-init', 5, async () => (await there('homelab', 'true')).code === 0);
  same('root may not', (await there('root', 'true')).code, 255);
  if (canChangeUser()) same('a user is no root', (await there('homelab', 'touch /etc/x')).code, 1);
  same(
    'a script goes on after sudo',
    (
      await run(
        'ssh',
        ['-o', 'StrictHostKeyChecking=accept-new', 'homelab@192.168.1.30', 'bash -s'],
        'sudo true\nsudo -n cat <<< one\necho two\n',
      )
    ).stdout,
    'one\ntwo\n',
  );
  same('sudo', (await there('homelab', "sudo -n sh -c 'id -u > /etc/x; cat /etc/x'")).stdout, '0\n');
  const [boot, again] = [
    (await there('homelab', 'cat /proc/sys/kernel/random/boot_id')).stdout,
    () => there('homelab', 'cat /proc/sys/kernel/random/boot_id'),
  ];
  await there('homelab', 'sudo reboot');
  await until('it reboots', 5, async () => {
    const { code, stdout } = await again();
    return code === 0 && stdout !== boot;
  });
  await onHost('reboot');
  await until(
    'the host reboots',
    5,
    async () => simulation.state.host.boots === 2 && (await onHost('true')).code === 0,
  );
  holds('what starts at boot', (await qm('status', '201')).stdout, 'running');
  holds('what does not', (await qm('status', '210')).stdout, 'stopped');
}

let simulation: Simulation;

async function main(): Promise<void> {
  const { sops, ageKeygen } = sopsBinaries();
  simulation = await Simulation.start(join(folder, 's'), {
    host: { address: HOST },
    shim: shim(),
    talosMachinery: talosMachinery(),
    real: { sops, 'age-keygen': ageKeygen },
    kubeconfig: () => 'the kubeconfig\n',
    onNodes: (nodes) => {
      joined = nodes;
    },
  });
  try {
    for (const part of [shells, downloads, machines, kills, talos, ubuntu]) {
      const begin = Date.now();
      await part();
      console.log(`${part.name}: ${Date.now() - begin} ms`);
    }
    holds('a real program', (await run('age-keygen', [])).stdout, 'AGE-SECRET-KEY');
    same('nothing unexpected', simulation.unexpected, []);
  } finally {
    await simulation.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
  tally.close();
}

void main();
