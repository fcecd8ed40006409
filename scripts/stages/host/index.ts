import { proxmoxSettings } from '../../../inventory';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { CommandFailed } from '../../engine/commands';
import { proxmox, type Context } from '../../clients/context';
import { ROOT } from '../../engine/root';
import { NotReady, Blocked } from '../../engine/problem';
import { writeRemote } from '../../engine/remote-file';
import type { Stage, Step } from '../../engine/step';
import { SECOND, until } from '../../engine/wait';
import {
  HOST_FILES,
  hostFiles,
  hostsWithMachines,
  passedThrough,
  UNDO_FILES,
  UNDO_MINUTES,
} from '../../../machines/host';
import { bootSteps, changesBoot, digest, isUnmade, isWritten, rebootReasons } from './boot';
import { hostFacts, type HostFacts } from '../../clients/proxmox/facts';
import { hostFindings, unexpectedReboot } from './findings';
import { linkFile, pinning, unpinned, usesTool } from './network-cards';
import { reboot, rebootQuestion } from './reboot';
import { roms } from './roms';

/** A fresh Proxmox becomes a host for the machines: names that stay, a GPU that waits for its machine, storages that fit. */
export function host(context: Context): Stage {
  return {
    name: 'host',
    title: 'what the machines need of their Proxmox hosts',
    async steps() {
      return hostsWithMachines(context.homelab).flatMap(([name]) => stepsOf(context, name));
    },
  };
}

/** Looks that follow each other share what was read, for so many milliseconds. */
const FRESH = 5 * SECOND;

function stepsOf(context: Context, name: string): Step[] {
  const { commands, homelab } = context;
  const place = proxmox(context, name);
  const { gpu, npu } = passedThrough(homelab, name);
  let seen: { readonly at: number; readonly facts: HostFacts } | undefined;

  const facts = async () => {
    if (seen === undefined || Date.now() - seen.at > FRESH) {
      const found = await firstContact(context, name, seen === undefined);
      seen = { at: Date.now(), facts: found };
    }
    return seen.facts;
  };
  const assertGood = (found: HostFacts) => {
    const wrong = hostFindings(homelab, name, found).filter(({ state }) => state === 'bad');
    if (wrong.length > 0)
      throw new Blocked(
        [...wrong.map(({ what, saw, fix }) => `${what}: ${saw}; ${fix}`), ...undoWarning(name, found)].join('\n'),
      );
  };
  /** The facts of a host that can become what it should. */
  const judged = async () => {
    const found = await facts();
    assertGood(found);
    return found;
  };
  const step = (title: string, plan: Step['plan'], apply: NonNullable<Step['apply']>): Step => ({
    title,
    plan,
    async apply(change, progress) {
      try {
        await apply(change, progress);
      } finally {
        seen = undefined;
      }
    },
  });

  const confirm = () => commands.changeScript(place, 'proxmox/undo-confirm.sh');
  // While it is armed, this leaves the copies as they are.
  const arm = () =>
    commands.changeScript(place, 'proxmox/undo-arm.sh', [...Object.values(HOST_FILES), '/etc/network/interfaces']);

  const steps = [
    // First, since its time is short.
    step(
      `the last boot of ${name} is confirmed`,
      async () => {
        const found = await facts();
        if (!waitsForUndo(found)) return undefined;
        return {
          lines: [
            isUnmade(context, name, found)
              ? `${name} came back without its new files: the copies of the old ones stay, for its next boot`
              : `confirm that ${name} came back; else its files are undone ${UNDO_MINUTES} minutes after its boot`,
          ],
        };
      },
      async () => void (await (isUnmade(context, name, await facts()) ? arm() : confirm())),
    ),
    step(
      `${name} can go back by itself to how it boots now`,
      async () => {
        const found = await judged();
        if (!changesBoot(context, name, found)) return undefined;
        const { armed, undoTimer } = found.boot;
        if (waitsForUndo(found)) throw new NotReady(`the last boot of ${name} must be confirmed first`);
        const strange = unexpectedReboot(found);
        if (strange)
          throw new Blocked(
            `${name} must wait for no other reboot: ${strange}; reboot it, see that it is well, then run this again`,
          );
        const current = undoFiles(context, name).every(([path, text]) => found.digests[path] === digest(text));
        if (armed !== undefined && undoTimer && current) return undefined;
        return {
          lines: [
            'keep copies of every file that decides how it boots',
            `${UNDO_FILES.timer}: restores them and reboots, unless a boot with changes is confirmed within ${UNDO_MINUTES} minutes`,
          ],
        };
      },
      async () => {
        for (const [path, content] of undoFiles(context, name)) await writeRemote(commands, place, { path, content });
        await arm();
      },
    ),
    step(
      `network cards of ${name} have names that stay`,
      async () => pinning(name, (await judged()).network),
      async () => {
        const { network } = await judged();
        if (usesTool(network)) await commands.changeScript(place, 'proxmox/pin-network-cards.sh');
        else for (const card of unpinned(network)) await writeRemote(commands, place, linkFile(card));
      },
    ),
    ...(gpu ? roms(context, name, judged, step) : []),
    ...(gpu || npu ? bootSteps(context, name, judged, step) : []),
    step(
      `storage ${proxmoxSettings(context.homelab, name).files} of ${name} takes images and cloud-init files`,
      async () => {
        const content = contentOf(context, name, await judged());
        return content.missing.length === 0
          ? undefined
          : {
              lines: [
                `pvesm set ${proxmoxSettings(context.homelab, name).files} --content ${content.wanted} (was ${content.present})`,
              ],
            };
      },
      async () => {
        const { files } = proxmoxSettings(context.homelab, name);
        await commands.change(place, [
          'pvesm',
          'set',
          files,
          '--content',
          contentOf(context, name, await judged()).wanted,
        ]);
      },
    ),
    step(
      `${name} was booted with all of that`,
      async () => {
        const found = await judged();
        const reasons = rebootReasons(context, name, found);
        if (reasons.length === 0) return undefined;
        const { armed, made } = found.boot;
        // Armed in this boot: something was written in it.
        if (
          armed !== found.bootId &&
          made !== undefined &&
          made.boot !== found.bootId &&
          isWritten(context, name, found)
        )
          throw new Blocked(
            [
              `${inVain(name, found, reasons)}; rm ${MADE} there and apply host again, to make them anew`,
              ...undoWarning(name, found),
            ].join('\n'),
          );
        return { lines: [`reboot for: ${reasons.join('; ')}`], asks: [rebootQuestion(name, found)] };
      },
      async (_, progress) => {
        await reboot(context, name, (await judged()).bootId, progress);
        await confirm();
        // The services of Proxmox come later than ssh.
        const answer = () => hostFacts(context, name);
        const found = await until(`Proxmox on ${name} to answer`, { seconds: 300, every: 5 }, progress, answer);
        // Nobody reached it in time: what is missing now was taken back, not made in vain.
        if (found.boot.undone) assertGood(found);
        const left = rebootReasons(context, name, found);
        if (left.length === 0) return;
        // What was made without effect is made anew by the next run, which asks again before it reboots.
        await commands.change(place, ['rm', '-f', MADE]);
        throw new Blocked(`${inVain(name, found, left)}; apply host again makes them anew`);
      },
    ),
    step(
      `nothing of ${name} waits to be undone`,
      async () => {
        const found = await judged();
        const { armed } = found.boot;
        if (changesBoot(context, name, found) || waitsForUndo(found))
          throw new NotReady(`the steps before this one on ${name} must be done first`);
        return armed === undefined
          ? undefined
          : { lines: ['its next boot brings nothing new: the undo timer is switched off'] };
      },
      async () => void (await confirm()),
    ),
  ];
  return steps;
}

/** Where scripts/remote/proxmox/boot-files.sh remembers of what boot loader and initramfs were made. */
const MADE = '/var/lib/collab-homelab/boot-files';

function inVain(name: string, { boot }: HostFacts, left: readonly string[]): string {
  return `${name} was booted since its files were written, and still: ${left.join('; ')}; look at journalctl -b and /proc/cmdline there, and whether it boots by ${boot.loaders.join(' or ')}`;
}

/** An earlier run may have been stopped while it rebooted the host: that one comes back. */
async function firstContact(context: Context, name: string, isFirst: boolean): Promise<HostFacts> {
  try {
    return await hostFacts(context, name);
  } catch (error) {
    if (!isFirst || !(error instanceof CommandFailed) || !AWAY.test(error.message)) throw error;
    const progress = (what: string) => console.error(`waiting for ${what}`);
    return until(`${name} to answer`, { seconds: 300, every: 20 }, progress, () => hostFacts(context, name));
  }
}

/** What ssh says of a machine that is down or not yet up, and of nothing that stays so. */
const AWAY = /cannot be reached: [^]*(timed out|refused|No route to host|reset by peer|closed by)/;

/** `pvesm set --content` replaces, so that what is there is named again. */
function contentOf(context: Context, name: string, { storages }: HostFacts) {
  const present = storages.find((each) => each.name === proxmoxSettings(context.homelab, name).files)!.content;
  const missing = ['snippets', 'import'].filter((kind) => !present.includes(kind));
  return {
    present: present.join(','),
    missing,
    wanted: [...present.filter((kind) => kind !== 'none'), ...missing].join(','),
  };
}

/** What goes back to the last good boot, the program first: what starts it is of no use without it. */
function undoFiles({ homelab }: Context, name: string): [string, string][] {
  const files = hostFiles(homelab, name);
  return [
    [UNDO_FILES.program, fs.readFileSync(join(ROOT, 'scripts', 'remote', 'proxmox/undo.sh'), 'utf8')],
    ...[UNDO_FILES.service, UNDO_FILES.timer].map((path): [string, string] => [path, files.get(path)!]),
  ];
}

/** Whether the host came back from a boot that nobody has confirmed. */
function waitsForUndo({ boot: { armed }, bootId }: HostFacts): boolean {
  return armed !== undefined && armed !== bootId;
}

function undoWarning(name: string, found: HostFacts): string[] {
  if (!waitsForUndo(found)) return [];
  return [
    `until that is solved, the last boot of ${name} is not confirmed: its files are undone ${UNDO_MINUTES} minutes after it`,
  ];
}
