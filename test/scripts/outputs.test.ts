import * as fs from 'node:fs';
import { join } from 'node:path';
import { parseGuests } from '../../scripts/clients/proxmox/host';
import { drive } from '../../scripts/clients/proxmox/settings';
import { parseVolumes } from '../../scripts/clients/proxmox/storage';
import { firstNote, hasHostDevice, isOurs, parseConfig, parsePending } from '../../scripts/clients/proxmox/vm';
import { parseResources, parseServiceState, parseVersion } from '../../scripts/clients/talos';
import { versionsIn } from '../../scripts/stages/talos/configuration';

const GIB = 1024 ** 3;

/** Output of a real program. outputs/README.md lists the programs. */
function output(file: string): string {
  return fs.readFileSync(join(__dirname, 'outputs', file), 'utf8');
}

describe('Proxmox', () => {
  test('qm config', () => {
    const config = parseConfig(output('proxmox/qm-config.txt'), 201);
    expect(Object.keys(config)).toHaveLength(33);
    expect(config).toMatchObject({
      boot: 'order=scsi0',
      meta: 'creation-qemu=11.0.0,ctime=1786000000',
      vga: 'serial0',
    });
    expect(firstNote(config)).toBe('collab-homelab talos-worker-01');
    expect([isOurs(config, 'talos-worker-01'), isOurs(config, 'other')]).toEqual([true, false]);
    expect(hasHostDevice(config)).toBe(true);
    expect(['scsi0', 'virtio1', 'virtio2', 'efidisk0', 'unused0'].map((slot) => drive(config[slot]!).size)).toEqual([
      60 * GIB,
      100 * GIB,
      51204 * 1024 ** 2,
      4 * 1024 ** 2,
      undefined,
    ]);
    expect(drive(config.virtio1!)).toMatchObject({
      volume: 'local-lvm:vm-201-disk-2',
      options: { discard: 'on', iothread: '1', serial: 'cassandra-r1-0' },
    });
  });

  test('qm pending: a changed value, a new setting, and a removed one', () => {
    expect([...parsePending(output('proxmox/qm-pending.txt'))].sort()).toEqual(['hostpci0', 'memory', 'virtio3']);
  });

  test('pvesm list: also volumes without a size, with an estimated one, and names with spaces', () => {
    expect(parseVolumes(output('proxmox/pvesm-list.txt'), 'pvesm list local-lvm')).toEqual([
      { id: 'local-lvm:vm-201-cloudinit', type: 'images', size: 4 * 1024 ** 2, vmid: 201 },
      { id: 'local-lvm:vm-201-disk-1', type: 'images', size: 60 * GIB, vmid: 201 },
      { id: 'local-lvm:vm-201-disk-2', type: 'images', size: 100 * GIB, vmid: 201 },
      { id: 'local-lvm:subvol-300-disk-0', type: 'rootdir', size: undefined, vmid: 300 },
    ]);
    expect(parseVolumes(output('proxmox/pvesm-list-files.txt'), 'pvesm list local')).toEqual([
      {
        id: 'local:backup/vzdump-qemu-201-2026_08_01-02_00_00.vma.zst',
        type: 'backup',
        size: 1234567890,
        vmid: 201,
      },
      { id: 'local:iso/Windows 11 (x64).iso', type: 'iso', size: 5819484160, vmid: undefined },
      { id: 'local:iso/netboot.iso', type: 'iso', size: 395314, vmid: undefined },
      { id: 'local:import/talos-v1.13.9.raw', type: 'import', size: 4194304000, vmid: undefined },
      { id: 'local:snippets/201.yaml', type: 'snippets', size: 312, vmid: undefined },
    ]);
  });

  test('pvesm list of a folder, with an invalid line', () => {
    const text = `${output('proxmox/pvesm-list-files.txt')}nonsense\n`;
    expect(() => parseVolumes(text, 'pvesm list local')).toThrow(
      /must print its usual format, but it printed "nonsense"/,
    );
  });

  test('pvesh get /cluster/resources: also a guest without figures', () => {
    expect(parseGuests(output('proxmox/pvesh-cluster-resources.txt'), 'proxmox')).toEqual([
      { type: 'qemu', vmid: 201, node: 'pve' },
      { type: 'lxc', vmid: 300, node: 'pve' },
      { type: 'qemu', vmid: 400, node: 'other' },
    ]);
  });
});

describe('talosctl', () => {
  const resources = (kind: string) => parseResources(output(`talosctl/get-${kind}.txt`), `talosctl get ${kind}`);

  test('version names the release of the node, not that of the client', () => {
    const text = output('talosctl/version.txt');
    expect(parseVersion(text, '192.168.1.21')).toBe('v1.13.9');
    expect(parseVersion(text.replace('v1.13.9', 'v1.12.0'), '192.168.1.21')).toBe('v1.13.9');
    expect(() => parseVersion(text.slice(0, text.indexOf('Server:')), '192.168.1.21')).toThrow(/must name the version/);
  });

  test('service etcd', () => {
    expect(parseServiceState(output('talosctl/service.txt'), 'etcd')).toBe('Running');
  });

  test('get disks', () => {
    expect(resources('disks').map(({ spec }) => [spec.dev_path, spec.serial, spec.size])).toEqual([
      ['/dev/sda', undefined, 60 * GIB],
      ['/dev/sr0', undefined, 0],
      ['/dev/vda', 'cassandra-r1-0', 100 * GIB],
    ]);
  });

  test('get links: an unknown address is empty', () => {
    expect(resources('links').map(({ spec }) => [spec.permanentAddr, spec.hardwareAddr])).toEqual([
      ['02:00:00:00:02:01', '02:00:00:00:02:01'],
      ['', ''],
    ]);
  });

  test('get volumestatus', () => {
    expect(resources('volumestatus').map(({ metadata, spec }) => [metadata.id, spec.phase, spec.errorMessage])).toEqual(
      [
        ['u-cassandra-r1-0', 'ready', undefined],
        ['u-mongodb-0', 'failed', 'no disks matched for volume'],
      ],
    );
  });

  test('get machinestatus', () => {
    expect(resources('machinestatus').map(({ spec }) => spec.stage)).toEqual(['shutting down']);
  });

  test('get machineconfig: a text of several YAML documents', () => {
    const [config] = resources('machineconfig');
    expect(config.metadata.id).toBe('v1alpha1');
    expect(versionsIn(config.spec)).toEqual(['v1.36.3']);
  });
});
