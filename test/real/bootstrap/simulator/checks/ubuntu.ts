import { until } from '../../../cluster/processes';
import { canChangeUser } from '../machines';
import type { Bench } from './bench';

/** A machine with Ubuntu, and reboots of it and of the host. */
export async function ubuntu(bench: Bench): Promise<void> {
  const { run, onHost, qm, same, holds, simulation } = bench;
  const key = 'ssh-ed25519 AAAA me';
  await onHost(
    'cat > /var/lib/vz/snippets/user.yaml',
    `#cloud-config\nhostname: ai-vm\nusers:\n  - name: homelab\n    sudo: ALL=(ALL) NOPASSWD:ALL\n    ssh_authorized_keys: ['${key}']\n`,
  );
  await onHost(
    'cat > /var/lib/vz/snippets/network.yaml',
    'version: 2\nethernets:\n  net0: {addresses: [192.168.1.30/24]}\n',
  );
  await onHost('printf "instance-id: ai-vm-1\\n" > /var/lib/vz/snippets/meta.yaml');
  const made = await qm(
    'create',
    '210',
    '--name',
    'ai-vm',
    '--memory',
    '4096',
    '--scsi0',
    'local-lvm:0,import-from=/var/lib/vz/import/ubuntu.img',
    '--ide0',
    'local-lvm:cloudinit',
    '--boot',
    'order=scsi0',
    '--cicustom',
    'user=local:snippets/user.yaml,network=local:snippets/network.yaml,meta=local:snippets/meta.yaml',
  );
  same('qm create 210', [made.code, made.stderr], [0, '']);
  const there = (user: string, command: string) =>
    run('ssh', ['-o', 'StrictHostKeyChecking=accept-new', `${user}@192.168.1.30`, '--', command]);
  same('off', (await there('homelab', 'true')).code, 255);
  await qm('start', '210');
  await until('cloud-init', 5, async () => (await there('homelab', 'true')).code === 0);
  same('root may not', (await there('root', 'true')).code, 255);
  if (canChangeUser()) same('a user is no root', (await there('homelab', 'touch /etc/x')).code, 1);
  same(
    'a script goes on after sudo',
    (
      await run(
        'ssh',
        ['-o', 'StrictHostKeyChecking=accept-new', 'homelab@192.168.1.30', 'bash -s'],
        'sudo true\nsudo -n cat <<< one\necho two\n',
      )
    ).stdout,
    'one\ntwo\n',
  );
  same('sudo', (await there('homelab', "sudo -n sh -c 'id -u > /etc/x; cat /etc/x'")).stdout, '0\n');
  const [boot, again] = [
    (await there('homelab', 'cat /proc/sys/kernel/random/boot_id')).stdout,
    () => there('homelab', 'cat /proc/sys/kernel/random/boot_id'),
  ];
  await there('homelab', 'sudo reboot');
  await until('it reboots', 5, async () => {
    const { code, stdout } = await again();
    return code === 0 && stdout !== boot;
  });
  await onHost('reboot');
  await until(
    'the host reboots',
    5,
    async () => simulation.state.host.boots === 2 && (await onHost('true')).code === 0,
  );
  holds('what starts at boot', (await qm('status', '201')).stdout, 'running');
  holds('what does not', (await qm('status', '210')).stdout, 'stopped');
}
