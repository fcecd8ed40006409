import homelab from '../fixtures/homelab';
import { Commands, type CommandOptions, type Output, type Target } from '../../scripts/engine/commands';
import { Log } from '../../scripts/engine/log';
import { machineVm, parseGuests, proxmoxHost } from '../../scripts/clients/proxmox/host';
import { parseThinPools } from '../../scripts/clients/proxmox/storage';
import { parseConfig, parseStatus as parseVmStatus } from '../../scripts/clients/proxmox/vm';

/** Answers as Proxmox 9.2 does, by the beginning of a command. */
class Answers extends Commands {
  readonly changed: string[] = [];

  constructor(private readonly said: Readonly<Record<string, Partial<Output>>>) {
    super(new Log());
    this.changing = true;
  }

  override async read(_: Target, argv: readonly string[], { accepts = [0] }: CommandOptions = {}): Promise<Output> {
    const output = this.answer(argv);
    if (!accepts.includes(output.code)) throw new Error(`${argv.join(' ')} ended with ${output.code}`);
    return output;
  }

  override async change(_: Target, argv: readonly string[]): Promise<Output> {
    this.changed.push(argv.join(' '));
    return this.answer(argv);
  }

  private answer(argv: readonly string[]): Output {
    const said = Object.entries(this.said).find(([begin]) => argv.join(' ').startsWith(begin))?.[1];
    return { stdout: '', stderr: '', code: 0, ...said };
  }
}

describe('rejects output that Proxmox does not print', () => {
  test('qm config', () => {
    expect(() => parseConfig('', 201)).toThrow("must print the VM's settings, but it printed none");
    expect(() => parseConfig('%%\n', 201)).toThrow(/must print KEY: VALUE, but it printed "%%"/);
  });

  test('qm status', () => {
    expect(['running', 'io-error', 'paused'].map((each) => parseVmStatus(`status: ${each}\n`, 201))).toEqual([
      'running',
      'io-error',
      'paused',
    ]);
    expect(() => parseVmStatus('', 201)).toThrow('qm status 201 must name a status, but it printed ""');
  });

  test('lvs', () => {
    const lv = [
      { vg_name: 'pve', lv_name: 'data', lv_size: '1000', data_percent: '3.10', metadata_percent: '0.45' },
      { vg_name: 'pve', lv_name: 'root', lv_size: '10', data_percent: '', metadata_percent: '' },
    ];
    expect(parseThinPools(JSON.stringify({ report: [{ lv }] }), 'lvs')).toEqual({
      'pve/data': { size: 1000, data: 3.1, metadata: 0.45 },
    });
    expect(() => parseThinPools('{}', 'lvs')).toThrow(/^lvs must print its usual format/);
  });

  test('guests of the cluster, which leave out storage', () => {
    expect(parseGuests('[{"type":"storage"}]', 'proxmox')).toEqual([]);
    expect(() => parseGuests('[{"type":"qemu"}]', 'proxmox')).toThrow(/must give each guest of proxmox a vmid/);
  });
});

test('reports a missing VM with the command that creates it', async () => {
  const stderr = "Configuration file 'nodes/pve/qemu-server/201.conf' does not exist\n";
  const vm = machineVm({ homelab, commands: new Answers({ 'qm status': { code: 2, stderr } }) }, 'talos-worker-01');
  await expect(vm.status()).rejects.toThrow(
    'VM 201 (talos-worker-01) on proxmox does not exist. To create it:\n  npm run bootstrap -- apply vms',
  );
});

test('an action shows its command and its machine', async () => {
  const commands = new Answers({ 'qm status': { stdout: 'status: running\n' } });
  const host = proxmoxHost({ homelab, commands }, 'proxmox');
  const vm = host.vm(201);
  const actions = [
    vm.set({ memory: '4096' }, { ignoreLock: true }),
    vm.unset(['hostpci0', 'hostpci1']),
    vm.resize('virtio1', 100 * 1024 ** 3),
    vm.start(),
    vm.shutdown(450),
    vm.destroy({ ignoreLock: true }),
    host.disks.free('local-lvm:vm-201-disk-1'),
    host.files.setContent(['iso', 'import']),
  ];
  for (const action of actions) await action.run(() => undefined);
  expect(actions.flatMap(({ lines }) => lines)).toEqual(commands.changed.map((each) => `proxmox: ${each}`));
  expect(commands.changed).toContain('qm set 201 --skiplock 1 --memory 4096');
});
