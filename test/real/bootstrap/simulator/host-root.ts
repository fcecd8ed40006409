import { bootId } from './machines';

type Files = Readonly<Record<string, string>>;

/** Files of a Proxmox host that was just installed, with 94 GiB that Linux has. */
export function hostRoot(name: string, address: string): { readonly proc: Files; readonly files: Files } {
  return {
    proc: {
      meminfo: `MemTotal:       ${94 * 1024 ** 2} kB\nMemFree:        ${90 * 1024 ** 2} kB\nMemAvailable:   ${90 * 1024 ** 2} kB\n`,
      cmdline: 'BOOT_IMAGE=/boot/vmlinuz root=/dev/mapper/pve-root ro quiet\n',
      'sys/kernel/random/boot_id': bootId(),
    },
    files: {
      'etc/hostname': `${name}\n`,
      'etc/hosts': `127.0.0.1 localhost\n${address} ${name}\n`,
      'etc/passwd': 'root:x:0:0:root:/root:/bin/bash\n',
      'etc/group': 'root:x:0:\n',
      'etc/os-release': 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_CODENAME=trixie\n',
      'etc/pve/.version': '',
      'etc/kernel/cmdline': '',
      'var/lib/vz/template/iso/.keep': '',
      'var/lib/vz/snippets/.keep': '',
      'var/lib/vz/import/.keep': '',
    },
  };
}
