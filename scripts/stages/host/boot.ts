import { HOST_FILES, hostFiles, KERNEL_OPTIONS, passedThrough, UNDO_FILES } from '../../../machines/host';
import type { HostFacts } from '../../clients/proxmox/facts';
import { action } from '../../engine/actions';
import { sha256 } from '../../engine/digests';
import { Blocked } from '../../engine/problem';
import { fileOn } from '../../engine/remote-file';
import { step, type Step } from '../../engine/step';
import { handedOver } from './devices';
import { pinState, usesTool } from './network-cards';
import { soundFacts, type Site } from './site';

/** The files that hand the GPU over, and what the boot loader and the initramfs make of them. */
export function bootSteps(site: Site): Step[] {
  const { modules, modprobe, ids, grub } = HOST_FILES;
  return [...[modules, modprobe, ids, grub].map((path) => bootFile(site, path)), kernelOptions(site), bootMade(site)];
}

function bootFile(site: Site, path: string): Step {
  const { commands, name, target } = site.host;
  return step(`${path} on ${name}`, async () => {
    const facts = await soundFacts(site);
    const content = wantedFiles(site, facts).get(path);
    if (content === undefined || facts.digests[path] === sha256(content)) return undefined;
    const write = fileOn(commands, target, { path, content }, facts.digests[path] ? 'replace' : 'write');
    const told = content.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return { actions: [{ ...write, lines: [...write.lines, ...told.map((line) => `  ${line}`)] }] };
  });
}

function kernelOptions(site: Site): Step {
  const { commands, name, target } = site.host;
  return step(`${HOST_FILES.cmdline} on ${name}`, async () => {
    const { boot } = await soundFacts(site);
    const wanted = withOptions(name, boot);
    if (wanted === undefined) return undefined;
    const write = () => commands.changeScript(target, 'proxmox/kernel-options.sh', [boot.kernelOptions, wanted]);
    return { actions: [action(`${name}: ${HOST_FILES.cmdline}: ${boot.kernelOptions} -> ${wanted}`, write)] };
  });
}

function bootMade(site: Site): Step {
  const { commands, name, target } = site.host;
  return step(`boot loader and initramfs of ${name} are made of them`, async () => {
    const facts = await soundFacts(site);
    if (filesMissing(site, facts).length === 0 && facts.boot.made?.of === madeOf(facts)) return undefined;
    const lines = bootCommands(facts).map((each) => `${name}: ${each}`);
    const options = { seconds: 1800, waitsFor: 'an initramfs for each kernel' };
    const make = async () => {
      // The steps before this one wrote what it is made of.
      const written = await soundFacts(site);
      const args = [madeOf(written), ...written.boot.loaders];
      await commands.changeScript(target, 'proxmox/boot-files.sh', args, options);
    };
    return { actions: [action(lines, make)] };
  });
}

function bootCommands({ boot }: HostFacts): string[] {
  return [
    ...(boot.loaders.includes('grub') ? ['update-grub'] : []),
    'update-initramfs -u -k all',
    ...(boot.loaders.includes('systemd-boot') ? ['proxmox-boot-tool refresh'] : []),
  ];
}

/** The files of ours that are to be on a host, the ids that it has among them. */
function wantedFiles({ homelab, host: { name } }: Site, facts: HostFacts): ReadonlyMap<string, string> {
  const { gpu, audio, npu } = handedOver(homelab, name, facts);
  const ids = [gpu, audio, npu].flatMap((each) => (each ? [`${each.vendor}:${each.device}`] : []));
  const rendered = [...hostFiles(homelab, name)].filter(
    ([path]) =>
      !Object.values<string>(UNDO_FILES).includes(path) &&
      (path !== HOST_FILES.grub || facts.boot.loaders.includes('grub')),
  );
  const text = `# Managed by the bootstrap of the homelab: what this host has.\noptions vfio-pci ids=${ids.join(',')}\n`;
  return new Map(ids.length > 0 ? [...rendered, [HOST_FILES.ids, text]] : rendered);
}

function filesMissing(site: Site, facts: HostFacts): string[] {
  const { homelab, host } = site;
  const { gpu, npu } = passedThrough(homelab, host.name);
  if (!gpu && !npu) return [];
  return [
    ...[...wantedFiles(site, facts)]
      .filter(([path, text]) => facts.digests[path] !== sha256(text))
      .map(([path]) => path),
    ...(withOptions(host.name, facts.boot) === undefined ? [] : [HOST_FILES.cmdline]),
  ];
}

/** The line of systemd-boot with our options, or undefined where it has them or is not used. */
function withOptions(name: string, boot: HostFacts['boot']): string | undefined {
  if (!boot.loaders.includes('systemd-boot')) return undefined;
  const present = boot.kernelOptions.split(/\s+/);
  if (boot.kernelOptions === '' || boot.kernelOptions.includes('\n'))
    throw new Blocked(
      `${HOST_FILES.cmdline} on ${name} must be one line, but it is ${JSON.stringify(boot.kernelOptions)}. proxmox-boot-tool needs it to boot`,
    );
  const missing = KERNEL_OPTIONS.filter((option) => !present.includes(option));
  return missing.length === 0 ? undefined : [boot.kernelOptions, ...missing].join(' ');
}

/** Stands for the content of the files that boot loader and initramfs are made of. */
export function madeOf({ digests }: HostFacts): string {
  const files = Object.values<string>(HOST_FILES).flatMap((path) =>
    digests[path] ? [`${digests[path]} ${path}`] : [],
  );
  return sha256(files.sort().join('\n'));
}

/** Whether all files are as they should be, and boot loader and initramfs made of them. */
export function isWritten(site: Site, facts: HostFacts): boolean {
  return pinState(facts.network).state === 'pinned' && filesMissing(site, facts).length === 0 && !isUnmade(site, facts);
}

/** Whether files were written since boot loader and initramfs were made: no boot has tried them. */
export function isUnmade({ homelab, host }: Site, facts: HostFacts): boolean {
  const { gpu, npu } = passedThrough(homelab, host.name);
  return (gpu || npu) && facts.boot.made?.of !== madeOf(facts);
}

/** Whether anything is still to be done that the next boot would bring. */
export function changesBoot(site: Site, facts: HostFacts): boolean {
  return !isWritten(site, facts) || rebootReasons(site, facts).length > 0;
}

/** What a reboot would bring. */
export function rebootReasons(site: Site, facts: HostFacts): string[] {
  const {
    homelab,
    host: { name },
  } = site;
  const wanted = passedThrough(homelab, name);
  const { made } = facts.boot;
  const areMade = filesMissing(site, facts).length > 0 || isUnmade(site, facts);
  const { gpu, audio, npu } = handedOver(homelab, name, facts);
  const options = wanted.gpu || wanted.npu ? KERNEL_OPTIONS.filter((option) => !facts.options.includes(option)) : [];
  const renamed =
    facts.network.cards.some((card) => card.pinned !== undefined && card.pinned !== card.name) ||
    (usesTool(facts.network) && pinState(facts.network).state !== 'pinned');
  return [
    // What it brings need not show in what follows: another text of modprobe.d.
    ...(areMade || made?.boot === facts.bootId ? ['boot loader and initramfs are made again'] : []),
    ...(renamed ? ['network cards get the names that stay'] : []),
    ...options.map((option) => `the kernel gets ${option}`),
    ...[gpu, audio, npu].flatMap((each) =>
      each === undefined || each.driver === 'vfio-pci'
        ? []
        : [`${each.slot} goes from ${each.driver ?? 'no driver'} to vfio-pci`],
    ),
  ];
}
