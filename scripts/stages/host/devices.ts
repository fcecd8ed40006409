import { proxmoxSettings, type Homelab } from '../../../inventory';
import { bad, good, warning, type Finding } from '../../engine/findings';
import { passedThrough } from '../../../machines/host';
import type { HostFacts, PciFunction } from '../../clients/proxmox/facts';

/** What a check of a host is about. */
export interface Subject {
  readonly homelab: Homelab;
  readonly name: string;
  readonly facts: HostFacts;
}

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
  const given = handedOver(homelab, name, facts);
  const { gpu, audio, npu } = given;
  const ours = [gpu, audio, npu].filter((each) => each !== undefined);
  return [
    ...(wanted.gpu ? gpuFindings(`${name} has the GPU ${host.gpu}`, name, given, facts) : []),
    ...(wanted.npu ? [npuFinding(`${name} has the NPU ${host.npu}`, npu)] : []),
    ...iommu(name, facts, ours),
    vfio(name, facts),
    ...held(ours),
  ];
}

function gpuFindings(what: string, name: string, { gpu, audio }: HandedOver, { pci }: HostFacts): Finding[] {
  const candidates = graphics(pci);
  if (candidates.length === 0) {
    const fix = 'enable the integrated graphics in the BIOS, or correct the address';
    return [bad(what, 'lspci shows no graphics of AMD', fix)];
  }
  if (gpu === undefined) {
    const saw = candidates.map((each) => `${each.slot} ${each.name}`).join(', ');
    return [bad(what, saw, 'take the other one out, or disable it in the BIOS')];
  }
  const found = good(what, `${gpu.name} at ${gpu.slot}`);
  if (audio !== undefined) return [found];
  const saw = `no function at ${gpu.slot.replace(/\.0$/, '.1')}`;
  const fix = 'enable HDMI audio in the BIOS: both are passed through together';
  return [found, bad(`${name} has the sound of its GPU`, saw, fix)];
}

function npuFinding(what: string, npu: PciFunction | undefined): Finding {
  if (npu !== undefined) return good(what, `${npu.name} at ${npu.slot}`);
  return bad(what, 'lspci shows none', 'enable IPU in the BIOS, or leave out npu: true');
}

function vfio(name: string, { vfio, kernel: { running } }: HostFacts): Finding {
  const what = `the kernel of ${name} has VFIO`;
  if (vfio) return good(what, running);
  return bad(what, `${running} has no vfio_pci`, 'boot a kernel of Proxmox: apt install proxmox-default-kernel');
}

function held(ours: readonly PciFunction[]): Finding[] {
  if (ours.length === 0) return [];
  const what = 'devices for passthrough wait for their machine';
  const saw = ours.map(({ slot, driver }) => `${slot} is held by ${driver ?? 'nothing'}`).join(', ');
  const isHeld = ours.every(({ driver }) => driver === 'vfio-pci');
  return [isHeld ? good(what, saw) : warning(what, saw, 'npm run bootstrap -- apply host')];
}

function iommu(name: string, { pci, options }: HostFacts, ours: readonly PciFunction[]): Finding[] {
  const what = `the IOMMU of ${name} is on`;
  if (!pci.some(({ group }) => group !== undefined)) {
    const off = options.find((option) => /^(amd_iommu|iommu)=off$/.test(option));
    if (off) return [bad(what, `the kernel runs with ${off}`, `take ${off} out of the kernel options, and reboot`)];
    return [bad(what, 'no device is in an IOMMU group', 'enable IOMMU and SVM in the BIOS (AMD CBS, NBIO)')];
  }
  const slots = new Set(ours.map(({ slot }) => slot));
  return [
    good(what, `${new Set(pci.map(({ group }) => group)).size} groups`),
    ...ours.map(({ slot, group }) => {
      const alone = `${slot} is alone in its IOMMU group`;
      if (group === undefined) return bad(alone, 'it is in none', 'update the BIOS');
      // A bridge (0604) may be in the group: it is not passed through.
      const others = pci.filter((each) => each.group === group && !slots.has(each.slot) && each.kind !== '0604');
      if (others.length === 0) return good(alone, `group ${group}`);
      const saw = `group ${group} also holds ${others.map(({ slot, name }) => `${slot} ${name}`).join(', ')}`;
      return bad(alone, saw, 'enable ACS in the BIOS, or leave out gpu: true; the machine would take these too');
    }),
  ];
}
