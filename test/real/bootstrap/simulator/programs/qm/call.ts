import type { State, Vm } from '../../state';
import { Failure, type Context } from '../program';

type Options = Readonly<Record<string, string>>;

/** One call of qm: its options, the machine that it is about, and what it prints. */
export class QmCall {
  readonly state: State;
  out = '';

  constructor(
    readonly context: Context,
    readonly vmid: number,
    readonly options: Options,
  ) {
    this.state = context.state;
  }

  vm(): Vm {
    const vm = this.state.vms[this.vmid];
    if (vm) return vm;
    const path = `nodes/${this.state.host.name}/qemu-server/${this.vmid}.conf`;
    throw new Failure(`Configuration file '${path}' does not exist`, 2);
  }

  unlocked(): Vm {
    const vm = this.vm();
    if (vm.config.lock && this.options.skiplock !== '1') throw new Failure(`VM is locked (${vm.config.lock})`, 255);
    return vm;
  }

  unprotected(vm: Vm, what: string): void {
    if (vm.config.protection === '1') throw new Failure(`${what} - protection mode enabled`, 255);
  }
}
