import type { Context } from '../clients/context';
import { Blocked, Usage } from '../engine/problem';
import { destroyImages } from './destroy-images';
import { destroyVms } from './destroy-vms';

/** What takes a stage back. Only what `apply` can make again, and only with its names typed. */
const DESTROY: Readonly<Record<string, (context: Context, args: readonly string[]) => Promise<number>>> = {
  images: destroyImages,
  vms: destroyVms,
};

/** What is not taken back from here, why, and how an owner does it by hand. */
const BY_HAND: Readonly<Record<string, string>> = {
  keys: 'without the age key no backup and no secret can ever be read again. By hand: remove the key from the file that SOPS_AGE_KEY_FILE names, and the files *.sops.yaml from the repository',
  host: 'it is the machine under everything, and never destroyed from here. By hand: remove the files called collab-homelab in /etc/default/grub.d, /etc/modprobe.d, /etc/modules-load.d and /etc/systemd/system, then update-initramfs -u -k all, update-grub or proxmox-boot-tool refresh, and a reboot',
  talos:
    'a reset of a node wipes what only it has. By hand, one node at a time: npm run bootstrap -- talosctl NODE -- reset --graceful=false --reboot --system-labels-to-wipe=STATE --system-labels-to-wipe=EPHEMERAL (without the labels its boot loader goes too; database disks stay, unless --user-disks-to-wipe names them); for all of it: npm run bootstrap -- destroy vms',
  'ai-vm':
    'what is on that machine goes with it: npm run bootstrap -- destroy vms. To take only the GPU off: qm shutdown VMID, then qm set VMID --delete hostpci0,hostpci1',
  models: 'they are files of Ollama on the machine beside the cluster. By hand, there: ollama rm MODEL',
  secrets:
    'databases, backups and pods stand on them, and a new value does not change what a database knows. For a new value: npm run bootstrap -- rotate SECRET. By hand: kubectl delete secret NAME -n NAMESPACE, and its entry in secrets.sops.yaml',
  gitops:
    'Argo CD would take applications away with their claims. By hand: kubectl delete applications -n argocd --all --cascade=orphan, then kubectl delete namespace argocd; everything that it brought goes on running',
};

export async function destroy(context: Context, [stage, ...args]: readonly string[]): Promise<number> {
  const run = DESTROY[stage ?? ''];
  if (run !== undefined) return run(context, args);
  const reason = BY_HAND[stage ?? ''];
  if (reason !== undefined) throw new Blocked(`${stage} is not destroyed from here: ${reason}`);
  const all = Object.keys({ ...DESTROY, ...BY_HAND }).sort();
  throw new Usage(`destroy takes a stage, and got ${stage ?? 'none'} (allowed: ${all.join(', ')})`);
}
