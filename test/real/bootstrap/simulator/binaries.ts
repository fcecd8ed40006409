import { join, resolve } from 'node:path';
import { built, builtFromSource } from '../../modules';

const MODULES = resolve(__dirname, 'go');

export interface SopsBinaries {
  readonly sops: string;
  readonly ageKeygen: string;
  readonly age: string;
}

export function sopsBinaries(): SopsBinaries {
  const folder = join(MODULES, 'sops');
  const age = (program: string) => built(folder, 'filippo.io/age', `filippo.io/age/cmd/${program}`, program, []);
  const module = 'github.com/getsops/sops/v3';
  return {
    sops: built(folder, module, `${module}/cmd/sops`, 'sops', []),
    ageKeygen: age('age-keygen'),
    age: age('age'),
  };
}

/** The part of talosctl that needs no cluster: gen secrets, gen config, machineconfig patch and validate. */
export function talosMachinery(): string {
  return builtFromSource(join(MODULES, 'talos'), 'talos-machinery');
}

/** The stand-in for the programs that reach hosts, which the tests put first on the PATH. */
export function shim(): string {
  return builtFromSource(resolve(__dirname, 'shim'), 'shim');
}
