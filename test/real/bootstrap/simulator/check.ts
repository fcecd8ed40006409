import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shim, sopsBinaries, talosMachinery } from './binaries';
import { Bench, HOST } from './checks/bench';
import { downloads } from './checks/downloads';
import { kills } from './checks/kills';
import { printed } from './checks/printed';
import { proxy } from './checks/proxy';
import { shells } from './checks/shells';
import { talos } from './checks/talos';
import { ubuntu } from './checks/ubuntu';
import { virtualMachines } from './checks/virtual-machines';
import { inNamespace } from './machines';
import { Simulation } from './simulation';

/** Whether the simulated homelab answers as the real one is known to. Each check starts from what the one before it left. */
const CHECKS = [printed, shells, downloads, virtualMachines, kills, talos, ubuntu, proxy];

inNamespace();

async function main(): Promise<void> {
  const folder = fs.mkdtempSync(join(tmpdir(), 'sim-'));
  const { sops, ageKeygen } = sopsBinaries();
  const simulation = await Simulation.start(join(folder, 's'), {
    host: { address: HOST },
    shim: shim(),
    talosMachinery: talosMachinery(),
    real: { sops, 'age-keygen': ageKeygen },
    kubeconfig: () => 'the kubeconfig\n',
    onNodes: (nodes) => {
      bench.joined = nodes;
    },
  });
  const bench = new Bench(simulation, folder);
  try {
    for (const check of CHECKS) {
      const begin = Date.now();
      await check(bench);
      console.log(`${check.name}: ${Date.now() - begin} ms`);
    }
    bench.holds('a real program', (await bench.run('age-keygen', [])).stdout, 'AGE-SECRET-KEY');
    bench.same('nothing unexpected', simulation.unexpected, []);
  } finally {
    await simulation.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
  bench.tally.close();
}

void main();
