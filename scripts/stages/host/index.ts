import { passedThrough } from '../../../machines/host';
import { proxmoxHosts } from '../../clients/proxmox/host';
import type { Context } from '../../clients/context';
import { fileOn } from '../../engine/remote-file';
import { remoteScript } from '../../engine/actions';
import { step, type Stage, type Step } from '../../engine/step';
import { bootSteps } from './boot';
import { linkFile, pinning, unpinned, usesTool } from './network-cards';
import { booted } from './reboot';
import { roms } from './roms';
import { soundFacts, waitForHost, type Site } from './site';
import { canGoBack, lastBootConfirmed, nothingToUndo } from './undo';

/** A fresh Proxmox becomes a host for the machines: names that stay, a GPU that waits for its machine, storages that fit. */
export function host(context: Context): Stage {
  return {
    name: 'host',
    title: 'settings of the Proxmox hosts for the machines',
    async steps() {
      const hosts = proxmoxHosts(context);
      for (const each of hosts) await waitForHost(each);
      return hosts.flatMap((each) => stepsOf({ homelab: context.homelab, host: each }));
    },
  };
}

function stepsOf(site: Site): Step[] {
  const { gpu, npu } = passedThrough(site.homelab, site.host.name);
  return [
    // First, since its time is short.
    lastBootConfirmed(site),
    canGoBack(site),
    cardsKeepNames(site),
    ...(gpu ? roms(site) : []),
    ...(gpu || npu ? bootSteps(site) : []),
    filesTakeContent(site),
    booted(site),
    nothingToUndo(site),
  ];
}

function cardsKeepNames(site: Site): Step {
  const { commands, name, target } = site.host;
  return step(`network cards of ${name} have names that stay`, async () => {
    const { network } = await soundFacts(site);
    const lines = pinning(name, network);
    if (lines === undefined) return undefined;
    const actions = usesTool(network)
      ? [remoteScript(commands, target, 'proxmox/pin-network-cards.sh')]
      : unpinned(network).map((card) => fileOn(commands, target, linkFile(card)));
    return { lines, actions };
  });
}

function filesTakeContent(site: Site): Step {
  const { files, name } = site.host;
  return step(`storage ${files.name} of ${name} takes images and cloud-init files`, async () => {
    const { storages } = await soundFacts(site);
    const present = storages.find((each) => each.name === files.name)!.content;
    const missing = ['snippets', 'import'].filter((kind) => !present.includes(kind));
    if (missing.length === 0) return undefined;
    return {
      lines: [`it accepts ${present.join(',')}; ${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} missing`],
      // It replaces, so that what is there is named again.
      actions: [files.setContent([...present.filter((kind) => kind !== 'none'), ...missing])],
    };
  });
}
