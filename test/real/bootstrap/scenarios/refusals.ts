import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Tally } from '../../tally';
import { OWNER, type Lab } from '../harness/lab';
import type { Call } from '../simulator/programs/program';
import { hardware } from '../simulator/programs/host-devices';
import { GIB } from '../simulator/state';

/** Something that stands against a stage, which must stop with a sentence that names it, and change nothing. */
interface Case {
  readonly what: string;
  readonly stage: string;
  readonly prepare: (lab: Lab) => void;
  readonly says: RegExp;
}

const CASES: readonly Case[] = [
  {
    what: 'another machine at the address of the host',
    stage: 'host',
    prepare: (lab) => lab.edit('memory: Size.gibibytes(96)', 'memory: Size.gibibytes(192)'),
    says: /another host/,
  },
  {
    what: 'a kernel without VFIO',
    stage: 'host',
    prepare: ({ simulation: { state } }) => void (hardware(state).vfio = false),
    says: /vfio/i,
  },
  {
    what: 'no IOMMU',
    stage: 'host',
    prepare: ({ simulation: { state } }) => void (hardware(state).iommu = false),
    says: /IOMMU/,
  },
  {
    what: 'a reboot that waits for something else',
    stage: 'host',
    prepare: ({ simulation }) =>
      simulation.writeFile('host', 'run/reboot-required', '*** System restart required ***\n'),
    says: /reboot/i,
  },
  {
    what: 'a VM that is not ours',
    stage: 'vms',
    prepare: ({ simulation: { state } }) =>
      void (state.vms['201'] = { config: { name: 'windows', memory: '4096' }, pending: {} }),
    says: /VM 201.*windows/s,
  },
  {
    what: 'a full thin pool',
    stage: 'vms',
    prepare: ({ simulation: { state } }) => void (state.storages['local-lvm']!.used = 1600 * GIB),
    says: /proxmox has the storage local-lvm: .* full/,
  },
  {
    what: 'full metadata of the thin pool',
    stage: 'vms',
    prepare: ({ simulation: { state } }) => void (state.storages['local-lvm']!.metadata = 92),
    says: /metadata/,
  },
  {
    what: 'no room for the images',
    stage: 'images',
    prepare: ({ simulation: { state } }) => void (state.storages.local!.used = state.storages.local!.total - GIB),
    says: /must have .* GiB free for .*, but it has/,
  },
  {
    what: 'an address that somebody has',
    stage: 'vms',
    prepare: ({ simulation }) => {
      simulation.state.machines.printer = { kind: 'ubuntu', address: '192.168.1.22', upAt: 0, users: {}, hostKey: '' };
      simulation.makeMachine('printer', {}, {});
    },
    says: /192\.168\.1\.22 must be free/,
  },
  {
    what: 'a disk without its serial',
    stage: 'talos',
    prepare: ({ simulation: { state } }) => {
      const vm = state.vms['201']!;
      for (const settings of [vm.config, vm.started ?? {}])
        for (const [slot, value] of Object.entries(settings))
          settings[slot] = value.replace('serial=cassandra-r2-0', 'serial=something-else');
    },
    says: /talos-worker-01 must show one disk with the serial cassandra-r2-0/,
  },
  {
    what: 'a node label that a node may not set',
    stage: 'vms',
    prepare: (lab) => lab.edit("{ 'storage-type': 'cassandra' }", "{ 'node-role.kubernetes.io/db': 'cassandra' }"),
    says: /a label that a node may set on itself/,
  },
  {
    what: 'a name with a quote, a blank and a command',
    stage: 'vms',
    prepare: (lab) => lab.edit("storage: 'local-lvm'", 'storage: "lvm\'; $(touch /tmp/pwned)\\n"'),
    says: /the name of a Proxmox storage/,
  },
  {
    what: 'something to review that is not committed as rendered',
    stage: 'vms',
    prepare: (lab) =>
      lab.edit('memory: Size.gibibytes(4),\n      cores: 2', 'memory: Size.gibibytes(4),\n      cores: 3'),
    says: /scripts\/rendered\/ differs from homelab\.ts/,
  },
  {
    what: 'a dist/ that was committed and not pushed',
    stage: 'gitops',
    prepare: ({ workspace: { path } }) => {
      fs.appendFileSync(join(path, 'dist', 'secrets.yaml'), '# changed\n');
      execFileSync('git', ['-C', path, ...OWNER, 'commit', '-q', '-m', 'changed', '--', 'dist']);
    },
    says: /must have this dist\/.*git push/,
  },
];

/** What must stop the bootstrap with a clear sentence, and nothing changed. */
export async function refusals(lab: Lab, tally: Tally): Promise<number> {
  for (const { what, stage, prepare, says } of CASES) {
    await lab.restore(`before ${stage}`);
    prepare(lab);
    const files = lab.ownersFiles();
    const { code, output } = await lab.run(['apply', stage, '--yes']);
    tally.check(`${what}: stops`, code === 4, `exit ${code}\n${output}`);
    tally.check(`${what}: says so`, says.test(output) && !/^\s+at .*\.ts:/m.test(output), output.slice(-1500));
    const changing = changed(lab);
    tally.check(
      `${what}: nothing changed`,
      changing.length === 0,
      changing.map(({ program, argv }) => `${program} ${argv.join(' ')}`).join('\n'),
    );
    tally.check(`${what}: the clone and the keys are as they were`, lab.ownersFiles() === files);
    tally.check(`${what}: nothing was run by a shell that is data`, !fs.existsSync('/tmp/pwned'));
  }
  return CASES.length;
}

/** Calls that changed something, from one on. */
export function changed({ simulation }: Lab, from = 0): readonly Call[] {
  // The simulation writes the file of a VM when it is first looked at.
  const looks = ({ program, argv }: Call) => program === 'ssh' && /(qm (config|status)|pvesh get) /.test(argv.at(-1)!);
  return simulation.calls.slice(from).filter((call) => call.changing && !looks(call));
}
