import type { Json } from '../../cluster/client';
import type { Tally } from '../../tally';
import type { Lab } from '../harness/lab';
import { ollamaOf } from '../simulator/programs/ollama';
import { GIB } from '../simulator/state';

/** What verify sees when one thing after the other is not as it should be; each was good before. */
export async function seen(lab: Lab, tally: Tally): Promise<void> {
  await lab.restore('done');
  const { simulation, plane } = lab;
  const before = await looked(lab);
  const broken = [
    'talos-worker-01 is ready',
    'volumes of talos-worker-02',
    'proxmox has the storage local-lvm',
    'the GPU of ai-vm',
    'model qwen2.5:14b-instruct-q4_K_M',
  ];
  await plane.client.ask(
    'PATCH',
    '/api/v1/nodes/talos-worker-01',
    { metadata: { labels: { 'storage-type': null } } },
    'application/merge-patch+json',
  );
  const { config, started = {} } = simulation.state.vms['202']!;
  for (const settings of [config, started])
    for (const [slot, value] of Object.entries(settings))
      settings[slot] = value.replace('serial=mongodb', 'serial=other');
  simulation.state.storages['local-lvm']!.used = 1700 * GIB;
  simulation.writeFile(
    'host',
    'var/lib/collab-homelab/gpu-210.json',
    JSON.stringify({ vmid: 210, state: 'failed', kernel: 'x', done: [], failed: { phase: 'generate', why: 'slow' } }),
  );
  ollamaOf(simulation, 'ai-vm').models = {};
  const after = await looked(lab);
  for (const what of broken)
    tally.check(
      `verify sees ${what}`,
      before.get(what)?.state === 'good' && after.get(what)?.state === 'bad' && after.get(what)?.fix !== undefined,
      JSON.stringify([before.get(what), after.get(what), [...before.keys()]]),
    );
}

async function looked(lab: Lab): Promise<ReadonlyMap<string, Json>> {
  const { output } = await lab.run(['verify', '--json'], 0.5);
  const found: Json[] = JSON.parse(output.slice(output.indexOf('[')));
  return new Map(found.map((each) => [each.what as string, each]));
}
