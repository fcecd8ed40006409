import { proxmoxSettings, type Homelab } from '../../../inventory';
import { bad, good, warning, type Finding } from '../../engine/findings';
import { passedThrough } from '../../../machines/host';
import type { HostFacts, PciFunction } from '../../clients/proxmox/facts';
import type { Subject } from './subject';

/** What is passed through to a machine: found by what it is, never by ids that were written down. */
export interface HandedOver {
  readonly gpu?: PciFunction;
  /** Its sound, function 1 of the same device. */
  readonly audio?: PciFunction;
  readonly npu?: PciFunction;
}

export function handedOver(homelab: Homelab, name: string, { pci }: HostFacts): HandedOver {
  const wanted = passedThrough(homelab, name);
  const gpus = wanted.gpu ? graphics(pci) : [];
  const gpu = gpus.length === 1 ? gpus[0] : undefined;
  const audio = gpu && pci.find(({ slot, kind }) => slot === gpu.slot.replace(/\.0$/, '.1') && kind === '0403');
  const npu = wanted.npu ? pci.find(isNpu) : undefined;
  return { ...(gpu && { gpu }), ...(audio && { audio }), ...(npu && { npu }) };
}

/** Display controllers of AMD. */
function graphics(pci: readonly PciFunction[]): PciFunction[] {
  return pci.filter(({ slot, kind, vendor }) => kind.startsWith('03') && vendor === '1002' && slot.endsWith('.0'));
}

function isNpu({ vendor, modules, name }: PciFunction): boolean {
  return vendor === '1022' && (modules.includes('amdxdna') || /\b(IPU Device|NPU|Neural)/.test(name));
}

/** GPU, NPU and the IOMMU, where a machine needs them. */
export function devices({ homelab, name, facts }: Subject): Finding[] {
  const wanted = passedThrough(homelab, name);
  if (!wanted.gpu && !wanted.npu) return [];
  const host = proxmoxSettings(homelab, name);
  const { gpu, audio, npu } = handedOver(homelab, name, facts);
  const found: Finding[] = [];
  if (wanted.gpu) {
    const candidates = graphics(facts.pci);
    const what = `${name} has the GPU ${host.gpu}`;
    if (gpu) found.push(good(what, `${gpu.name} at ${gpu.slot}`));
    else if (candidates.length === 0)
      found.push(
        bad(
          what,
          'lspci shows no graphics of AMD',
          'enable the integrated graphics in the BIOS, or correct the address',
        ),
      );
    else
      found.push(
        bad(
          what,
          candidates.map(({ slot, name }) => `${slot} ${name}`).join(', '),
          'take the other one out, or disable it in the BIOS',
        ),
      );
    if (gpu && !audio)
      found.push(
        bad(
          `${name} has the sound of its GPU`,
          `no function at ${gpu.slot.replace(/\.0$/, '.1')}`,
          'enable HDMI audio in the BIOS: both are passed through together',
        ),
      );
  }
  if (wanted.npu) {
    const what = `${name} has the NPU ${host.npu}`;
    found.push(
      npu
        ? good(what, `${npu.name} at ${npu.slot}`)
        : bad(what, 'lspci shows none', 'enable IPU in the BIOS, or leave out npu: true'),
    );
  }
  const ours = [gpu, audio, npu].filter((each) => each !== undefined);
  found.push(...iommu(name, facts, ours));
  const what = `the kernel of ${name} has VFIO`;
  found.push(
    facts.vfio
      ? good(what, facts.kernel.running)
      : bad(
          what,
          `${facts.kernel.running} has no vfio_pci`,
          'boot a kernel of Proxmox: apt install proxmox-default-kernel',
        ),
  );
  const held = ours.filter(({ driver }) => driver === 'vfio-pci');
  const saw = ours.map(({ slot, driver }) => `${slot} is held by ${driver ?? 'nothing'}`).join(', ');
  if (ours.length > 0)
    found.push(
      held.length === ours.length
        ? good('devices for passthrough wait for their machine', saw)
        : warning('devices for passthrough wait for their machine', saw, 'npm run bootstrap -- apply host'),
    );
  return found;
}

function iommu(name: string, { pci, options }: HostFacts, ours: readonly PciFunction[]): Finding[] {
  const what = `the IOMMU of ${name} is on`;
  if (!pci.some(({ group }) => group !== undefined)) {
    const off = options.find((option) => /^(amd_iommu|iommu)=off$/.test(option));
    return [
      bad(
        what,
        off ? `the kernel runs with ${off}` : 'no device is in an IOMMU group',
        off ? `take ${off} out of the kernel options, and reboot` : 'enable IOMMU and SVM in the BIOS (AMD CBS, NBIO)',
      ),
    ];
  }
  const slots = new Set(ours.map(({ slot }) => slot));
  return [
    good(what, `${new Set(pci.map(({ group }) => group)).size} groups`),
    ...ours.flatMap(({ slot, group }) => {
      const alone = `${slot} is alone in its IOMMU group`;
      if (group === undefined) return [bad(alone, 'it is in none', 'update the BIOS')];
      // A bridge (0604) may be in the group: it is not passed through.
      const others = pci.filter((each) => each.group === group && !slots.has(each.slot) && each.kind !== '0604');
      if (others.length === 0) return [good(alone, `group ${group}`)];
      return [
        bad(
          alone,
          `group ${group} also holds ${others.map(({ slot, name }) => `${slot} ${name}`).join(', ')}`,
          'enable ACS in the BIOS, or leave out gpu: true; the machine would take these too',
        ),
      ];
    }),
  ];
}
