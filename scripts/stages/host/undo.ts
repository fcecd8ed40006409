import { HOST_FILES, hostFiles, UNDO_FILES, UNDO_MINUTES } from '../../../machines/host';
import type { ProxmoxHost } from '../../clients/proxmox/host';
import { remoteScript } from '../../engine/actions';
import { script } from '../../engine/commands';
import { sha256 } from '../../engine/digests';
import { Blocked, NotReady } from '../../engine/problem';
import { fileOn } from '../../engine/remote-file';
import { step, type Action, type Step } from '../../engine/step';
import { changesBoot, isUnmade } from './boot';
import { unexpectedReboot } from './findings';
import { soundFacts, waitsForUndo, type Site } from './site';

/** If nobody confirms a boot with changes, the host restores its old boot files and reboots. */

export function lastBootConfirmed(site: Site): Step {
  const { host } = site;
  return step(`the last boot of ${host.name} is confirmed`, async () => {
    const facts = await host.facts();
    if (!waitsForUndo(facts)) return undefined;
    if (isUnmade(site, facts))
      return {
        lines: [`${host.name} came back without its new files: the copies of the old ones stay, for its next boot`],
        actions: [arm(host)],
      };
    return {
      lines: [`confirm that ${host.name} came back; else its files are undone ${UNDO_MINUTES} minutes after its boot`],
      actions: [confirm(host)],
    };
  });
}

export function canGoBack(site: Site): Step {
  const { host } = site;
  return step(`${host.name} can restore its present boot files by itself`, async () => {
    const facts = await soundFacts(site);
    if (!changesBoot(site, facts)) return undefined;
    if (waitsForUndo(facts)) throw new NotReady(`the last boot of ${host.name} must be confirmed first`);
    const strange = unexpectedReboot(facts);
    if (strange)
      throw new Blocked(
        `${host.name} must not wait for another reboot, but it does: ${strange}. Reboot it, check that it works, then run this again`,
      );
    const files = undoFiles(site).filter(([path, text]) => facts.digests[path] !== sha256(text));
    const { armed, undoTimer } = facts.boot;
    if (armed !== undefined && undoTimer && files.length === 0) return undefined;
    return {
      lines: [
        'keep copies of every file that decides how it boots',
        `${UNDO_FILES.timer}: restores them and reboots, unless a boot with changes is confirmed within ${UNDO_MINUTES} minutes`,
      ],
      actions: [...files.map(([path, content]) => fileOn(host.commands, host.target, { path, content })), arm(host)],
    };
  });
}

export function nothingToUndo(site: Site): Step {
  const { host } = site;
  return step(`the undo of ${host.name} is switched off`, async () => {
    const facts = await soundFacts(site);
    if (changesBoot(site, facts) || waitsForUndo(facts))
      throw new NotReady(`the steps before this one on ${host.name} must be done first`);
    if (facts.boot.armed === undefined) return undefined;
    return {
      lines: ['its next boot brings nothing new: the undo timer is switched off'],
      actions: [confirm(host)],
    };
  });
}

export function confirm({ commands, target }: ProxmoxHost): Action {
  return remoteScript(commands, target, 'proxmox/undo-confirm.sh');
}

/** While it is armed, this leaves the copies as they are. */
function arm({ commands, target }: ProxmoxHost): Action {
  const files = [...Object.values(HOST_FILES), '/etc/network/interfaces'];
  return remoteScript(commands, target, 'proxmox/undo-arm.sh', files);
}

/** What goes back to the last good boot, the program first: what starts it is of no use without it. */
function undoFiles({ homelab, host }: Site): [string, string][] {
  const files = hostFiles(homelab, host.name);
  return [
    [UNDO_FILES.program, script('proxmox/undo.sh')],
    ...[UNDO_FILES.service, UNDO_FILES.timer].map((path): [string, string] => [path, files.get(path)!]),
  ];
}
