import { createHash } from 'node:crypto';
import { proxmox, type Context } from '../../clients/context';
import { Blocked } from '../../engine/problem';
import { writeRemote } from '../../engine/remote-file';
import type { Step } from '../../engine/step';
import { HOST_FILES, hostFiles, KERNEL_OPTIONS, passedThrough, UNDO_FILES } from '../../../machines/host';
import { handedOver } from './devices';
import type { HostFacts } from '../../clients/proxmox/facts';
import { pinState, usesTool } from './network-cards';

export type Judged = () => Promise<HostFacts>;
export type MakeStep = (title: string, look: Step['plan'], apply: NonNullable<Step['apply']>) => Step;

/** The files that hand the GPU over, and what the boot loader and the initramfs make of them. */
export function bootSteps(context: Context, name: string, judged: Judged, step: MakeStep): Step[] {
  const { commands } = context;
  const place = proxmox(context, name);
  const oneFile = (path: string) =>
    step(
      `${path} on ${name}`,
      async () => {
        const found = await judged();
        const text = wantedFiles(context, name, found).get(path);
        if (text === undefined || found.digests[path] === digest(text)) return undefined;
        const said = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
        return { lines: [`${found.digests[path] ? 'replace' : 'write'} ${path}:`, ...said.map((line) => `  ${line}`)] };
      },
      async () => {
        const content = wantedFiles(context, name, await judged()).get(path)!;
        await writeRemote(commands, place, { path, content });
      },
    );
  return [
    ...[HOST_FILES.modules, HOST_FILES.modprobe, HOST_FILES.ids, HOST_FILES.grub].map(oneFile),
    step(
      `${HOST_FILES.cmdline} on ${name}`,
      async () => {
        const { boot } = await judged();
        const wanted = withOptions(name, boot);
        return wanted === undefined
          ? undefined
          : { lines: [`${HOST_FILES.cmdline}: ${boot.kernelOptions} -> ${wanted}`] };
      },
      async () => {
        const { boot } = await judged();
        await commands.changeScript(place, 'proxmox/kernel-options.sh', [boot.kernelOptions, withOptions(name, boot)!]);
      },
    ),
    step(
      `boot loader and initramfs of ${name} are made of them`,
      async () => {
        const found = await judged();
        if (filesMissing(context, name, found).length === 0 && found.boot.made?.of === madeOf(found)) return undefined;
        return { lines: bootCommands(found) };
      },
      async () => {
        const found = await judged();
        await commands.changeScript(place, 'proxmox/boot-files.sh', [madeOf(found), ...found.boot.loaders], {
          seconds: 1800,
          waitsFor: 'an initramfs for each kernel',
        });
      },
    ),
  ];
}

function bootCommands({ boot }: HostFacts): string[] {
  return [
    ...(boot.loaders.includes('grub') ? ['update-grub'] : []),
    'update-initramfs -u -k all',
    ...(boot.loaders.includes('systemd-boot') ? ['proxmox-boot-tool refresh'] : []),
  ];
}

/** The files of ours that are to be on a host, the ids that it has among them. */
function wantedFiles({ homelab }: Context, name: string, facts: HostFacts): ReadonlyMap<string, string> {
  const { gpu, audio, npu } = handedOver(homelab, name, facts);
  const ids = [gpu, audio, npu].flatMap((each) => (each ? [`${each.vendor}:${each.device}`] : []));
  const rendered = [...hostFiles(homelab, name)].filter(
    ([path]) =>
      !Object.values<string>(UNDO_FILES).includes(path) &&
      (path !== HOST_FILES.grub || facts.boot.loaders.includes('grub')),
  );
  return new Map([
    ...rendered,
    ...(ids.length > 0
      ? ([
          [
            HOST_FILES.ids,
            `# Managed by the bootstrap of the homelab: what this host has.\noptions vfio-pci ids=${ids.join(',')}\n`,
          ],
        ] as const)
      : []),
  ]);
}

function filesMissing(context: Context, name: string, facts: HostFacts): string[] {
  const { gpu, npu } = passedThrough(context.homelab, name);
  if (!gpu && !npu) return [];
  return [
    ...[...wantedFiles(context, name, facts)]
      .filter(([path, text]) => facts.digests[path] !== digest(text))
      .map(([path]) => path),
    ...(withOptions(name, facts.boot) === undefined ? [] : [HOST_FILES.cmdline]),
  ];
}

/** The line of systemd-boot with our options, or undefined where it has them or is not used. */
function withOptions(name: string, boot: HostFacts['boot']): string | undefined {
  if (!boot.loaders.includes('systemd-boot')) return undefined;
  const present = boot.kernelOptions.split(/\s+/);
  if (boot.kernelOptions === '' || boot.kernelOptions.includes('\n'))
    throw new Blocked(
      `${HOST_FILES.cmdline} on ${name} must be one line, got ${JSON.stringify(boot.kernelOptions)}; proxmox-boot-tool needs it to boot`,
    );
  const missing = KERNEL_OPTIONS.filter((option) => !present.includes(option));
  return missing.length === 0 ? undefined : [boot.kernelOptions, ...missing].join(' ');
}

/** Stands for the content of the files that boot loader and initramfs are made of. */
export function madeOf({ digests }: HostFacts): string {
  const files = Object.values<string>(HOST_FILES).flatMap((path) =>
    digests[path] ? [`${digests[path]} ${path}`] : [],
  );
  return digest(files.sort().join('\n'));
}

/** Whether all files are as they should be, and boot loader and initramfs made of them. */
export function isWritten(context: Context, name: string, facts: HostFacts): boolean {
  return (
    pinState(facts.network).state === 'pinned' &&
    filesMissing(context, name, facts).length === 0 &&
    !isUnmade(context, name, facts)
  );
}

/** Whether files were written since boot loader and initramfs were made: no boot has tried them. */
export function isUnmade({ homelab }: Context, name: string, facts: HostFacts): boolean {
  const { gpu, npu } = passedThrough(homelab, name);
  return (gpu || npu) && facts.boot.made?.of !== madeOf(facts);
}

/** Whether anything is still to be done that the next boot would bring. */
export function changesBoot(context: Context, name: string, facts: HostFacts): boolean {
  return !isWritten(context, name, facts) || rebootReasons(context, name, facts).length > 0;
}

/** What a reboot would bring. */
export function rebootReasons(context: Context, name: string, facts: HostFacts): string[] {
  const { homelab } = context;
  const wanted = passedThrough(homelab, name);
  const { made } = facts.boot;
  const areMade = filesMissing(context, name, facts).length > 0 || isUnmade(context, name, facts);
  const { gpu, audio, npu } = handedOver(homelab, name, facts);
  const options = wanted.gpu || wanted.npu ? KERNEL_OPTIONS.filter((option) => !facts.options.includes(option)) : [];
  const renamed =
    facts.network.cards.some((card) => card.pinned !== undefined && card.pinned !== card.name) ||
    (usesTool(facts.network) && pinState(facts.network).state !== 'pinned');
  return [
    // What it brings need not show in what follows: another text of modprobe.d.
    ...(areMade || made?.boot === facts.bootId ? ['boot loader and initramfs are made anew'] : []),
    ...(renamed ? ['network cards get the names that stay'] : []),
    ...options.map((option) => `the kernel gets ${option}`),
    ...[gpu, audio, npu].flatMap((each) =>
      each === undefined || each.driver === 'vfio-pci'
        ? []
        : [`${each.slot} goes from ${each.driver ?? 'no driver'} to vfio-pci`],
    ),
  ];
}

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
