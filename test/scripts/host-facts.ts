export const GIB = 2 ** 30;
export const storages = [
  {
    storage: 'local',
    type: 'dir',
    content: 'iso,backup',
    active: 1,
    enabled: 1,
    total: 94 * GIB,
    used: 6 * GIB,
    avail: 88 * GIB,
  },
  {
    storage: 'local-lvm',
    type: 'lvmthin',
    content: 'images,rootdir',
    active: 1,
    enabled: 1,
    total: 1720 * GIB,
    used: 0,
    avail: 1720 * GIB,
  },
];
export const pool = (data: number, metadata: number) =>
  JSON.stringify({
    report: [
      {
        lv: [
          { vg_name: 'pve', lv_name: 'data', lv_size: '1', data_percent: `${data}`, metadata_percent: `${metadata}` },
          { vg_name: 'pve', lv_name: 'root', lv_size: '1', data_percent: '', metadata_percent: '' },
        ],
      },
    ],
  });
export const pci = (iommu = true) =>
  [
    ['0000:01:00.0', 'Ethernet controller [0200]', 'Realtek [10ec]', 'RTL8125 [8125]', 'r8169', 12],
    ['0000:c5:00.0', 'VGA compatible controller [0300]', 'AMD [1002]', 'HawkPoint1 [1900]', 'amdgpu', 16],
    ['0000:c5:00.1', 'Audio device [0403]', 'AMD [1002]', 'HD Audio [1640]', 'snd_hda_intel', 17],
    ['0000:c6:00.1', 'Signal processing controller [1180]', 'AMD [1022]', 'AMD IPU Device [1502]', 'amdxdna', 20],
  ]
    .map(([slot, kind, vendor, device, driver, group]) =>
      [
        `Slot:\t${slot}`,
        `Class:\t${kind}`,
        `Vendor:\t${vendor}`,
        `Device:\t${device}`,
        `Driver:\t${driver}`,
        `Module:\t${driver}`,
        ...(iommu ? [`IOMMUGroup:\t${group}`] : []),
      ].join('\n'),
    )
    .join('\n\n');
export const links = (name = 'nic0') =>
  JSON.stringify([
    { ifname: 'lo', link_type: 'loopback' },
    {
      ifname: name,
      link_type: 'ether',
      address: '84:47:09:00:00:01',
      master: 'vmbr0',
      linkinfo: { info_slave_kind: 'bridge' },
    },
    { ifname: 'wlp4s0', link_type: 'ether', address: '84:47:09:00:00:09' },
    { ifname: 'vmbr0', link_type: 'ether', address: '84:47:09:00:00:01', linkinfo: { info_kind: 'bridge' } },
  ]);
export const LINK =
  '## /usr/local/lib/systemd/network/50-pmx-nic0.link\n[Match]\nMACAddress=84:47:09:00:00:01\nType=ether\n\n[Link]\nName=nic0\n';

/** Output of host-facts.sh on the host of homelab.ts. */
export const SAID: Readonly<Record<string, string>> = {
  pveversion: 'pve-manager/9.2.11/5ac30304265fbd8e (running kernel: 6.17.4-1-pve)',
  node: 'pve',
  kernels: 'config-6.17.4-1-pve\nvmlinuz-6.17.2-1-pve\nvmlinuz-6.17.4-1-pve',
  pinnedKernel: '',
  cmdline: 'BOOT_IMAGE=/vmlinuz root=/dev/pve ro quiet',
  bootId: '11111111-2222-3333-4444-555555555555',
  status: JSON.stringify({ memory: { total: 92.2 * GIB, free: 90 * GIB }, cpuinfo: { model: 'AMD Ryzen 7 8845HS' } }),
  model: 'GMKtec\nNucBox K8 Plus',
  carveOut: '',
  arcMaximum: '',
  pci: pci(),
  vfio: '/lib/modules/x/vfio-pci.ko',
  links: links(),
  linkFiles: LINK,
  interfaces: 'iface nic0 inet manual\nauto vmbr0\niface vmbr0 inet static\n\tbridge-ports nic0',
  interfacesNew: '',
  interfacesMore: '',
  pinningTool: '/usr/bin/pve-network-interface-pinning',
  pinning: '',
  storages: JSON.stringify(storages),
  storageConfig: JSON.stringify([
    { storage: 'local-lvm', type: 'lvmthin', content: 'images,rootdir', vgname: 'pve', thinpool: 'data' },
    { storage: 'local', type: 'dir', content: 'iso,backup' },
  ]),
  volumes: 'Volid Format Type Size VMID',
  pools: pool(5, 1),
  guests: '[]',
  digests: '',
  kernelOptions: '',
  bootTool: '',
  grub: '/etc/default/grub',
  updateGrub: '/usr/sbin/update-grub',
  booted: '',
  armed: '',
  undone: '',
  undoTimer: '',
  rebootRequired: '',
};
