#!/usr/bin/env bash
# Pins the kernel that the Proxmox host boots: pin-kernel.sh KERNEL
set -euo pipefail

main() {
  proxmox-boot-tool kernel pin "$1"
  # If the kernels are on separate boot partitions (ZFS), a pin takes effect only after a refresh.
  [ -s "${ROOT:-}/etc/kernel/proxmox-boot-uuids" ] || return 0
  proxmox-boot-tool refresh || {
    proxmox-boot-tool kernel unpin
    exit 1
  }
}

main "$@"
