import { bootTalos, drivesOf, stopVm, talosNodes, type TalosNode } from '../../life';
import { installedImage } from '../../talos-config';
import { Failure, Unexpected } from '../program';
import type { Session } from './session';

export function reset(session: Session, node: TalosNode): void {
  for (const device of session.line.lists['user-disks-to-wipe'] ?? []) {
    const drive = drivesOf(session.context.state, node.vm).find((each) => each.device === device);
    if (drive) delete session.context.state.volumes[drive.id]!.label;
  }
  // Without a list of labels the whole system disk is empty, the boot loader with it.
  if (session.options['wipe-mode'] !== 'user-disks' && !session.line.lists['system-labels-to-wipe'])
    delete node.volume.image;
  delete node.disk.config;
  delete node.disk.bootstrappedAt;
  node.disk.volumes = {};
  if (session.options.reboot === 'true') bootTalos(node.disk, 'resetting');
  else stopVm(session.context.simulation, node.vmid);
}

export function upgrade(session: Session, node: TalosNode): void {
  const { image } = session.options;
  if (!image) throw new Unexpected('upgrade without --image');
  node.volume.image = { ...installedImage(image), ...(node.image.size && { size: node.image.size }) };
  if (session.options.stage !== 'true' && session.options['no-reboot'] !== 'true') bootTalos(node.disk, 'upgrading', 2);
}

export function upgradeKubernetes(session: Session): string {
  const [node] = session.nodes() as [TalosNode];
  const from = session.context.state.cluster.kubernetes ?? node.config!.kubernetes;
  const to = `v${(session.options.to ?? '1.36.3').replace(/^v/, '')}`;
  const plan = `automatically detected the lowest Kubernetes version ${from.slice(1)}\ndiscovered controlplane nodes ["${node.address}"]\nchecking for removed Kubernetes component flags\n`;
  if (!node.ready)
    throw new Failure(
      `error getting kubernetes client: Get "https://${node.address}:6443/version": dial tcp ${node.address}:6443: connect: connection refused`,
    );
  const minor = (version: string) => Number(version.split('.')[1]);
  if (minor(to) - minor(from) > 1 || minor(to) < minor(from))
    throw new Failure(`unsupported upgrade path ${from.slice(1)}->${to.slice(1)}`);
  const all = talosNodes(session.context.state).filter(({ config }) => config?.authority === node.config!.authority);
  // The configuration in force is written back to control planes even by a dry run (patchKubeProxy), and takes the place of
  // a staged one; to workers when their kubelet changes.
  const isDry = session.options['dry-run'] === 'true';
  for (const { config, disk } of all) if (config!.controlPlane || (!isDry && from !== to)) delete disk.staged;
  if (isDry)
    return `${plan}updating kube-proxy to version "${to.slice(1)}"\n > "${node.address}": starting update\n > skipped in dry-run\nupdating manifests (dry run)\n < unchanged DaemonSet/kube-system/kube-flannel\n`;
  session.context.state.cluster.kubernetes = to;
  for (const { disk } of all) disk.config = disk.config!.replaceAll(`:${from}`, `:${to}`);
  return `${plan}updating kube-apiserver to version "${to.slice(1)}"\nupdating manifests\n`;
}
