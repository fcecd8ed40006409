import * as fs from 'node:fs';
import { Size } from 'cdk8s';
import { remedy } from '../../scripts/commands/doctor-machines';
import { Blocked } from '../../scripts/engine/problem';
import { hostFiles, renderHosts } from '../../machines/host';
import { roomForImages } from '../../machines/images';
import { host } from '../../scripts/stages/host';
import { sha256 } from '../../scripts/engine/digests';
import { madeOf } from '../../scripts/stages/host/boot';
import { handedOver } from '../../scripts/stages/host/devices';
import { parseFacts } from '../../scripts/clients/proxmox/facts';
import { hostFindings, unexpectedReboot } from '../../scripts/stages/host/findings';
import { pinning, pinState } from '../../scripts/stages/host/network-cards';
import type { Homelab, ProxmoxHost } from '../../inventory';
import owners from '../fixtures/homelab';
import { GIB, LINK, links, pci, pool, SAID, storages } from './host-facts';
import { Told } from './ubuntu';

const facts = (said: Record<string, string> = {}) => parseFacts(JSON.stringify({ ...SAID, ...said }), 'proxmox');
const withHost = (host: Partial<ProxmoxHost>): Homelab => ({
  ...owners,
  hosts: { ...owners.hosts, proxmox: { ...(owners.hosts.proxmox as ProxmoxHost), ...host } },
});
const bad = (said: Record<string, string> = {}, homelab: Homelab = owners) =>
  hostFindings(homelab, 'proxmox', facts(said))
    .filter(({ state }) => state === 'bad')
    .map(({ what, saw }) => `${what}: ${saw}`);

describe('what stops the host stage', () => {
  test('nothing, on the host of homelab.ts', () => {
    expect(bad()).toEqual([]);
  });

  const status = (total: number) => JSON.stringify({ memory: { total: total * GIB, free: 0 } });
  test.each([
    ['another major version', { pveversion: SAID.pveversion!.replace('/9.2.11', '/8.4.1') }, 'pve-manager/8.4.1'],
    ['less memory', { status: status(62) }, 'Linux has 62 GiB'],
    ['more memory', { status: status(125) }, 'Linux has 125 GiB'],
    ['a larger carve-out', { status: status(90.2) }, 'takes about 4.4 GiB'],
    ['a larger carve-out, as amdgpu says', { carveOut: `${8 * GIB}` }, 'takes about 8 GiB'],
    ['another model', { model: 'Dell Inc.\nOptiPlex 7010' }, 'Dell Inc. OptiPlex 7010'],
    ['no IOMMU', { pci: pci(false) }, 'no device is in an IOMMU group'],
    [
      'a shared IOMMU group',
      { pci: pci().replace('IOMMUGroup:\t12', 'IOMMUGroup:\t16') },
      'group 16 also holds 0000:01:00.0',
    ],
    ['a kernel without VFIO', { vfio: '' }, 'has no vfio_pci'],
    ['no GPU', { pci: pci().replace('[1002]', '[8086]') }, 'lspci shows no graphics of AMD'],
    ['no boot loader', { grub: '', updateGrub: '' }, 'neither GRUB nor systemd-boot'],
    ['no bridge', { links: links().replace(/vmbr0/g, 'vmbr7') }, 'its bridges: vmbr7'],
    ['no storage', { storages: JSON.stringify(storages.slice(0, 1)) }, 'its storages: local'],
    ['a full folder', { storages: JSON.stringify([{ ...storages[0], avail: 1000 }, storages[1]]) }, '0 GiB are free'],
    ['full data', { pools: pool(86, 1) }, 'data 86 % full'],
    ['full metadata', { pools: pool(1, 90) }, 'metadata 90 % full'],
    [
      'volumes of others',
      { volumes: 'Volid Format Type Size VMID\nlocal-lvm:vm-900-disk-0 raw images 858993459200 900' },
      '1 volumes of others included',
    ],
    [
      'machines of others',
      { guests: '[{"vmid":900,"name":"x","status":"running","maxmem":17179869184,"node":"pve"}]' },
      '900 x included',
    ],
    ['a boot that was undone', { undone: '2026-01-01T00:00:00Z' }, 'it was undone at 2026-01-01T00:00:00Z'],
  ])('%s', (_, said, saw) => {
    expect(bad(said)).toEqual([expect.stringContaining(saw)]);
  });

  test('a machine without Proxmox', () => {
    expect(() => bad({ pveversion: '' })).toThrow(/must be a Proxmox host, and pveversion is not there/);
  });

  test('machines that need more than the host has', () => {
    expect(bad({}, withHost({ reserve: Size.gibibytes(16) }))).toEqual([expect.stringContaining('99.2 GiB of 96 GiB')]);
  });

  test('a placeholder of the maker is no model name, and a warning stops nothing', () => {
    expect(bad({ model: 'Default string\nTo be filled by O.E.M.' })).toEqual([]);
    expect(bad({ pools: pool(75, 1) })).toEqual([]);
  });
});

describe('an invalid answer', () => {
  test.each(
    Object.keys(SAID).filter((key) =>
      [
        'volumes',
        'pveversion',
        'bootId',
        'status',
        'pci',
        'links',
        'storages',
        'storageConfig',
        'pools',
        'guests',
      ].includes(key),
    ),
  )('%s', (key) => {
    for (const nonsense of ['\u0001 %% {"nonsense": [<<<', '{"a":1}', '[3]'])
      expect(() => facts({ [key]: nonsense })).toThrow(Blocked);
  });
});

describe('names of network cards', () => {
  const state = (said: Record<string, string>) => pinState(facts(said).network).state;
  const OLD = SAID.interfaces!.replace(/nic0/g, 'enp1s0');
  test('are pinned only if the next boot finds the same names in /etc/network/interfaces', () => {
    expect(state({})).toBe('pinned');
    expect(state({ linkFiles: '' })).toBe('open');
    // The tool wrote link files, and was interrupted before interfaces.new.
    expect(state({ links: links('enp1s0'), interfaces: OLD })).toBe('unsafe');
    expect(state({ links: links('enp1s0'), interfaces: OLD, pinning: '/var/lib/collab-homelab/pinning' })).toBe('half');
    expect(state({ links: links('enp1s0'), interfaces: OLD, interfacesNew: SAID.interfaces! })).toBe('pinned');
  });

  // As the documentation of Proxmox describes.
  const BY_HAND = '## /etc/systemd/network/10-enwan0.link\n[Match]\nMACAddress=84-47-09-00-00-01\n[Link]\nName=NAME\n';
  const two = JSON.stringify([
    ...JSON.parse(links('enp1s0')),
    { ifname: 'enp2s0', link_type: 'ether', address: '84:47:09:00:00:02' },
  ]);

  test('come from the first file by name, in any folder', () => {
    const name = (linkFiles: string) => facts({ linkFiles }).network.cards[0]!.pinned;
    const byHand = BY_HAND.replace('NAME', 'enwan0');
    expect(name(`${byHand.replace('10-', '60-')}${LINK}`)).toBe('nic0');
    expect(name(`${LINK}${byHand}`)).toBe('enwan0');
    // In /etc, empty or a link to /dev/null.
    expect(name(`## /etc/systemd/network/50-pmx-nic0.link\n\n${LINK}`)).toBeUndefined();
  });

  test('stay manual if the owner pinned one by hand, because the tool of Proxmox does not know it', () => {
    const linkFiles = BY_HAND.replace('NAME', 'enp1s0');
    const { network } = facts({ links: two, interfaces: OLD, linkFiles });
    expect(pinning('proxmox', network)).toEqual(['84:47:09:00:00:02 stays enp2s0']);
    const half = { links: two, interfaces: OLD, linkFiles, pinning: '/var/lib/collab-homelab/pinning' };
    expect(() => pinning('proxmox', facts(half).network)).toThrow(/10-enwan0\.link on proxmox must not pin enp1s0/);
  });

  test('of a card in a bridge must exist at the next boot, also if the card keeps its name', () => {
    const linkFiles = BY_HAND.replace('NAME', 'enp1s0');
    const staged = { links: links('enp1s0'), interfaces: OLD, interfacesNew: SAID.interfaces!, linkFiles };
    expect(state(staged)).toBe('unsafe');
    expect(state({ ...staged, interfacesNew: '' })).toBe('pinned');
    expect(state({ ...staged, interfaces: '', interfacesNew: '', interfacesMore: OLD })).toBe('pinned');
    const other = facts({
      links: links('enp1s0'),
      linkFiles: '',
      pinningTool: '',
      interfaces: 'bridge-ports enx844709000001',
    });
    expect(() => pinning('proxmox', other.network)).toThrow(
      /enp1s0 on proxmox must stand in \/etc\/network\/interfaces/,
    );
  });

  test('are not pinned after a file that may match the card without a name', () => {
    const wake =
      '## /etc/systemd/network/10-wol.link\n[Match]\nMACAddress=84:47:09:00:00:01\n[Link]\nWakeOnLan=magic\n';
    const plan = (linkFiles: string) =>
      pinning('proxmox', facts({ links: links('enp1s0'), interfaces: OLD, linkFiles }).network);
    expect(() => plan(wake)).toThrow(/10-wol\.link on proxmox must say MACAddress= and Name=/);
    expect(() => plan(wake.replace(/MACAddress=.*/, 'Driver=r8169'))).toThrow(/10-wol\.link/);
    for (const harmless of [wake.replace('00:01', '00:07'), wake.replace('10-wol', '90-wol')])
      expect(plan(harmless)![0]).toBe('pve-network-interface-pinning generate');
  });

  test('stay unchanged if Proxmox has no tool for it', () => {
    const { network } = facts({ links: links('enp1s0'), interfaces: OLD, linkFiles: '', pinningTool: '' });
    expect(pinning('proxmox', network)).toEqual(['84:47:09:00:00:01 stays enp1s0']);
    const { network: early } = facts({ links: links('eth0'), interfaces: OLD, linkFiles: '', pinningTool: '' });
    expect(() => pinning('proxmox', early)).toThrow('eth0');
  });
});

test('lspci of a real machine: devices without a driver, a module or a group', () => {
  const functions = facts({ pci: fs.readFileSync('test/scripts/outputs/lspci.txt', 'utf8') }).pci;
  expect(functions.slice(0, 3)).toEqual([
    {
      slot: '0000:00:00.0',
      kind: '0600',
      vendor: '8086',
      device: '0d57',
      name: 'Intel Corporation Device',
      modules: [],
    },
    {
      slot: '0000:00:01.0',
      kind: 'ffff',
      vendor: '1af4',
      device: '1045',
      name: 'Red Hat, Inc. Virtio 1.0 memory balloon',
      driver: 'virtio-pci',
      modules: [],
    },
    {
      slot: '0000:00:02.0',
      kind: '0180',
      vendor: '1af4',
      device: '1042',
      name: 'Red Hat, Inc. Virtio 1.0 block device',
      driver: 'virtio-pci',
      modules: [],
    },
  ]);
});

test('doctor requires free space of the size of the images', () => {
  const needed = roomForImages(owners, Object.values(owners.machines));
  expect(needed).toBe(10 * GIB);
  const of = (avail: number) =>
    hostFindings(owners, 'proxmox', facts({ storages: JSON.stringify([{ ...storages[0], avail }, storages[1]]) })).find(
      ({ what }) => what === 'proxmox has the storage local',
    );
  expect(of(needed)?.state).toBe('good');
  expect(of(needed - GIB)).toMatchObject({ state: 'warning', fix: expect.stringContaining('need up to 10 GiB') });
});

describe('a reboot that is not ours', () => {
  test.each([
    ['a newer kernel', { kernels: 'vmlinuz-6.17.4-1-pve\nvmlinuz-6.17.13-1-pve' }, '6.17.13-1-pve'],
    ['another pinned kernel', { pinnedKernel: '6.14.8-2-pve' }, '6.14.8-2-pve'],
    ['staged changes of the network', { interfacesNew: `${SAID.interfaces}\nauto vmbr1` }, 'interfaces.new'],
  ])('%s', (_, said, why) => {
    expect(unexpectedReboot(facts(said))).toContain(why);
  });
  test('is not reported if names wait for the boot, or the running kernel is pinned', () => {
    expect(unexpectedReboot(facts())).toBeUndefined();
    expect(
      unexpectedReboot(facts({ links: links('enp1s0'), interfaces: 'x enp1s0', interfacesNew: SAID.interfaces! })),
    ).toBeUndefined();
    expect(unexpectedReboot(facts({ kernels: 'vmlinuz-6.17.9-1-pve', pinnedKernel: '6.17.4-1-pve' }))).toBeUndefined();
  });
});

test('a boot that was undone during the wait has the same message as in the next run', async () => {
  let [bootId, undone] = [SAID.bootId!, ''];
  const commands = new Told({
    'proxmox/host-facts.sh': () => JSON.stringify({ ...SAID, bootId, undone }),
    'systemctl reboot': () => ([bootId, undone] = ['99999999-2222-3333-4444-555555555555', '2026-01-01T00:00:00Z'])[0]!,
    boot_id: () => bootId,
  });
  const steps = await host(commands.context()).steps();
  const reboot = steps.find(({ title }) => title === 'proxmox was booted with all of that')!;
  const [action] = (await reboot.plan())!.actions!;
  await expect(action!.run(() => undefined)).rejects.toThrow(
    /^the last boot .*: it was undone at 2026-01-01T00:00:00Z.*rm .*undone there/,
  );
});

describe('a host after its files were written', () => {
  const [FIRST, SECOND] = [SAID.bootId!, '99999999-2222-3333-4444-555555555555'];
  const PCI = pci().replace(/Driver:\t(amdgpu|snd_hda_intel)/g, 'Driver:\tvfio-pci');
  const OPTIONS = 'iommu=pt initcall_blacklist=sysfb_init';
  const withNpu = {
    ...owners,
    machines: { ...owners.machines, 'ai-vm': { ...owners.machines['ai-vm']!, npu: true } },
  } as Homelab;
  const files: Readonly<Record<string, string>> = {
    ...Object.fromEntries(hostFiles(owners, 'proxmox')),
    '/etc/modprobe.d/collab-homelab-ids.conf':
      '# Managed by the bootstrap of the homelab: what this host has.\noptions vfio-pci ids=1002:1900,1002:1640\n',
  };
  const digests = Object.entries(files)
    .map(([path, text]) => `${sha256(text)}  ${path}`)
    .join('\n');
  const made = madeOf(facts({ digests }));
  /** In its second boot, with everything from the files. */
  const finished = { bootId: SECOND, pci: PCI, cmdline: OPTIONS, digests, booted: `${made} ${FIRST}` };
  const step = async (title: string, said: Record<string, string>, homelab: Homelab = owners) => {
    const commands = new Told({
      'proxmox/host-facts.sh': JSON.stringify({ ...SAID, ...said }),
      'proxmox/vbios.sh': '',
    });
    const steps = await host(commands.context(homelab)).steps();
    return { commands, step: steps.find((each) => each.title.includes(title))! };
  };
  const reboot = async (said: Record<string, string>, homelab: Homelab = owners) =>
    (await (await step('was booted', said, homelab)).step.plan())?.lines;

  test('needs no reboot after it booted with them', async () => {
    expect(await reboot(finished)).toBeUndefined();
  });

  test('reports a useless reboot only if nothing is left to write, and warns of the undo', async () => {
    const inVain = { ...finished, cmdline: 'quiet', armed: FIRST };
    await expect(reboot(inVain)).rejects.toThrow(/was booted since its files were written.*\nuntil that is solved/);
    await expect(reboot({ ...inVain, armed: '' })).rejects.toThrow(
      /had no effect.*To make them again: rm .* there, then apply host$/,
    );
    expect(await reboot(finished, withNpu)).toEqual([
      'reboot for: boot loader and initramfs are made again; 0000:c6:00.1 goes from amdxdna to vfio-pci',
    ]);
    const card = JSON.stringify([
      ...JSON.parse(links()),
      { ifname: 'enx1', link_type: 'ether', address: '84:47:09:00:00:02' },
    ]);
    const names = ['reboot for: network cards get the names that stay'];
    expect(await reboot({ ...finished, links: card })).toEqual(names);
    const linkFiles = `${LINK}${LINK.replace(/nic0/g, 'nic1').replace('00:01', '00:02')}`;
    expect(await reboot({ ...finished, links: card, linkFiles, armed: SECOND })).toEqual(names);
  });

  test('reboots for an initramfs of this boot, and keeps the undo armed until then', async () => {
    const said = { ...finished, booted: `${made} ${SECOND}`, armed: SECOND };
    expect(await reboot(said)).toEqual(['reboot for: boot loader and initramfs are made again']);
    const { step: last } = await step('is switched off', said);
    await expect(last.plan()).rejects.toThrow('must be done first');
  });

  test.each([
    ['confirms a boot with them', `${made} ${FIRST}`, /^confirm/, /^proxmox\/undo-confirm\.sh/],
    ['keeps the copies after a boot without them', '', /the copies of the old ones stay/, /^proxmox\/undo-arm\.sh/],
    ['keeps them also when older ones were made', `other ${FIRST}`, /came back without/, /^proxmox\/undo-arm\.sh/],
  ])('%s', async (_, booted, line, script) => {
    const { commands, step: first } = await step('the last boot', { ...finished, booted, armed: FIRST });
    const change = (await first.plan())!;
    expect(change.lines).toEqual([expect.stringMatching(line)]);
    for (const action of change.actions!) await action.run(() => undefined);
    expect(commands.changed).toEqual([expect.stringMatching(script)]);
  });
});

describe('a device for passthrough', () => {
  test('is found by its kind', () => {
    const npu = {
      ...owners,
      machines: { ...owners.machines, 'ai-vm': { ...owners.machines['ai-vm']!, npu: true } },
    } as Homelab;
    const found = handedOver(npu, 'proxmox', facts());
    expect([found.gpu?.slot, found.audio?.slot, found.npu?.slot]).toEqual([
      '0000:c5:00.0',
      '0000:c5:00.1',
      '0000:c6:00.1',
    ]);
    expect(hostFiles(npu, 'proxmox').get('/etc/modprobe.d/collab-homelab.conf')).not.toContain('blacklist amdxdna');
  });

  test('a host whose machines need no GPU gets only the way back', () => {
    const { gpu: _, ...plain } = owners.machines['ai-vm'] as any;
    const without = { ...owners, machines: { ...owners.machines, 'ai-vm': plain } } as Homelab;
    expect([...renderHosts(without).keys()].every((path) => path.includes('undo'))).toBe(true);
    expect(bad({ pci: pci(false), vfio: '', grub: '' }, without)).toEqual([]);
  });
});

test('doctor gives the fix for a machine without login', () => {
  const at = { name: 'proxmox', ssh: { user: 'root', address: '192.168.1.10' } };
  expect(remedy(at, 'No ED25519 host key is known for 192.168.1.10\nHost key verification failed.')).toContain(
    'fingerprint',
  );
  expect(remedy(at, '@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.')).toContain(
    'ssh-keygen -R',
  );
  expect(remedy(at, 'root@192.168.1.10: Permission denied (publickey).')).toContain('ssh-copy-id');
});
