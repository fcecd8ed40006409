import { proxmoxCommand } from '../../command-line';
import { stopVm } from '../../life';
import { free, readVolumeFile } from '../../storage';
import { inItsTask } from '../pvesm';
import { Failure, program, Unexpected } from '../program';
import { QmCall } from './call';
import { customSnippets, fileOf, text, withPending, writeConfigs } from './config';
import { importDisk, resize } from './drives';
import { create, set, unlink } from './settings';
import { shutdown, start, wait } from './power';
import { dump, guest, list, pending, status } from './output';

export const qm = [
  program(
    ['proxmox'],
    ['qm'],
    async (context) => {
      const { command, positional, options } = proxmoxCommand('qm', context.call.argv);
      const before = structuredClone(context.state.vms);
      const volumes = structuredClone(context.state.volumes);
      try {
        const stdout = await run(new QmCall(context, Number(positional[0]), options), command, positional);
        // kvm, which runs on.
        return { stdout, leaves: command === 'start' };
      } catch (error) {
        if (command === 'disk resize' && error instanceof Failure) return inItsTask(error.message);
        // Proxmox frees what a failed call has made.
        if (['create', 'set', 'disk import'].includes(command)) Object.assign(context.state, { vms: before, volumes });
        throw error;
      } finally {
        writeConfigs(context.simulation);
      }
    },
    ({ call, state, simulation }) => {
      const { command, positional } = proxmoxCommand('qm', call.argv);
      if (command === 'create') state.vms[positional[0]!] ??= { config: { lock: 'create' }, pending: {} };
      if (command === 'destroy' && state.vms[positional[0]!]) state.vms[positional[0]!]!.config.lock = 'destroyed';
      writeConfigs(simulation);
    },
  ),
];

async function run(call: QmCall, command: string, positional: readonly string[]): Promise<string> {
  const { simulation } = call.context;
  switch (command) {
    case 'list':
      return list(call);
    case 'create':
      create(call);
      break;
    case 'set':
      set(call, call.vm());
      break;
    case 'config':
      return text(call.options.current === '1' ? call.vm().config : withPending(call.vm()));
    case 'pending':
      return pending(call);
    case 'status':
      return status(call);
    case 'start':
      start(call);
      break;
    case 'stop':
      call.unlocked();
      stopVm(simulation, call.vmid);
      break;
    case 'shutdown':
      await shutdown(call, call.options.timeout, call.options.forceStop === '1');
      break;
    case 'reboot':
      if (call.vm().startedAt === undefined) throw new Failure(`VM ${call.vmid} not running`, 255);
      await shutdown(call, call.options.timeout, false);
      start(call);
      break;
    case 'wait':
      return wait(call);
    case 'destroy':
      destroy(call);
      break;
    case 'unlock':
      delete call.vm().config.lock;
      break;
    case 'disk import':
      importDisk(call, positional[1]!, positional[2]!);
      break;
    case 'disk resize':
      resize(call, positional[1]!, positional[2]!);
      break;
    case 'disk unlink':
      unlink(call);
      break;
    case 'disk rescan':
      return 'rescan volumes...\n';
    case 'cloudinit update':
      for (const id of customSnippets(call.vm())) readVolumeFile(simulation, id);
      return 'generating cloud-init ISO\n';
    case 'cloudinit dump':
      return dump(call, positional[1]!);
    case 'showcmd':
      return `/usr/bin/kvm -id ${call.vmid} -name '${call.vm().config.name}' ...\n`;
    case 'guest cmd':
      return guest(call, positional[1]!);
    default:
      throw new Unexpected('no such subcommand');
  }
  return call.out;
}

function destroy(call: QmCall): void {
  const vm = call.vm();
  call.unprotected(vm, `can't remove VM ${call.vmid}`);
  if (vm.startedAt !== undefined) throw new Failure(`VM ${call.vmid} is running - destroy failed`, 255);
  if (vm.config.lock !== 'destroyed') call.unlocked();
  const owned = Object.values(withPending(vm)).map(fileOf);
  for (const id of Object.keys(call.state.volumes)) {
    const mine = call.state.volumes[id]!.vmid === call.vmid;
    if (!mine || !(owned.includes(id) || call.options['destroy-unreferenced-disks'] === '1')) continue;
    free(call.state, id);
    call.out += `  Logical volume "${id.split(':')[1]}" successfully removed.\n`;
  }
  if (call.options.purge === '1') call.out += `purging VM ${call.vmid} from related configurations..\n`;
  Reflect.deleteProperty(call.state.vms, call.vmid);
}
