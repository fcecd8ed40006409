import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { PROVED } from '../../../../scripts/stages/talos/shutdown-proof';
import type { Tally } from '../../tally';
import { tail } from '../harness/disturbed';
import type { Lab, Run } from '../harness/lab';
import { rebootHost } from '../simulator/life';
import { changed } from './refusals';

const HOST = 'var/lib/collab-homelab/gpu-210.json';
const PIN = 'etc/kernel/proxmox-boot-pin';

/**
 * What is proved of machines before there is data, and must not pass when it should not: a node that shuts down in time, and a
 * GPU that computes and survives restarts.
 */
export async function machineProofs(lab: Lab, tally: Tally): Promise<void> {
  await shutdownProof(lab, tally);
  await gpuProof(lab, tally);
}

/** Of a node that holds no data yet. */
async function shutdownProof(lab: Lab, tally: Tally): Promise<void> {
  await lab.restore('done');
  const { simulation, plane } = lab;
  const name = 'talos-worker-01';
  const vm = simulation.state.vms['201']!;
  const proof = async () => (await plane.client.ask('GET', `/api/v1/nodes/${name}`)).metadata.annotations?.[PROVED];
  const apply = () => lab.run(['apply', 'talos', '--yes']);
  const failed = async (what: string, says: RegExp) => {
    const run = await apply();
    tally.check(`${what}: stops and says so`, run.code === 4 && says.test(run.output), tail(run));
    tally.check(`${what}: nothing is called proved`, (await proof()) === undefined);
  };
  await plane.client.ask(
    'PATCH',
    `/api/v1/nodes/${name}`,
    { metadata: { annotations: { [PROVED]: null } } },
    'application/merge-patch+json',
  );
  lab.podsEndWith = 137;
  await failed('a pod that is not let end', /must be let end when talos-worker-01 shuts down, and was killed/);
  lab.podsEndWith = 0;
  vm.shutdownSeconds = 99999;
  await failed('a node that does not shut down', /talos-worker-01 must shut down by itself within \d+ s, but did not/);
  delete vm.shutdownSeconds;
  const run = await apply();
  tally.check('a node that does both is proved', run.code === 0 && (await proof()) !== undefined, tail(run));
}

/** The proof of the GPU: it is made anew for another kernel, what it finds is written down, and no database runs meanwhile. */
async function gpuProof(lab: Lab, tally: Tally): Promise<void> {
  const { simulation } = lab;
  const host = (path: string) => fs.readFileSync(join(simulation.files('host'), path), 'utf8');
  const record = () => JSON.parse(host(HOST));
  const apply = () => lab.run(['apply', 'ai-vm', '--yes']);
  const boots = (kernel: string) => {
    simulation.state.extra.kernel = kernel;
    simulation.writeFile('host', `boot/vmlinuz-${kernel}`, '');
  };
  const stops = (what: string, { code, output }: Run, says: RegExp) =>
    tally.check(`${what}: stops and says so`, code === 4 && says.test(output), output.slice(-1500));

  await lab.restore('before models');
  const first = record();
  tally.check(
    'the GPU was proved, its kernel is pinned, and Python for MLX is there',
    first.state === 'passed' &&
      host(PIN).trim() === first.kernel &&
      fs.existsSync(join(simulation.files('ai-vm'), 'opt/mlx')),
  );

  boots('6.18.1-1-pve');
  const again = await apply();
  tally.check(
    'another kernel: it is proved again, and that kernel pinned',
    again.code === 0 &&
      again.output.includes(`proved for kernel ${first.kernel}, and proxmox runs 6.18.1-1-pve: again`) &&
      record().kernel === '6.18.1-1-pve' &&
      record().state === 'passed' &&
      host(PIN).trim() === '6.18.1-1-pve',
    tail(again),
  );

  await lab.keep('another kernel');
  boots('6.18.2-1-pve');
  const pod = await databasePod(lab);
  const calls = simulation.calls.length;
  stops('a database runs', await apply(), /no database may run.*cassandra\/cassandra-r1-0/s);
  tally.check('a database runs: nothing changed', changed(lab, calls).length === 0);
  await lab.plane.client.request('DELETE', `${pod}?gracePeriodSeconds=0`);

  simulation.state.extra.ollamaTurned = { gpu: 'slow' };
  stops('no faster than the CPU', await apply(), /must compute in ai-vm, but did not: .*no more than the/s);
  tally.check('no faster than the CPU: it is written down', record().failed?.phase === 'generate');
  simulation.state.extra.ollamaTurned = {};
  stops('what is written down counts', await apply(), /must compute in ai-vm, but did not: .*no more than the/s);
  await otherOptions(lab, tally);

  await lab.restore('another kernel');
  boots('6.18.2-1-pve');
  simulation.intercept = ({ machine, program, argv }) =>
    machine === 'ai-vm' && program === 'systemctl' && argv[0] === 'reboot' ? 'after' : undefined;
  const killed = await apply();
  simulation.intercept = undefined;
  rebootHost(simulation);
  stops('the host went down at it', await apply(), /did not survive this: reboot in the VM.*proxmox went down at it/s);
  tally.check(
    'the host went down at it: it is written down',
    killed.code === null && record().failed?.phase === 'reboot',
    tail(killed),
  );
  const on = await apply();
  tally.check('with that known the homelab goes on', on.code === 0, tail(on));
  lab.forget('another kernel');
}

/** A board on which the GPU wants a ROM for its sound: homelab.ts names one, the host gets it, and the proof is made again. */
async function otherOptions(lab: Lab, tally: Tally): Promise<void> {
  const { simulation } = lab;
  const stops = async (what: string, stage: string, says: RegExp) => {
    const { code, output } = await lab.run(['apply', stage, '--yes']);
    tally.check(`${what}: stops and says so`, code === 4 && says.test(output), output.slice(-1500));
  };
  const path = join(lab.workspace.path, 'roms/AMDGopDriver.rom');
  const write = (content: Buffer) => {
    fs.mkdirSync(dirname(path), { recursive: true });
    fs.writeFileSync(path, content);
  };
  const rom = Buffer.alloc(80 * 1024, Buffer.from([0x55, 0xaa, 0x00, 0xff, 0x80]));
  await stops(
    'its message names what to try',
    'ai-vm',
    /Next to try .*gpuPassthrough: \{ audioRom: 'roms\/AMDGopDriver\.rom' \}/s,
  );
  const gpu = "gpu: 'AMD Radeon 780M',";
  lab.edit(gpu, `${gpu} gpuPassthrough: { audioRom: 'roms/AMDGopDriver.rom' },`);
  simulation.state.extra.ollamaTurned = { needs: ['hostpci1', 'romfile=collab-homelab-audio.rom'] };
  await stops('without the ROM', 'ai-vm', /collab-homelab-audio\.rom must be on proxmox/);
  await stops('without its file', 'host', /AMDGopDriver\.rom is not there\. Put it there/);
  write(Buffer.from('MZ'.repeat(1000)));
  await stops('with a file that is no ROM', 'host', /must name an option ROM.*begins with 4d5a/);
  write(rom);
  const host = await lab.run(['apply', 'host', '--yes']);
  const there = join(simulation.files('host'), 'usr/share/kvm/collab-homelab-audio.rom');
  tally.check(
    'the host gets the ROM, byte for byte',
    host.code === 0 && fs.readFileSync(there).equals(rom),
    tail(host),
  );
  fs.rmSync(path);
  const again = await lab.run(['apply', 'host', '--yes']);
  tally.check('what the host has need not be kept here', again.code === 0, tail(again));
  const proof = await lab.run(['apply', 'ai-vm', '--yes']);
  const { state, tried, options } = JSON.parse(fs.readFileSync(join(simulation.files('host'), HOST), 'utf8'));
  tally.check(
    'with other options the GPU is proved again',
    proof.code === 0 && state === 'passed' && /AMDGopDriver/.test(options),
    tail(proof),
  );
  tally.check('what was tried stays written down', Object.keys(tried ?? {}).length === 1, JSON.stringify(tried));
  simulation.state.extra.ollamaTurned = {};
}

async function databasePod({ plane: { client } }: Lab): Promise<string> {
  const metadata = { name: 'cassandra-r1-0', namespace: 'cassandra' };
  await client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: metadata.namespace } });
  await client.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: { nodeName: 'talos-worker-01', containers: [{ name: 'cassandra', image: 'cassandra' }] },
  });
  return `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`;
}
