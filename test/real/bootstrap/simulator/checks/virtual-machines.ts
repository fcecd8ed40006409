import { join } from 'node:path';
import type { Bench } from './bench';

const TALOS = ['--serial0', 'socket', '--agent', 'enabled=0', '--boot', 'order=scsi0', '--ide0', 'local-lvm:cloudinit'];

/** What qm, pvesm and pvesh keep of virtual machines and their disks. */
export async function virtualMachines(bench: Bench): Promise<void> {
  const { tally, folder, onHost, qm, same, holds, simulation } = bench;
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
  await create(bench, '200', 'talos-cp-01', '192.168.1.20', '02:00:00:00:02:00');
  await create(
    bench,
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
  bench: Bench,
  vmid: string,
  name: string,
  address: string,
  mac: string,
  ...more: readonly string[]
): Promise<void> {
  const { qm, same } = bench;
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
