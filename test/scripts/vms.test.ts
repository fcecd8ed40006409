import * as fs from 'node:fs';
import { Duration, Size } from 'cdk8s';
import homelab from '../fixtures/homelab';
import { downSeconds, type Homelab, type TalosMachine } from '../../inventory';
import type { Context } from '../../scripts/clients/context';
import { execute, planStage, shownLines, type Step } from '../../scripts/engine/step';
import { NEW_DRIVE, QM, renderVms, vmOf } from '../../machines/vms';
import { vms } from '../../scripts/stages/vms';
import { differences, drive, withOptions } from '../../scripts/clients/proxmox/settings';
import { isEmptyShell } from '../../scripts/clients/proxmox/vm';
import { Killed, Proxmox } from './proxmox';

// Parsing all of dist/ for each of hundreds of plans would take a minute.
jest.mock('../../scripts/clients/context', () => ({
  ...jest.requireActual('../../scripts/clients/context'),
  manifests: () => [{ file: 'cassandra/statefulset.yaml', object: { spec: { terminationGracePeriodSeconds: 120 } } }],
}));

const quiet = () => undefined;
const GIB = 1024 ** 3;

const WORKER = 201;

/** The steps of one machine. */
async function stepsOf(context: Context, name: string): Promise<Step[]> {
  const steps = await vms(context).steps();
  return steps.filter(({ title }) => title.includes(name) && !title.startsWith('/'));
}

async function apply(context: Context, name = 'talos-worker-01'): Promise<string[][]> {
  const planned = await planStage({ name: 'vms', title: '', steps: () => stepsOf(context, name) });
  for (const each of planned) await execute(each, quiet);
  return planned.map(({ change }) => (change === undefined ? [] : shownLines(change)));
}

async function made(): Promise<{ proxmox: Proxmox; context: Context }> {
  const proxmox = new Proxmox();
  const context = proxmox.context();
  await apply(context);
  proxmox.changed.length = 0;
  return { proxmox, context };
}

describe('a missing VM', () => {
  test('is created as in scripts/rendered/, one command per step, and then left alone', async () => {
    const proxmox = new Proxmox();
    const context = proxmox.context();
    await apply(context);
    const vm = vmOf(homelab, 'talos-worker-01');
    expect(proxmox.changed).toEqual(
      [
        QM.create(vm.vmid, vm.settings),
        QM.set(vm.vmid, NEW_DRIVE.efi(vm)),
        QM.set(vm.vmid, NEW_DRIVE.system(vm)),
        QM.resize(WORKER, 'scsi0', 60 * 1024 ** 3),
        QM.set(vm.vmid, NEW_DRIVE.cloudInit(vm)),
        ...vm.dataDisks.map((disk) => QM.set(vm.vmid, NEW_DRIVE.data(vm, disk, disk.slot))),
        QM.start(WORKER),
      ].map((argv) => argv.join(' ')),
    );
    expect(proxmox.vms[WORKER]!.virtio2).toBe(
      'local-lvm:vm-201-disk-3,backup=0,cache=none,discard=on,iothread=1,serial=cassandra-r2-0,size=100G',
    );
    expect(await apply(context)).toEqual([]);
  });

  test.each<[string, (proxmox: Proxmox) => void, RegExp]>([
    ['its address answers', (on) => on.answering.add('192.168.1.21'), /192\.168\.1\.21 must be free/],
    [
      'another guest has its MAC',
      (on) => (on.vms[300] = { name: 'x', net0: 'virtio=02:00:00:00:02:01,bridge=vmbr0' }),
      /guest 300 \(x\) has it as net0/,
    ],
    [
      'there are disks of a lost VM',
      (on) => (on.volumes['local-lvm:vm-201-disk-4'] = 1024 ** 3),
      /no such VM: local-lvm:vm-201-disk-4\. They may hold the data/,
    ],
    [
      'the storage is too small',
      (on) => (on.total = 900 * 1024 ** 3),
      /the disks of proxmox fit into 90 % of local-lvm: 1060 GiB of 810 GiB; make disks smaller/,
    ],
    [
      'the pool is full',
      (on) => (on.metadata = '85.10'),
      /has the storage local-lvm: .*metadata 85 % full; free or add space/,
    ],
    [
      'an answer is nonsense',
      (on) => (on.says['pvesm list'] = '%%'),
      /pvesm list local-lvm must print its usual format/,
    ],
    ['an answer is empty', (on) => (on.says['lvs'] = ''), /lvs must answer with JSON/],
    [
      'the name of the host is nonsense',
      (on) => {
        on.vms[300] = { name: 'x' };
        on.says['cat /etc/hostname'] = '%%';
      },
      /\/etc\/hostname on proxmox must hold its name/,
    ],
    [
      'it is on another node, on which all guests are',
      (on) => (on.says['pvesh get /cluster'] = '[{"type":"qemu","vmid":201,"node":"other"}]'),
      /VM 201 .* must be on this host, but it is on other/,
    ],
    ['the list of guests is nonsense', (on) => (on.says['pvesh get /cluster'] = '{}'), /must list the guests/],
  ])('is not created when %s', async (_, arrange, message) => {
    const proxmox = new Proxmox();
    arrange(proxmox);
    await expect(apply(proxmox.context())).rejects.toThrow(message);
    expect(proxmox.changed).toEqual([]);
  });

  test('is created beside a backup of an earlier VM, which is not one of its disks', async () => {
    const proxmox = new Proxmox();
    proxmox.says['pvesm list'] = fs.readFileSync('test/scripts/outputs/proxmox/pvesm-list-files.txt', 'utf8');
    const planned = await planStage({
      name: 'vms',
      title: '',
      steps: async () => (await stepsOf(proxmox.context(), 'talos-worker-01')).slice(0, 1),
    });
    expect(shownLines(planned[0]!.change!).join()).toContain('qm create 201');
  });

  // Proxmox sets the UUID and generation of a VM only when it creates the VM.
  test.each([{ lock: 'create' }, { lock: 'create', meta: 'creation-qemu=10.1.2' }, { lock: 'destroyed' }])(
    'is made again when nothing but %j is there',
    async (shell) => {
      const proxmox = new Proxmox();
      proxmox.vms[WORKER] = { ...shell } as never;
      const context = proxmox.context();
      const [first] = await apply(context);
      expect(first![0]).toBe('its creation was interrupted at the start: it is created again');
      expect(proxmox.changed.slice(0, 2)).toEqual([
        'qm destroy 201 --skiplock 1 --purge 1',
        QM.create(WORKER, vmOf(homelab, 'talos-worker-01').settings).join(' '),
      ]);
      expect(await apply(context)).toEqual([]);
    },
  );

  test('is not recreated if a disk with data may belong to an incomplete VM', async () => {
    const proxmox = new Proxmox();
    proxmox.vms[WORKER] = { lock: 'create' };
    proxmox.volumes['local-lvm:vm-201-disk-4'] = 100 * GIB;
    await expect(apply(proxmox.context())).rejects.toThrow(/vm-201-disk-4\. They may hold the data/);
    expect(proxmox.changed).toEqual([]);
  });

  test.each(['scsi0', 'virtio1', 'unused0', 'efidisk0', 'name'])('is not an incomplete VM when it has %s', (key) => {
    expect(isEmptyShell({ lock: 'create' })).toBe(true);
    expect(isEmptyShell({ lock: 'create', [key]: 'local-lvm:vm-201-disk-0,size=1G' })).toBe(false);
  });

  test('is completed if its creation was interrupted at the end', async () => {
    const proxmox = new Proxmox();
    const { settings } = vmOf(homelab, 'talos-worker-01');
    proxmox.vms[WORKER] = { lock: 'create', name: settings.name!, description: settings.description! };
    const context = proxmox.context();
    const [first] = await apply(context);
    expect(first![0]).toBe('its creation was interrupted: it is completed');
    expect(proxmox.changed.slice(0, 2)).toEqual([expect.stringContaining('--skiplock 1 --'), 'qm unlock 201']);
    expect(await apply(context)).toEqual([]);
  });

  test('loses the leftover of an interrupted copy of its system disk', async () => {
    const proxmox = new Proxmox();
    const context = proxmox.context();
    proxmox.vms[WORKER] = { ...vmOf(homelab, 'talos-worker-01').settings };
    proxmox.volumes['local-lvm:vm-201-disk-0'] = 8 * 1024 ** 3;
    await apply(context);
    expect(proxmox.changed[0]).toBe('pvesm free local-lvm:vm-201-disk-0');
    expect(Object.keys(proxmox.volumes)).toHaveLength(6);
  });
});

describe('a VM that was recreated by hand, before its volumes are attached', () => {
  test.each<[string, string, Record<string, number>]>([
    ['its system disk', 'ai-vm', { 'disk-1': 300 * GIB }],
    [
      'a system disk that homelab.ts has made larger since',
      'talos-cp-01',
      { 'disk-1': 30 * GIB, cloudinit: 4 * 1024 ** 2 },
    ],
    ['all of them', 'talos-cp-01', { 'disk-0': 4 * 1024 ** 2, 'disk-1': 40 * GIB, cloudinit: 4 * 1024 ** 2 }],
  ])('keeps %s', async (_, name, left) => {
    const proxmox = new Proxmox();
    const { vmid, settings } = vmOf(homelab, name);
    proxmox.vms[vmid] = { ...settings };
    for (const [volume, size] of Object.entries(left)) proxmox.volumes[`local-lvm:vm-${vmid}-${volume}`] = size;
    await expect(apply(proxmox.context(), name)).rejects.toThrow(
      new RegExp(
        `has volumes on local-lvm that are not attached: .*they may hold data[^]*qm disk rescan --vmid ${vmid}`,
      ),
    );
    expect(proxmox.changed).toEqual([]);
  });
});

describe('an existing VM', () => {
  test('is shown field by field; asks before a change that needs a restart', async () => {
    const { proxmox, context } = await made();
    proxmox.vms[WORKER]!.memory = '20480';
    proxmox.vms[WORKER]!.protection = '0';
    const [planned] = await planStage({ name: 'vms', title: '', steps: () => stepsOf(context, 'talos-worker-01') });
    expect(shownLines(planned!.change!)).toEqual([
      'memory: 20480 -> 22528',
      'protection: 0 -> 1',
      'proxmox: qm set 201 --memory 22528 --protection 1',
    ]);
    expect(planned!.change!.asks).toEqual([
      expect.stringMatching(
        /^VM 201 .* runs, so these settings change at its next stop and start \(npm run bootstrap -- maintenance talos-worker-01 stop\): memory\./,
      ),
    ]);
  });

  test('gets another network card at once; asks only while it runs', async () => {
    const { proxmox, context } = await made();
    proxmox.vms[WORKER]!.memory = '20480';
    proxmox.vms[WORKER]!.net0 = 'virtio=02:00:00:00:09:09,bridge=vmbr0';
    const asks = async () => (await planStage({ name: 'vms', title: '', steps: () => stepsOf(context, 'talos-worker-01') }))[0]!.change?.asks; // prettier-ignore
    expect(await asks()).toEqual([
      expect.stringMatching(/^VM 201 .* runs, and its network card is exchanged at once: net0\./),
      expect.stringMatching(/: memory\. Nothing is stopped now/),
    ]);
    proxmox.running.clear();
    expect(await asks()).toBeUndefined();
  });

  test('stops the stage when it stays locked; waits and reports that once', async () => {
    const { proxmox, context } = await made();
    proxmox.vms[WORKER]!.lock = 'backup';
    const said = jest.spyOn(console, 'error').mockImplementation();
    jest.useFakeTimers();
    try {
      const stopped = expect(apply(context)).rejects.toThrow(
        /is locked \(backup\), and was for 60 s[^]*qm unlock 201$/,
      );
      await jest.advanceTimersByTimeAsync(70_000);
      await stopped;
      expect(said.mock.calls).toEqual([[expect.stringMatching(/^waiting for VM 201 .* to be unlocked/)]]);
    } finally {
      jest.useRealTimers();
      said.mockRestore();
    }
    expect(proxmox.changed).toEqual([]);
  });

  test.each<[string, (config: Record<string, string>) => void, RegExp]>([
    ['is called otherwise', (vm) => (vm.name = 'other'), /must be ours.*Its name is "other"/],
    ['has not our mark', (vm) => delete vm.description, /must be ours.*notes begin with ""/],
    [
      'has a disk without a place',
      (vm) => (vm.unused0 = 'local-lvm:vm-201-disk-9'),
      /has a detached disk, unused0: local-lvm/,
    ],
    [
      'has a serial that nobody knows while one is missing',
      (vm) => (vm.virtio1 = vm.virtio1!.replace('cassandra-r1-0', 'x')),
      /virtio1 .* must have a serial of homelab.ts, but it has x, and the disk cassandra-r1-0 is missing/,
    ],
    [
      'has one serial twice',
      (vm) => (vm.virtio9 = vm.virtio1!.replace('disk-2', 'disk-9')),
      /serial cassandra-r1-0 must belong to one disk, but virtio1 and virtio9/,
    ],
    ['would have to shrink', (vm) => (vm.virtio1 = vm.virtio1!.replace('100G', '200G')), /cannot shrink: it has 200G/],
    ['lost its system disk', (vm) => delete vm.scsi0, /must have a system disk \(scsi0\), as it has virtio1/],
  ])('stops the stage when it %s', async (_, arrange, message) => {
    const { proxmox, context } = await made();
    arrange(proxmox.vms[WORKER]!);
    await expect(apply(context)).rejects.toThrow(message);
    expect(proxmox.changed).toEqual([]);
  });

  test('grows, and keeps its volume when an option changes', async () => {
    const { proxmox, context } = await made();
    proxmox.vms[WORKER]!.virtio1 = proxmox.vms[WORKER]!.virtio1!.replace('100G', '50G');
    proxmox.volumes['local-lvm:vm-201-disk-2'] = 50 * GIB;
    proxmox.vms[WORKER]!.virtio2 = proxmox.vms[WORKER]!.virtio2!.replace('cache=none', 'cache=writeback,mbps=100');
    await apply(context);
    expect(proxmox.changed).toEqual([
      'qm disk resize 201 virtio1 100G',
      'qm set 201 --virtio2 local-lvm:vm-201-disk-3,backup=0,cache=none,discard=on,iothread=1,mbps=100,serial=cassandra-r2-0',
    ]);
  });

  test('gets its disk size written again if its volume has grown but its settings were not written', async () => {
    const { proxmox, context } = await made();
    const before = proxmox.vms[WORKER]!.virtio1!;
    proxmox.vms[WORKER]!.virtio1 = before.replace('100G', '50G').replace('cache=none', 'cache=none,mbps=9');
    const lines = await apply(context);
    expect(lines).toEqual([
      [
        'virtio1: local-lvm:vm-201-disk-2 has 100G, but the settings still say 50G: they are written again',
        'talos-worker-01 may see the new size only after a stop and a start of the VM',
        'proxmox: qm set 201 --virtio1 local-lvm:vm-201-disk-2,backup=0,cache=none,discard=on,iothread=1,mbps=9,serial=cassandra-r1-0',
      ],
    ]);
    expect(proxmox.vms[WORKER]!.virtio1).toMatch(/,mbps=9,.*,size=100G$/);
    expect(await apply(context)).toEqual([]);
  });

  test('stops with the output of a command that failed with exit code 0; a warning stops nothing', async () => {
    const { proxmox, context } = await made();
    proxmox.vms[WORKER]!.virtio1 = proxmox.vms[WORKER]!.virtio1!.replace('100G', '50G');
    proxmox.volumes['local-lvm:vm-201-disk-2'] = 50 * GIB;
    proxmox.failing['qm disk resize'] = 'VM is locked (backup)\n';
    await expect(apply(context)).rejects.toThrow(
      'proxmox: qm disk resize 201 virtio1 100G ended with 0, but changed nothing. It said: VM is locked (backup)',
    );
    const fresh = new Proxmox();
    fresh.vms[WORKER] = { ...vmOf(homelab, 'talos-worker-01').settings };
    fresh.volumes['local-lvm:vm-201-disk-0'] = 8 * GIB;
    fresh.failing['pvesm free'] = 'lvremove failed\n';
    await expect(apply(fresh.context())).rejects.toThrow(
      /pvesm free .*disk-0 ended with 0, but changed nothing\. It said: lvremove/,
    );
    expect(fresh.changed).toEqual(['pvesm free local-lvm:vm-201-disk-0']);
    const warned = new Proxmox();
    jest.spyOn(warned, 'change').mockImplementation(async (place, argv) => ({
      ...(await Proxmox.prototype.change.call(warned, place, argv)),
      stderr: 'perl: warning: Setting locale failed.\n',
    }));
    await apply(warned.context());
    expect(await apply(warned.context())).toEqual([]);
  });

  test('may have settings with an underscore in their names', async () => {
    const { proxmox, context } = await made();
    Object.assign(proxmox.vms[WORKER]!, { migrate_speed: '100', spice_enhancements: 'foldersharing=0' });
    expect(await apply(context)).toEqual([]);
  });

  test.each(['efidisk0', 'scsi0', 'ide0'])(
    'must be stopped to get %s, which its host started without it',
    async (slot) => {
      const proxmox = new Proxmox();
      const context = proxmox.context();
      proxmox.kill = { at: { efidisk0: 1, scsi0: 2, ide0: 4 }[slot]!, when: 'before' };
      await expect(apply(context)).rejects.toThrow(Killed);
      proxmox.kill = undefined;
      proxmox.changed.length = 0;
      proxmox.running.add(WORKER);
      await expect(apply(context)).rejects.toThrow(
        new RegExp(`must be stopped before it gets its ${slot}, but it is running[^]* qm stop 201 [^]*run this again`),
      );
      expect(proxmox.changed).toEqual([]);
      proxmox.running.clear();
      await apply(context);
      expect([...proxmox.running]).toEqual([WORKER]);
    },
  );

  test('gets a missing disk in a free slot, in any order of homelab.ts', async () => {
    const { proxmox, context } = await made();
    const machine = homelab.machines['talos-worker-01'] as TalosMachine;
    const dataDisks = { 'cassandra-r4-0': Size.gibibytes(10), ...machine.dataDisks };
    const more: Homelab = {
      ...homelab,
      machines: { ...homelab.machines, 'talos-worker-01': { ...machine, dataDisks } },
    };
    await apply({ ...context, homelab: more });
    expect(proxmox.changed).toEqual([
      expect.stringMatching(/^qm set 201 --virtio0 local-lvm:10,.*serial=cassandra-r4-0$/),
    ]);
  });

  test('uses an empty volume of an interrupted allocation, and stops at a volume with data', async () => {
    const { proxmox, context } = await made();
    delete proxmox.vms[WORKER]!.virtio3;
    proxmox.written.add('local-lvm:vm-201-disk-4');
    await expect(apply(context)).rejects.toThrow(/not attached: local-lvm:vm-201-disk-4 \(100G\)\. They may hold data/);
    proxmox.written.clear();
    await apply(context);
    expect(proxmox.changed).toEqual([
      'qm set 201 --virtio3 local-lvm:vm-201-disk-4,backup=0,cache=none,discard=on,iothread=1,serial=cassandra-r3-0',
    ]);
  });

  test('is not started by this stage if it has a GPU', async () => {
    const { proxmox, context } = await made();
    proxmox.running.clear();
    proxmox.vms[WORKER]!.hostpci0 = '0000:c5:00.0';
    expect(await apply(context)).toEqual([]);
  });
});

test('after a kill at any command, the next run finishes and creates nothing twice', async () => {
  const whole = new Proxmox();
  await apply(whole.context());
  const sizes = (of: Proxmox) => Object.values(of.volumes).sort();
  const settings = (of: Proxmox) => JSON.stringify(of.vms).replace(/disk-\d/g, 'disk');
  let kills = 0;
  for (let at = 0; at < whole.changed.length; at++)
    for (const when of ['before', 'during', 'after'] as const) {
      const proxmox = new Proxmox();
      proxmox.kill = { at, when };
      await expect(apply(proxmox.context())).rejects.toThrow(Killed);
      proxmox.kill = undefined;
      await apply(proxmox.context());
      const found = [settings(proxmox), sizes(proxmox), [...proxmox.running]];
      expect([at, when, ...found]).toEqual([at, when, settings(whole), sizes(whole), [WORKER]]);
      expect(await apply(proxmox.context())).toEqual([]);
      kills++;
    }
  expect(kills).toBe(27);
});

test('a shutdown may take the time of pods and sandboxes, plus a margin', () => {
  const down = (name: string, of = homelab) => downSeconds(of, of.machines[name]!);
  expect([down('talos-cp-01'), down('talos-worker-01'), down('ai-vm')]).toEqual([270, 450, 180]);
  const talos = { ...homelab.talos, shutdownGracePeriod: Duration.seconds(400) };
  expect(down('talos-worker-01', { ...homelab, talos })).toBe(640);
  expect(down('talos-cp-01', { ...homelab, talos: { ...talos, scheduleOnControlPlanes: true } })).toBe(640);
});

test('a grace period of the kubelet that is shorter than that of a pod stops the stage', async () => {
  const talos = { ...homelab.talos, shutdownGracePeriod: Duration.seconds(149) };
  await expect(vms(new Proxmox().context({ ...homelab, talos })).steps()).rejects.toThrow(
    /must be at least 150 s, but it is 149 s: cassandra\/.* takes up to 120 s/,
  );
});

test('compares settings by their meaning', () => {
  const config = {
    memory: 'current=22528',
    net0: 'bridge=vmbr0,virtio=02:00:00:00:02:0A',
    agent: '0',
    description: 'a%0Amine',
  };
  const wanted = {
    memory: '22528',
    net0: 'virtio=02:00:00:00:02:0a,bridge=vmbr0',
    agent: 'enabled=0',
    description: 'a',
  };
  expect(differences(config, wanted)).toEqual([]);
  expect(differences({ cores: '4' }, { cores: '6', cpu: 'host' })).toEqual([
    { key: 'cores', from: '4', to: '6' },
    { key: 'cpu', from: undefined, to: 'host' },
  ]);
  expect(drive('local-lvm:vm-1-disk-0,serial=a,size=528K')).toEqual({
    ...{ volume: 'local-lvm:vm-1-disk-0', options: { serial: 'a' }, size: 528 * 1024 },
  });
  expect(withOptions(drive('s:v,b=1,size=1G'), { a: '2' })).toBe('s:v,a=2,b=1');
});

test('a shell can read the rendered files, which contain every machine', () => {
  const files = renderVms(homelab);
  expect([...files.keys()]).toEqual([
    'proxmox/vms/200-talos-cp-01.sh',
    'proxmox/vms/201-talos-worker-01.sh',
    'proxmox/vms/202-talos-worker-02.sh',
    'proxmox/vms/210-ai-vm.sh',
  ]);
  const ai = files.get('proxmox/vms/210-ai-vm.sh')!;
  expect(ai).not.toMatch(/hostpci|--agent/);
  expect(ai).toContain('user=local:snippets/collab-homelab-ai-vm-user.yaml');
});
