import type { Homelab } from '../../inventory';
import { allocatableMemory, systemNodes, workers } from '../../inventory/derived';
import { changed } from '../homelab';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const homelab: Homelab = changed(() => undefined);
const open: Homelab = changed((h) => (h.talos.scheduleOnControlPlanes = true));
const node = (name: string): any => homelab.machines[name];

test('allocatable memory is what the kernel reports, minus the reserve of the role, minus the eviction threshold', () => {
  // 22 GiB and 4 GiB, of which the kernel reports 98 %; reserves of 384 and 512 MiB; 100 MiB.
  expect(allocatableMemory(homelab, node('talos-worker-01'))).toBe(Math.floor(21.56 * GIB) - 484 * MIB);
  expect(allocatableMemory(homelab, node('talos-cp-01'))).toBe(Math.floor(3.92 * GIB) - 612 * MIB);
});

test('our pods run on workers, and on control planes that allow scheduling', () => {
  expect(workers(homelab).map(([name]) => name)).toEqual(['talos-worker-01', 'talos-worker-02']);
  expect(workers(open).map(([name]) => name)).toEqual(['talos-cp-01', 'talos-worker-01', 'talos-worker-02']);
});

test.each([
  ['every-node', ['talos-cp-01', 'talos-worker-01', 'talos-worker-02']],
  ['any-node', ['talos-cp-01', 'talos-worker-01', 'talos-worker-02']],
  ['control-plane', ['talos-cp-01']],
  ['workers', ['talos-worker-01', 'talos-worker-02']],
  ['talos-worker-02', ['talos-worker-02']],
  // A machine that is not a node runs none.
  ['ai-vm', []],
])('a system workload on %s runs on %j', (on, names) => {
  expect(systemNodes(homelab, on)).toEqual(names);
});

test('a system workload on workers also runs on control planes that allow scheduling', () => {
  expect(systemNodes(open, 'workers')).toEqual(['talos-cp-01', 'talos-worker-01', 'talos-worker-02']);
});
