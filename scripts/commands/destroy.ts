import type { Context } from '../clients/context';
import { Blocked, Usage } from '../engine/problem';
import { destroyImages } from './destroy-images';
import { destroyVms } from './destroy-vms';

/** Stages that can be undone: only what `apply` can create again, and only after its names were typed. */
const DESTROY: Readonly<Record<string, (context: Context, args: readonly string[]) => Promise<number>>> = {
  images: destroyImages,
  vms: destroyVms,
};

/** Stages that this command does not undo, the reason, and the manual steps. */
const BY_HAND: Readonly<Record<string, string>> = {
  keys: 'without the age key, nobody can read the secrets and backups any more. By hand: remove the key from the file that SOPS_AGE_KEY_FILE names, and the files *.sops.yaml from the repository',
  host: 'everything runs on this machine. By hand: remove the files called collab-homelab in /etc/default/grub.d, /etc/modprobe.d, /etc/modules-load.d and /etc/systemd/system, then update-initramfs -u -k all, update-grub or proxmox-boot-tool refresh, and a reboot',
  talos:
    'a reset of a node deletes data that only this node has. By hand, one node at a time: npm run bootstrap -- talosctl NODE -- reset --graceful=false --reboot --system-labels-to-wipe=STATE --system-labels-to-wipe=EPHEMERAL (without the labels its boot loader goes too; database disks stay, unless --user-disks-to-wipe names them); for all of it: npm run bootstrap -- destroy vms',
  'ai-vm':
    'its data is deleted with the VM: npm run bootstrap -- destroy vms. To remove only the GPU: qm shutdown VMID, then qm set VMID --delete hostpci0,hostpci1',
  models: 'they are files of Ollama on the machine outside the cluster. By hand, there: ollama rm MODEL',
  secrets:
    'databases, backups and pods need them, and a database keeps its old passwords. For a new value: npm run bootstrap -- rotate SECRET. By hand: kubectl delete secret NAME -n NAMESPACE, and its entry in secrets.sops.yaml',
  gitops:
    'Argo CD would delete applications with their claims. By hand: kubectl delete applications -n argocd --all --cascade=orphan, then kubectl delete namespace argocd; the deployed workloads keep running',
};

export async function destroy(context: Context, [stage, ...args]: readonly string[]): Promise<number> {
  const run = DESTROY[stage ?? ''];
  if (run !== undefined) return run(context, args);
  const reason = BY_HAND[stage ?? ''];
  if (reason !== undefined) throw new Blocked(`${stage} cannot be destroyed by this command: ${reason}`);
  const all = Object.keys({ ...DESTROY, ...BY_HAND }).sort();
  throw new Usage(`destroy takes a stage, and got ${stage ?? 'none'} (allowed: ${all.join(', ')})`);
}
