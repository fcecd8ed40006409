import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import homelab from '../fixtures/homelab';
import { destroy } from '../../scripts/commands/destroy';
import type { Context } from '../../scripts/clients/context';
import { Declined } from '../../scripts/engine/problem';
import { execute, type PlannedStep } from '../../scripts/engine/step';
import { vmOf } from '../../machines/vms';
import { Killed, Proxmox } from './proxmox';

// Silences its progress output.
jest.mock('../../scripts/commands/plan', () => ({
  async executeAll({ commands }: Context, planned: readonly PlannedStep[]) {
    commands.changing = true;
    for (const each of planned) await execute(each, () => undefined);
  },
}));

const folder = fs.mkdtempSync(join(tmpdir(), 'destroy-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));
let said: string[];
beforeEach(() => {
  said = [];
  jest.spyOn(console, 'log').mockImplementation((line: string) => void said.push(line));
});

const NAME = 'talos-worker-01';
const SERIALS = ['cassandra-r1-0', 'cassandra-r2-0', 'cassandra-r3-0'];

function machine(): Proxmox {
  const proxmox = new Proxmox();
  const vm = vmOf(homelab, NAME);
  const config: Record<string, string> = { ...vm.settings, scsi0: 'local-lvm:vm-201-disk-1,size=60G' };
  for (const [index, { slot, options }] of vm.dataDisks.entries())
    config[slot] = `local-lvm:vm-201-disk-${index + 2},${options},size=100G`;
  proxmox.vms[201] = config;
  for (let number = 1; number <= 4; number++) proxmox.volumes[`local-lvm:vm-201-disk-${number}`] = 1;
  proxmox.running.add(201);
  return proxmox;
}

/** The owner types what is in `names`, and agrees. */
function context(proxmox: Proxmox, names: readonly string[]): Context & { asked: string[] } {
  const asked: string[] = [];
  const ask = {
    agree: async () => undefined,
    async typed(_: string, name: string) {
      asked.push(name);
      if (!names.includes(name)) throw new Declined(name);
    },
  };
  return { ...proxmox.context(), ask, asked } as never;
}

test('asks for every name before it removes anything', async () => {
  const all = ['without backup', NAME, ...SERIALS];
  for (const missing of all) {
    const proxmox = machine();
    const here = context(proxmox, all.filter((name) => name !== missing)); // prettier-ignore
    await expect(destroy(here, ['vms'])).rejects.toThrow(Declined);
    expect(proxmox.changed).toEqual([]);
  }
  const proxmox = machine();
  const here = context(proxmox, all);
  await destroy(here, ['vms']);
  expect(here.asked).toEqual(all);
  expect(said[0]).toMatch(/virtio1 +local-lvm:vm-201-disk-2 +100\.00 GiB +cassandra-r1-0/);
  expect(proxmox.changed).toEqual([
    'qm shutdown 201 --timeout 450',
    'qm set 201 --protection 0',
    'qm destroy 201 --purge 1',
  ]);
  expect(proxmox.volumes).toEqual({});
});

test('a recent valid backup replaces the confirmation', async () => {
  const names = [NAME, ...SERIALS];
  const file = join(folder, 'backup', 'dump.gz');
  await expect(destroy(context(machine(), names), ['vms', join(folder, 'none')])).rejects.toThrow(
    /a backup must be at/,
  );
  fs.mkdirSync(join(folder, 'backup'));
  fs.writeFileSync(file, '');
  await expect(destroy(context(machine(), names), ['vms', join(folder, 'backup')])).rejects.toThrow(
    /no file with content/,
  );
  fs.writeFileSync(file, 'x');
  fs.utimesSync(file, 0, Date.now() / 1000 - 25 * 3600);
  await expect(destroy(context(machine(), names), ['vms', file])).rejects.toThrow(/younger than a day.*25 h old/);
  fs.utimesSync(file, 0, Date.now() / 1000 - 3600);
  const proxmox = machine();
  await destroy(context(proxmox, names), ['vms', join(folder, 'backup')]);
  expect(proxmox.vms).toEqual({});
});

test('leaves a VM without our mark alone', async () => {
  const proxmox = machine();
  proxmox.vms[201]!.description = 'mine';
  await destroy(context(proxmox, ['without backup', NAME, ...SERIALS]), ['vms']);
  expect(said[0]).toMatch(/does not have our mark; it stays unchanged/);
  expect(proxmox.changed).toEqual([]);
});

test('leaves a VM on another node of the cluster alone', async () => {
  const proxmox = machine();
  proxmox.says['pvesh get /cluster'] = '[{"type":"qemu","vmid":201,"node":"other"}]';
  await destroy(context(proxmox, []), ['vms']);
  expect(said[0]).toMatch(/is on other; it stays unchanged/);
  expect(proxmox.changed).toEqual([]);
});

test('after a kill at any command, the next run finishes', async () => {
  const names = ['without backup', NAME, ...SERIALS];
  for (let at = 0; at < 3; at++)
    for (const when of ['before', 'during', 'after'] as const) {
      const proxmox = machine();
      proxmox.kill = { at, when };
      await expect(destroy(context(proxmox, names), ['vms'])).rejects.toThrow(Killed);
      proxmox.kill = undefined;
      await destroy(context(proxmox, names), ['vms']);
      expect([at, when, proxmox.vms]).toEqual([at, when, {}]);
    }
});

test('rejects stages that others depend on, with the steps by hand', async () => {
  for (const stage of ['keys', 'host', 'talos', 'ai-vm', 'models', 'secrets', 'gitops'])
    await expect(destroy(context(machine(), []), [stage])).rejects.toThrow(/cannot be destroyed by this command: /);
  // Without labels, a reset also wipes the boot loader.
  await expect(destroy(context(machine(), []), ['talos'])).rejects.toThrow(
    'npm run bootstrap -- talosctl NODE -- reset --graceful=false --reboot --system-labels-to-wipe=STATE',
  );
  await expect(destroy(context(machine(), []), ['x'])).rejects.toThrow(/allowed: ai-vm, gitops, host, images/);
});
