import { proxmox, machinesOn, type Context } from '../../clients/context';
import { json } from '../../engine/json';
import { Blocked } from '../../engine/problem';
import { vmOf, type Vm } from '../../../machines/vms';
import { diskTaken, SHARE_OF_STORAGE } from '../../../inventory';
import { guests, id, nodeName, readConfig } from '../../clients/proxmox/guests';
import { unexpectedOutput, volumes } from '../../clients/proxmox/volumes';

/** Judgements before something is allocated or started: nothing is changed when one of them stops. */

/** Percent of a thin pool, of its data or metadata, from which nothing more is allocated. */
const FULL = 85;
/** @throws Stop when the disks of all our machines do not fit besides what others have, or the pool is nearly full */
export async function assertRoom(context: Context, vm: Vm): Promise<void> {
  const { host, storage } = vm;
  const { total, used } = await storageStatus(context, vm);
  const ours = machinesOn(context, host).map(([name]) => vmOf(context.homelab, name));
  const ids = new Set(ours.map(({ vmid }) => vmid));
  const others = (await volumes(context, vm)).filter(({ vmid }) => vmid === undefined || !ids.has(vmid));
  const sum = (sizes: readonly number[]) => sizes.reduce((all, each) => all + each, 0);
  const wanted = sum(ours.map(({ machine }) => diskTaken(machine)));
  const taken = sum(others.map(({ size }) => size ?? 0));
  const limit = total * SHARE_OF_STORAGE;
  if (wanted + taken > limit)
    throw new Blocked(
      `${storage} on ${host} has ${gib(total)}, of which disks may have ${gib(limit)} (${SHARE_OF_STORAGE * 100} %): those of homelab.ts have ${gib(wanted)}, those of others ${gib(taken)}; make disks in homelab.ts smaller, or remove what is not needed (pvesm list ${storage})`,
    );
  const full = (used / total) * 100;
  if (full > FULL) throw new Blocked(tooFull(vm, 'data', full));
  for (const [what, percent] of Object.entries(await poolUse(context, vm)))
    if (percent > FULL) throw new Blocked(tooFull(vm, what, percent));
}

function tooFull({ storage, host }: Vm, what: string, percent: number): string {
  return `${storage} on ${host} must be at most ${FULL} % full before a disk is made on it, and its ${what} is ${percent.toFixed(1)} %; remove what is not needed (pvesm list ${storage}), or make it larger (lvextend)`;
}

/** In bytes. */
async function storageStatus(context: Context, { host, storage }: Vm): Promise<{ total: number; used: number }> {
  const argv = ['pvesm', 'status', '--storage', storage];
  const { stdout } = await context.commands.read(proxmox(context, host), argv, { recent: true });
  const row = stdout.split('\n').find((each) => each.trim().split(/\s+/)[0] === storage);
  const [, , status, total, used] = row?.trim().split(/\s+/) ?? [];
  if (status === undefined) throw unexpectedOutput(argv.join(' '), stdout);
  if (status !== 'active')
    throw new Blocked(`${storage} on ${host} must be active, and is ${status}; see pvesm status`);
  if (!/^[1-9]\d*$/.test(total ?? '') || !/^\d+$/.test(used ?? '')) throw unexpectedOutput(argv.join(' '), row!);
  return { total: Number(total) * 1024, used: Number(used) * 1024 };
}

/** Percent of data and metadata where the storage is a thin pool of LVM; nothing elsewhere. */
async function poolUse(context: Context, { host, storage }: Vm): Promise<Readonly<Record<string, number>>> {
  const place = proxmox(context, host);
  const argv = ['pvesh', 'get', '/storage', '--output-format', 'json'];
  const { stdout } = await context.commands.read(place, argv, { recent: true });
  const config = (json(stdout, 'pvesh get /storage') as any[]).find?.((each) => each?.storage === storage);
  if (config === undefined) throw unexpectedOutput('pvesh get /storage', stdout);
  if (config.type !== 'lvmthin') return {};
  const fields = 'vg_name,lv_name,lv_size,data_percent,metadata_percent';
  const lvs = ['lvs', '--reportformat', 'json', '--units', 'b', '--nosuffix', '-o', fields];
  const rows = json((await context.commands.read(place, lvs, { recent: true })).stdout, 'lvs')?.report?.[0]?.lv;
  if (!Array.isArray(rows)) throw unexpectedOutput('lvs', JSON.stringify(rows));
  const isIt = (row: any) => row.vg_name === config.vgname && row.lv_name === config.thinpool;
  const pool =
    rows.find(isIt) ?? (config.thinpool === undefined ? rows.find((row) => row.metadata_percent) : undefined);
  const data = Number.parseFloat(pool?.data_percent);
  const metadata = Number.parseFloat(pool?.metadata_percent);
  if (!Number.isFinite(data) || !Number.isFinite(metadata)) throw unexpectedOutput('lvs', JSON.stringify(pool ?? rows));
  return { data, metadata };
}

/** @throws Stop when another guest has this machine's network address already */
export async function assertMacIsFree(context: Context, vm: Vm): Promise<void> {
  const { mac } = vm.machine;
  const place = proxmox(context, vm.host);
  const others = (await guests(context, vm.host)).filter(({ vmid }) => vmid !== vm.vmid);
  // `qm config` knows the machines of its own node only.
  const here = others.length > 0 ? await nodeName(context, vm.host) : '';
  for (const { vmid, type, node } of others) {
    const config =
      type === 'qemu' && node === here
        ? await readConfig(context, place, vmid)
        : json(
            (
              await context.commands.read(place, [
                'pvesh',
                'get',
                `/nodes/${node}/${type}/${vmid}/config`,
                '--output-format',
                'json',
              ])
            ).stdout,
            `pvesh get /nodes/${node}/${type}/${vmid}/config`,
          );
    const card = Object.keys(config).find(
      (key) => /^net\d+$/.test(key) && String(config[key]).toLowerCase().includes(mac),
    );
    if (card !== undefined)
      throw new Blocked(
        `${mac} of ${id(vm)} must be free, and guest ${vmid} (${config.name ?? config.hostname ?? 'no name'}) has it as ${card}; change one of the two`,
      );
  }
}

/** While the VM does not run, nobody may answer at its address. */
export async function assertAddressIsFree(context: Context, vm: Vm): Promise<void> {
  const { address } = vm.machine;
  // 1: no answer. 2: also none, as the host has no way there yet.
  const argv = ['ping', '-c', '1', '-W', '1', address];
  const { code } = await context.commands.read(proxmox(context, vm.host), argv, { accepts: [0, 1, 2] });
  if (code === 0)
    throw new Blocked(
      `${address} must be free for ${id(vm)}, which does not run, and something answers there; find it (ip neigh show ${address}), and give one of the two another address`,
    );
}

function gib(size: number): string {
  return `${(size / 1024 ** 3).toFixed(0)} GiB`;
}
